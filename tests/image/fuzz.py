"""Hostile image files, derived from small good ones, and the promises that must hold for each.

`python -m tests.image.fuzz SEED SECONDS FOLDER` tries them in this process, so that a library's crash ends
only this process; the current file is in FOLDER. Case number i of a seed is always the same file.
"""

import contextlib
import io
import itertools
import struct
import sys
import time
import warnings
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageCms
import pyvips

from tests.image.phones import VIDEO, turned, ultra_hdr
from tests.image.tiffs import subsampled, tiff
from uformer.errors import PictureError
from uformer.image import formats
from uformer.image.image import Header, Image
from uformer.image.read import Limits, header, read, read_samples
from uformer.image.write import encode

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

LIMITS = Limits(max_pixels=2**22, max_seconds=20)
MOST_SECONDS = 20.0
MOST_MEMORY = 1 << 30

_WORDS = (
    0,
    1,
    2,
    3,
    8,
    0x7F,
    0x80,
    0xFF,
    0x100,
    0x7FFF,
    0x8000,
    0xFFFF,
    0x10000,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFF0,
    0xFFFFFFFF,
)


def seeds() -> dict[str, bytes]:
    """Small good files of every format and most of its variants."""
    rng = np.random.default_rng(0)
    rgba = rng.integers(0, 256, (19, 23, 4), np.uint8)
    rgb, gray = PIL.Image.fromarray(rgba[..., :3].copy()), PIL.Image.fromarray(rgba[..., 0].copy())
    exif = PIL.Image.Exif()
    exif[0x010F], exif[0x0112] = "Acme", 6
    exif.get_ifd(0x8769).update({0x9003: "2020:01:02 03:04:05", 0x927C: b"maker"})
    exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 12.0)})
    profile = bytes(PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes())
    said: dict[str, Any] = {
        "exif": exif.tobytes(),
        "icc_profile": profile,
        "xmp": b'<x:xmpmeta><rdf:Description xmp:CreateDate="1"/></x:xmpmeta>',
    }
    several: dict[str, Any] = {"save_all": True, "append_images": [rgb.rotate(90), rgb.rotate(180)]}
    files = {
        "gray.png": _pillow(gray, "PNG"),
        "bits.png": _pillow(gray.convert("1"), "PNG"),
        "palette.png": _pillow(rgb.quantize(9), "PNG", transparency=3),
        "alpha.png": _pillow(PIL.Image.fromarray(rgba), "PNG", **said),
        "ultra_hdr.jpg": ultra_hdr(video=VIDEO, exif=turned(6)),
        "animated.png": _pillow(rgb, "PNG", **several),
        "text.png": _png_with(_pillow(gray, "PNG"), b"zTXt", b"Comment\0\0" + zlib.compress(b"a" * 5000)),
        "profile.png": _png_with(
            _pillow(gray, "PNG"), b"tEXt", b"Raw profile type exif\0\nexif\n8\n49492a0000000000"
        ),
        "plain.jpg": _pillow(rgb, "JPEG"),
        "said.jpg": _pillow(rgb, "JPEG", quality=90, subsampling=0, **said),
        "progressive.jpg": _pillow(rgb, "JPEG", progressive=True),
        "gray.jpg": _pillow(gray, "JPEG"),
        "cmyk.jpg": _pillow(rgb.convert("CMYK"), "JPEG"),
        "restarts.jpg": _pillow(rgb, "JPEG", restart_marker_blocks=1),
        "lossy.webp": _pillow(rgb, "WEBP", **said),
        "lossless.webp": _pillow(PIL.Image.fromarray(rgba), "WEBP", lossless=True, exact=True),
        "alpha.webp": _pillow(PIL.Image.fromarray(rgba), "WEBP"),
        "animated.webp": _pillow(rgb, "WEBP", **several),
        "plain.avif": _pillow(rgb, "AVIF", **said),
        "alpha.avif": _pillow(PIL.Image.fromarray(rgba), "AVIF"),
        "sequence.avif": _pillow(rgb, "AVIF", **several),
        "plain.gif": _pillow(rgb, "GIF"),
        "gray.gif": _pillow(gray, "GIF", interlace=1, comment=b"hello"),
        "alpha.gif": _pillow(PIL.Image.fromarray(rgba), "GIF"),
        "animated.gif": _pillow(rgb, "GIF", **several),
        "pages.tif": _pillow(rgb, "TIFF", **several),
        "said.tif": _pillow(rgb, "TIFF", exif=exif, icc_profile=profile),
        "cmyk.tif": _pillow(rgb.convert("CMYK"), "TIFF"),
        "palette.tif": _pillow(rgb.quantize(9), "TIFF"),
        "fax.tif": _pillow(gray.convert("1"), "TIFF", compression="group4"),
        "lzw.tif": _pillow(rgb, "TIFF", compression="tiff_lzw"),
        "packbits.tif": _pillow(rgb, "TIFF", compression="packbits"),
        "jpeg.tif": _pillow(rgb, "TIFF", compression="jpeg"),
        "ycbcr.tif": _pillow(rgb, "TIFF", compression="tiff_lzw", tiffinfo={262: 6, 530: (1, 1)}),
        "halved.tif": tiff(
            [subsampled(rgba[..., :3], 2, 2)[0]], width=23, height=19, photometric=6, samples=3
        ),
    }
    wide = pyvips.Image.new_from_array(
        rng.integers(0, 65536, (17, 21, 4)).astype(np.uint16), interpretation="rgb16"
    )
    real = pyvips.Image.new_from_array(rng.random((17, 21, 3), np.float32), interpretation="scrgb")
    return files | {
        "wide.png": bytes(wide.pngsave_buffer(interlace=True)),
        "wide.tif": bytes(
            wide.tiffsave_buffer(compression="deflate", predictor="horizontal", premultiply=True)
        ),
        "tiles.tif": bytes(
            wide.tiffsave_buffer(
                compression="deflate", tile=True, tile_width=16, tile_height=16, pyramid=True, bigtiff=True
            )
        ),
        "real_lab.tif": bytes(real.colourspace("lab").tiffsave_buffer()),
        "lab.tif": bytes(real.colourspace("labs").tiffsave_buffer()),
        "float.tif": bytes(real.tiffsave_buffer(compression="deflate", predictor="float")),
        "deep.avif": bytes(wide.heifsave_buffer(compression="av1", bitdepth=10)),
    }


def _pillow(image: PIL.Image.Image, form: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def _png_with(data: bytes, name: bytes, payload: bytes) -> bytes:
    chunk = struct.pack(">I", len(payload)) + name + payload
    return data[:33] + chunk + struct.pack(">I", zlib.crc32(chunk[4:])) + data[33:]


def _flip(rng: np.random.Generator, data: bytearray, _other: bytes) -> None:
    for position in rng.integers(0, len(data), rng.integers(1, 9)):
        data[position] ^= 1 << int(rng.integers(8))


def _set(rng: np.random.Generator, data: bytearray, _other: bytes) -> None:
    """Overwrite a place that may hold a length or count with an awkward number in either byte order."""
    form = str(rng.choice(["<H", ">H", "<I", ">I", "<Q", ">Q", "B"]))
    value = int(rng.choice(_WORDS)) % (1 << 8 * struct.calcsize(form))
    position = int(rng.integers(0, min(len(data), int(rng.choice([64, 512, 1 << 20])))))
    if position + struct.calcsize(form) <= len(data):
        struct.pack_into(form, data, position, value)


def _nudge(rng: np.random.Generator, data: bytearray, _other: bytes) -> None:
    position = int(rng.integers(0, len(data)))
    data[position] = (data[position] + int(rng.integers(-3, 4))) % 256


def _cut(rng: np.random.Generator, data: bytearray, _other: bytes) -> None:
    del data[int(rng.integers(1, len(data) + 1)) :]


def _remove(rng: np.random.Generator, data: bytearray, _other: bytes) -> None:
    start = int(rng.integers(0, len(data)))
    del data[start : start + int(rng.integers(1, 65))]


def _repeat(rng: np.random.Generator, data: bytearray, _other: bytes) -> None:
    start = int(rng.integers(0, len(data)))
    part = bytes(data[start : start + int(rng.integers(1, 300))])
    to = int(rng.integers(0, len(data)))
    data[to:to] = part * int(rng.choice([1, 2, 50]))


def _splice(rng: np.random.Generator, data: bytearray, other: bytes) -> None:
    start, to = int(rng.integers(0, len(other))), int(rng.integers(0, len(data)))
    data[to : to + int(rng.integers(0, 200))] = other[start : start + int(rng.integers(1, 400))]


def _noise(rng: np.random.Generator, data: bytearray, _other: bytes) -> None:
    start = int(rng.integers(0, len(data)))
    length = min(int(rng.integers(1, 40)), len(data) - start)
    data[start : start + length] = rng.bytes(length)


_MUTATIONS: tuple[Callable[[np.random.Generator, bytearray, bytes], None], ...] = (
    _flip, _set, _set, _set, _nudge, _cut, _remove, _repeat, _splice, _noise,
)  # fmt: skip


def case(seed: int, index: int, files: dict[str, bytes]) -> bytes:
    """One hostile file."""
    rng = np.random.default_rng((seed, index))
    names = sorted(files)
    data, other = (
        bytearray(files[names[int(rng.integers(len(names)))]]),
        files[names[int(rng.integers(len(names)))]],
    )
    for which in rng.integers(0, len(_MUTATIONS), int(rng.choice([1, 1, 2, 3, 6]))):
        if data:
            _MUTATIONS[which](rng, data, other)
    return _with_sums(bytes(data)) if rng.random() < 0.8 else bytes(data)


def _with_sums(data: bytes) -> bytes:
    """A PNG with corrected checksums, so that its damage is not noticed too early; other files unchanged."""
    fixed, position = bytearray(data), 8
    while data.startswith(b"\x89PNG") and position + 12 <= len(data):
        end = position + 8 + int.from_bytes(data[position : position + 4], "big")
        if end + 4 > len(data):
            break
        fixed[end : end + 4] = struct.pack(">I", zlib.crc32(fixed[position + 4 : end]))
        position = end + 4
    return bytes(fixed)


def check(data: bytes) -> bool:
    """Whether a file was read, or refused only because it holds several images.

    Raises AssertionError for a broken promise; other exceptions pass.
    """
    start, memory = time.monotonic(), _peak()
    with warnings.catch_warnings(record=True) as notes:
        warnings.simplefilter("always")
        head, image = (
            _attempt(lambda: header(data, limits=LIMITS)),
            _attempt(lambda: read(data, limits=LIMITS)),
        )
        samples = _attempt(lambda: read_samples(data, limits=LIMITS))
        if isinstance(image, Image):
            assert isinstance(head, Header), "read, but its header was refused"
            _check_header(head, image, can_be_gray=has_gray(data))
            _write(image)
    assert all(issubclass(note.category, UserWarning) and "\n" not in str(note.message) for note in notes), (
        notes
    )
    assert time.monotonic() - start < MOST_SECONDS, f"took {time.monotonic() - start:.1f} s"
    assert _peak() - memory < MOST_MEMORY, f"took {(_peak() - memory) / 2**20:.0f} MiB"
    several = isinstance(head, Header) and head.frames > 1
    return image is not None or (several and samples is not None)


def _attempt(work: Callable[[], Any]) -> Any:
    """The result, or None for a PictureError, which must be one short line."""
    try:
        return work()
    except PictureError as error:
        line = str(error)
        assert line.isprintable(), line
        assert 0 < len(line) < 400, line
        return None


def has_gray(data: bytes) -> bool:
    """Whether the format of a file has a gray mode, so that its header tells how many channels it has."""
    found = formats.sniff(data[:256])
    return found is not None and found.gray


def _check_header(head: Header, image: Image, *, can_be_gray: bool) -> None:
    assert (head.width, head.height, head.depth, head.suffix) == (
        image.width,
        image.height,
        image.depth,
        image.suffix,
    ), head
    assert head.alpha == (image.alpha is not None), head
    assert image.channels in ((head.channels,) if can_be_gray else (1, 3)), head


def _write(image: Image) -> None:
    for policy in ("keep", "safe", "strip"):
        data = _attempt(lambda policy=policy: encode(image, image.suffix, metadata=policy))  # type: ignore[misc]
        assert data is not None or policy == "keep", f"cannot be written with {policy}"
        again = data and read(data)
        assert not again or (again.height, again.width) == (image.height, image.width)


def _peak() -> int:
    """The peak memory of this process, in bytes."""
    return (
        0
        if resource is None
        else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    )


def run(seed: int, seconds: float, folder: Path) -> Iterator[str]:
    """Try cases for a given time, and return a line for each broken promise."""
    files, end = seeds(), time.monotonic() + seconds
    read_well, index = 0, 0
    for index in itertools.count():
        if time.monotonic() > end:
            break
        data = case(seed, index, files)
        (folder / "current").write_bytes(data)
        try:
            read_well += check(data)
        except Exception as error:  # noqa: BLE001 - any exception is a finding
            (folder / f"{seed}-{index}").write_bytes(data)
            yield f"{folder / f'{seed}-{index}'}: {type(error).__name__}: {error}"
    with contextlib.suppress(FileNotFoundError):
        (folder / "current").unlink()
    print(f"seed {seed}: {index} files, {read_well} of them were read")


if __name__ == "__main__":
    findings = list(run(int(sys.argv[1]), float(sys.argv[2]), Path(sys.argv[3])))
    print("\n".join(findings))
    sys.exit(bool(findings))
