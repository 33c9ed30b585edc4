"""Files that claim far more pixels than their bytes can hold are refused; honest files never are."""

import io
import struct
from typing import Any

import numpy as np
import PIL.Image
import pytest
import pyvips

from uformer.errors import PictureError
from uformer.image import claims, formats
from uformer.image.formats import Format
from uformer.image.read import header, read

MOST = 500_000_000
PIXELS = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)


def saved(form: str, image: PIL.Image.Image | None = None, **options: Any) -> bytes:
    file = io.BytesIO()
    (image or PIL.Image.fromarray(PIXELS)).save(file, form, **options)
    return file.getvalue()


def patched(data: bytes, mark: bytes, offset: int, form: str, *values: int) -> bytes:
    out = bytearray(data)
    struct.pack_into(form, out, data.index(mark) + offset, *values)
    return bytes(out)


def tiff(side: int, **options: Any) -> bytes:
    """A 64 x 64 TIFF with one strip or tile that claims another size."""
    image = pyvips.Image.new_from_array(PIXELS).copy(interpretation="srgb")
    return with_side(bytes(image.tiffsave_buffer(**options)), side)


def with_side(data: bytes, side: int) -> bytes:
    """The classic TIFF with other values for width, height and rows per strip."""
    out = bytearray(data)
    (first,) = struct.unpack_from("<I", out, 4)
    for position in range(first + 2, first + 2 + 12 * struct.unpack_from("<H", out, first)[0], 12):
        (tag,) = struct.unpack_from("<H", out, position)
        if tag in (256, 257, 278):
            struct.pack_into("<HHII", out, position, tag, 4, 1, side)
    return bytes(out)


def fax() -> bytes:
    return with_side(saved("TIFF", PIL.Image.new("1", (64, 64)), compression="group4"), 22000)


def arithmetic(marker: int) -> bytes:
    """The frame of a JPEG with arithmetic coding and hardly any data."""
    frame = struct.pack(">BHHB", 8, 22000, 22000, 3) + bytes([1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0])
    scan = bytes([3, 1, 0, 2, 0, 3, 0, 0, 63, 0])
    segments = b"".join(
        b"\xff" + bytes([name]) + struct.pack(">H", len(body) + 2) + body
        for name, body in ((marker, frame), (0xDA, scan))
    )
    return b"\xff\xd8" + segments + bytes(8) + b"\xff\xd9"


SIDE = struct.pack("<I", 16382)[:3]
VP8X = saved(
    "WEBP",
    save_all=True,
    append_images=[PIL.Image.new("RGB", (64, 64)), PIL.Image.new("RGB", (64, 64), (9, 9, 9))],
)
LIES = {
    "baseline.jpg": patched(saved("JPEG"), b"\xff\xc0", 5, ">HH", 22000, 22000),
    "progressive.jpg": patched(saved("JPEG", progressive=True), b"\xff\xc2", 5, ">HH", 22000, 22000),
    "gray.jpg": patched(saved("JPEG", PIL.Image.new("L", (64, 64))), b"\xff\xc0", 5, ">HH", 22000, 22000),
    "arithmetic.jpg": arithmetic(0xC9),
    "lossless.jpg": arithmetic(0xC3),
    "lossy.webp": patched(saved("WEBP"), b"\x9d\x01\x2a", 3, "<HH", 16383, 16383),
    "animated.webp": patched(VP8X, b"VP8X", 12, "6s", SIDE + SIDE),  # type: ignore[arg-type]
    "canvas.gif": patched(saved("GIF"), b"GIF8", 6, "<HH", 22000, 22000),
    "sides.avif": patched(saved("AVIF"), b"ispe", 8, ">II", 22000, 22000),
    **{
        f"{name}.tif": tiff(22000, compression=name)
        for name in ("none", "lzw", "deflate", "packbits", "jpeg")
    },
    **{
        f"{name}_tiles.tif": tiff(22000, compression=name, tile=True, tile_width=64, tile_height=64)
        for name in ("none", "lzw", "deflate", "packbits", "jpeg", "webp")
    },
    "fax.tif": fax(),
}


@pytest.mark.parametrize("name", LIES)
def test_a_lie_is_refused_from_its_header(name: str) -> None:
    for work in (header, read):
        with pytest.raises(
            PictureError, match=r"claims (22000 x 22000|16383 x 16383) pixels|TileOffsets tag has 1 values"
        ):
            work(LIES[name])


@pytest.mark.parametrize("name", ["vp8l", "vp8x", "strip"])
def test_a_lie_that_its_decoder_sees_is_refused(name: str) -> None:
    bits = struct.pack("<I", 3999 | 3999 << 14)
    lie = {
        "vp8l": lambda: patched(saved("WEBP", lossless=True), b"VP8L", 9, "4s", bits),  # type: ignore[arg-type]
        "vp8x": lambda: patched(saved("WEBP", xmp=b"<x/>"), b"VP8X", 12, "6s", SIDE + SIDE),  # type: ignore[arg-type]
        "strip": lambda: tiff(4000, compression="webp"),
    }[name]()
    with pytest.raises(PictureError, match="cannot be read as"):
        read(lie)


def honest(side: int) -> dict[str, bytes]:
    """Single-colour images, each as small as its encoder can make it."""
    black = pyvips.Image.black(side, side, bands=3).copy(interpretation="srgb")
    gray, white = black[0].copy(interpretation="b-w"), black.invert()
    found = {
        "best.jpg": gray.jpegsave_buffer(Q=1, optimize_coding=True),
        "colour.jpg": white.jpegsave_buffer(Q=1, optimize_coding=True),
        "scans.jpg": gray.jpegsave_buffer(Q=1, interlace=True, optimize_coding=True),
        "lossless.webp": white.webpsave_buffer(lossless=True, effort=0),
        "png.png": gray.pngsave_buffer(compression=9, bitdepth=1),
        "fax.tif": gray.tiffsave_buffer(compression="ccittfax4", bitdepth=1),
        "gif.gif": saved("GIF", PIL.Image.new("L", (side, side))),
    }
    for name in ("lzw", "deflate", "packbits", "jpeg", "webp"):
        found[f"{name}.tif"] = (
            gray.tiffsave_buffer(compression=name)
            if name != "webp"
            else black.tiffsave_buffer(compression=name, lossless=True)
        )
        found[f"{name}_tiles.tif"] = black.tiffsave_buffer(
            compression=name, tile=True, tile_width=1024, tile_height=1024, bigtiff=True
        )
        found[f"{name}_strip.tif"] = (
            gray.tiffsave_buffer(compression=name, tile=True, tile_width=side, tile_height=side)
            if name != "webp"
            else b""
        )
    return {name: bytes(data) for name, data in found.items() if data}


def check(side: int) -> None:
    for name, data in honest(side).items():
        picture_format = formats.sniff(data[:256])
        assert picture_format is not None
        assert claims.too_many(data, picture_format, MOST) is None, (name, len(data))


def test_honest_files_of_one_colour_pass() -> None:
    check(1024)
    assert all(header(data).pixels == 1024 * 1024 for data in honest(1024).values())


@pytest.mark.slow
def test_large_honest_files_of_one_colour_pass() -> None:
    check(8192)


@pytest.mark.parametrize("picture_format", [formats.WEBP, formats.AVIF], ids=lambda each: each.name)
def test_honest_lossy_files_of_one_colour_pass(picture_format: Format) -> None:
    options: dict[str, Any] = {"Q": 1, "effort": 0}
    image = pyvips.Image.black(1024, 1024, bands=3).copy(interpretation="srgb")
    data = bytes(
        image.webpsave_buffer(**options)
        if picture_format is formats.WEBP
        else image.heifsave_buffer(compression="av1", **options)
    )
    assert claims.too_many(data, picture_format, MOST) is None


def test_small_files_are_left_to_their_decoder() -> None:
    data = patched(saved("JPEG"), b"\xff\xc0", 5, ">HH", 200, 200)
    assert claims.too_many(data[: data.index(b"\xff\xda") + 40], formats.JPEG, MOST) is None


def test_a_claim_above_the_limit_is_left_to_that() -> None:
    for name in ("baseline.jpg", "lossy.webp", "lzw.tif"):
        assert claims.too_many(LIES[name], formats.by_suffix("." + name.rpartition(".")[2]), 10**6) is None


def test_sampling_factors_count() -> None:
    def least(*factors: int) -> int:
        from uformer.image import jpeg

        components = b"".join(bytes([index, each, 0]) for index, each in enumerate(factors))
        body = struct.pack(">BHHB", 8, 1024, 2048, len(factors)) + components
        found = jpeg.frame(b"\xff\xd8\xff\xc0" + struct.pack(">H", len(body) + 2) + body + b"\xff\xd9")
        assert found is not None
        return found.least_bytes

    blocks = 1024 * 2048 // 64
    assert least(0x11) == blocks * 2 // 8
    assert least(0x11, 0x11, 0x11) == 3 * blocks * 2 // 8
    assert least(0x22, 0x11, 0x11) == (blocks + 2 * blocks // 4) * 2 // 8
    assert least(0x00) == least(0x11)  # which libjpeg refuses


def test_of_a_repeated_tag_the_first_counts_as_it_does_for_libtiff() -> None:
    tags = [(256, 20_000), (256, 1), (257, 20_000), (258, 8), (259, 1), (262, 1), (277, 1)]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    data = b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)
    assert (claims.too_many(data, formats.TIFF, MOST) or "").startswith("claims 20000 x 20000 pixels")
