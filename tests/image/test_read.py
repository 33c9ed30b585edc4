import concurrent.futures
import contextlib
import io
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageOps
import PIL.PngImagePlugin
import pytest
import pyvips

from uformer.errors import PictureError
from uformer.image import exif_block
from uformer.image.image import Header
from uformer.image.read import Limits, header, read, read_samples

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (12, 20, 3), np.uint8)
SMOOTH = np.stack([np.add.outer(np.arange(24) * 3, np.arange(32) * 4)] * 3, axis=-1).astype(np.uint8)
FORMATS = {".png": "PNG", ".jpg": "JPEG", ".webp": "WEBP", ".tif": "TIFF", ".avif": "AVIF"}


def pillow(pixels: np.ndarray, form: str, *, mode: str | None = None, **options: Any) -> bytes:
    image = PIL.Image.fromarray(pixels)
    return save(image.convert(mode) if mode else image, form, **options)


def save(image: PIL.Image.Image, form: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def levels(pixels: np.ndarray, peak: int = 255) -> np.ndarray:
    return np.asarray(np.rint(pixels * peak).astype(np.int64))


def one_line(error: pytest.ExceptionInfo[PictureError]) -> str:
    message = str(error.value)
    assert message
    assert "\n" not in message
    return message


def chunk(name: bytes, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload)) + name + payload + struct.pack(">I", zlib.crc32(name + payload))


def png_header(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))


@pytest.mark.parametrize("suffix", FORMATS)
def test_each_format(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / "misnamed.dat"
    path.write_bytes(pillow(SMOOTH, FORMATS[suffix]))
    image = read(path)
    assert image.suffix == suffix
    assert image.depth == 8
    assert image.alpha is None
    assert image.pixels.dtype == np.float32
    assert image.pixels.flags.c_contiguous
    assert np.abs(levels(image.pixels)[..., :1] - SMOOTH[..., :1]).max() <= (
        0 if suffix in (".png", ".tif") else 8
    )
    np.testing.assert_array_equal(read(path.read_bytes()).pixels, image.pixels)


def test_gray_stays_gray() -> None:
    for form in ("PNG", "TIFF", "JPEG"):
        image = read(pillow(SMOOTH[..., 0].copy(), form))
        assert image.channels == 1
        assert np.abs(levels(image.pixels)[..., 0] - SMOOTH[..., 0]).max() <= (4 if form == "JPEG" else 0)


def test_gray_of_a_format_without_gray() -> None:
    assert read(pillow(SMOOTH, "WEBP", lossless=True)).channels == 1
    assert read(pillow(RGB, "WEBP", lossless=True)).channels == 3
    assert read(pillow(SMOOTH, "PNG")).channels == 3


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_alpha(mode: str) -> None:
    pixels = RNG.integers(0, 256, (9, 7, len(mode)), np.uint8)
    image = read(save(PIL.Image.frombytes(mode, (7, 9), pixels.tobytes()), "PNG"))
    assert image.alpha is not None
    assert image.alpha.dtype == np.uint8
    np.testing.assert_array_equal(image.alpha, pixels[..., -1])
    np.testing.assert_array_equal(levels(image.pixels), pixels[..., :-1])


def test_palette() -> None:
    palette = PIL.Image.fromarray(SMOOTH).quantize(17)
    np.testing.assert_array_equal(
        levels(read(save(palette, "PNG")).pixels), np.asarray(palette.convert("RGB"))
    )
    palette.info["transparency"] = 3
    image = read(save(palette, "PNG"))
    assert image.alpha is not None
    np.testing.assert_array_equal(image.alpha == 0, np.asarray(palette) == 3)


@pytest.mark.parametrize("saver", ["pngsave_buffer", "tiffsave_buffer"])
@pytest.mark.parametrize("bands", [1, 2, 3, 4])
def test_16_bits(saver: str, bands: int) -> None:
    samples = RNG.integers(0, 65536, (9, 7, bands), np.uint16)
    source = pyvips.Image.new_from_array(samples, interpretation="grey16" if bands < 3 else "rgb16")
    image = read(getattr(source, saver)())
    assert image.depth == 16
    colours = bands - (bands % 2 == 0)
    np.testing.assert_array_equal(levels(image.pixels, 65535), samples[..., :colours])
    if bands % 2 == 0:
        np.testing.assert_array_equal(image.alpha, samples[..., -1])


def test_12_bit_avif_reaches_white() -> None:
    samples = np.array([[[0] * 3, [65535] * 3, [32768, 16, 4096]]] * 2, np.uint16)
    source = pyvips.Image.new_from_array(samples, interpretation="rgb16")
    image = read(source.heifsave_buffer(compression="av1", lossless=True, bitdepth=12))
    assert image.depth == 16
    np.testing.assert_array_equal(levels(image.pixels, 4095), samples >> 4)
    assert image.pixels.max() == 1


def test_1_bit() -> None:
    bits = PIL.Image.fromarray(RGB).convert("1")
    for form in ("PNG", "TIFF"):
        with pytest.warns(UserWarning, match="^image: has 1 bit per pixel; read as 8-bit gray$"):
            image = read(save(bits, form))
        assert (image.channels, image.depth) == (1, 8)
        np.testing.assert_array_equal(levels(image.pixels)[..., 0], np.asarray(bits) * 255)


@pytest.mark.parametrize("bands", [1, 2, 3, 4])
def test_float_tiff(bands: int) -> None:
    samples = RNG.random((5, 6, bands), np.float32)
    image = read(
        pyvips.Image.new_from_array(samples, interpretation="b-w" if bands < 3 else "scrgb").tiffsave_buffer()
    )
    assert (image.depth, image.beyond) == (32, None)
    colours = bands - (bands % 2 == 0)
    np.testing.assert_array_equal(image.pixels, samples[..., :colours])
    if bands % 2 == 0:
        np.testing.assert_array_equal(image.alpha, samples[..., -1])


def float_tiff(samples: np.ndarray) -> bytes:
    return bytes(pyvips.Image.new_from_array(samples, interpretation="scrgb").tiffsave_buffer())


def test_float_beyond_white_is_carried() -> None:
    samples = RNG.random((20, 20, 3)).astype(np.float32)
    samples[3, 4], samples[5, 6] = (1.5, 7.25, 0.5), (-0.25, 0.5, 1)
    image = read(float_tiff(samples))
    assert image.beyond is not None
    assert (image.pixels.min(), image.pixels.max()) == (0, 1)
    np.testing.assert_array_equal(image.pixels + image.beyond, samples)
    assert np.count_nonzero(image.beyond) == 3


def test_float_of_another_range_is_read() -> None:
    samples = RGB.astype(np.float32) * 3 - 100
    np.testing.assert_array_equal(read(float_tiff(samples)).values, samples)


def test_float_that_is_not_finite_is_refused() -> None:
    for bad in (np.nan, np.inf, -np.inf):
        samples = np.zeros((4, 4, 3), np.float32)
        samples[0, 0, 0] = bad
        with pytest.raises(PictureError, match="not finite"):
            read(float_tiff(samples))
    with pytest.raises(PictureError, match="not finite"):
        read_samples(float_tiff(samples))


def test_float_samples_stay_as_they_are() -> None:
    values = RNG.normal(300, 50, (9, 7, 3)).astype(np.float32)
    np.testing.assert_array_equal(read_samples(float_tiff(values)), values)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_orientation(orientation: int, form: str) -> None:
    corners = np.zeros((16, 32, 3), np.uint8)
    corners[:8, :16], corners[:8, 16:], corners[8:, :16] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    options: dict[str, Any] = {"quality": 95, "subsampling": 0} if form == "JPEG" else {}
    data = pillow(corners, form, exif=exif, **options)
    expected = np.asarray(PIL.ImageOps.exif_transpose(PIL.Image.open(io.BytesIO(data))).convert("RGB"))
    image = read(data)
    assert image.pixels.flags.c_contiguous
    assert np.abs(levels(image.pixels) - expected).mean() < 2
    assert image.metadata.exif is None or exif_block.orientation(image.metadata.exif) == 1


@pytest.mark.parametrize("form", ["JPEG", "WEBP"])
def test_orientation_in_xmp_counts_where_exif_has_none(form: str) -> None:
    packet = b'<rdf:Description tiff:Orientation="6"/>'
    options: dict[str, Any] = {"xmp": packet, "quality": 95}
    data = pillow(SMOOTH, form, **options)
    expected = np.asarray(PIL.ImageOps.exif_transpose(PIL.Image.open(io.BytesIO(data))).convert("RGB"))
    image = read(data)
    assert (image.height, image.width) == (32, 24) == expected.shape[:2]
    assert np.abs(levels(image.pixels)[..., 0] - expected[..., 0]).mean() < 2
    assert image.metadata.xmp == packet.replace(b'"6"', b'"1"')
    assert (header(data).height, header(data).orientation) == (32, 6)
    exif = PIL.Image.Exif()
    exif[0x0112] = 1
    assert read(pillow(SMOOTH, form, exif=exif, **options)).height == 24  # by the EXIF orientation


def test_avif_turned_by_the_file_is_turned_once() -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    image = read(pillow(SMOOTH, "AVIF", exif=exif, quality=95))
    assert (image.height, image.width) == (32, 24)
    assert np.abs(levels(image.pixels)[..., 0] - np.rot90(SMOOTH[..., 0], -1)).mean() < 4


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_metadata_byte_for_byte(
    form: str, exif: bytes, turned_exif: bytes, profile: bytes, xmp: bytes
) -> None:
    options: dict[str, Any] = {
        "exif": b"Exif\0\0" + turned_exif,
        "icc_profile": profile,
        "xmp": xmp.replace(b'ion="1"', b'ion="6"'),
    }
    if form == "PNG":
        info = PIL.PngImagePlugin.PngInfo()
        info.add_itxt("XML:com.adobe.xmp", options.pop("xmp").decode())
        options["pnginfo"] = info
    metadata = read(pillow(RGB, form, **options)).metadata
    assert metadata.exif == exif
    assert metadata.xmp == xmp
    assert metadata.icc == profile


def test_cmyk_becomes_srgb() -> None:
    cmyk = np.zeros((16, 16, 4), np.uint8)
    cmyk[..., 1] = 255
    with pytest.warns(UserWarning, match="^image: is CMYK; converted to sRGB$"):
        image = read(save(PIL.Image.frombytes("CMYK", (16, 16), cmyk.tobytes()), "JPEG"))
    red, green, blue = image.pixels.mean((0, 1))
    assert image.channels == 3
    assert image.metadata.icc is None
    assert red > 0.6 > blue > green  # magenta ink


@pytest.mark.parametrize("kind", ["lab", "labs"])
def test_lab_becomes_srgb(kind: str) -> None:
    lab = pyvips.Image.black(8, 8, bands=3).linear([1, 1, 1], [50, 20, -30]).copy(interpretation="lab")
    with pytest.warns(UserWarning, match="Lab; converted to sRGB"):
        image = read(lab.colourspace(kind).tiffsave_buffer())
    assert image.depth == 16
    np.testing.assert_allclose(levels(image.pixels)[0, 0], [133, 108, 170], atol=1)


def test_premultiplied_tiff_comes_out_plain() -> None:
    pixels = np.full((8, 8, 4), 128, np.uint8)
    pixels[..., :3] = 200
    data = pyvips.Image.new_from_array(pixels, interpretation="srgb").tiffsave_buffer(premultiply=True)
    image = read(data)
    assert np.abs(levels(image.pixels) - 200).max() <= 1
    np.testing.assert_array_equal(image.alpha, np.full((8, 8), 128))


def test_profile_of_other_channels_is_ignored(profile: bytes) -> None:
    assert read(pillow(SMOOTH[..., 0].copy(), "PNG", icc_profile=profile)).metadata.icc is None


def test_webp_knows_whether_it_is_lossless() -> None:
    assert read(pillow(RGB, "WEBP", lossless=True)).lossless
    assert not read(pillow(RGB, "WEBP")).lossless


@pytest.mark.parametrize(
    "name", ["späß Ω 写真.png", "two words.png", "a[page=2].png", "[x].png", "a,b=c.png", "-.png", "%d.png"]
)
def test_any_name(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(pillow(RGB, "PNG"))
    np.testing.assert_array_equal(levels(read(str(path)).pixels), RGB)


@pytest.mark.skipif(sys.platform != "linux", reason="needs a file system of bytes")
def test_a_name_that_is_not_text(tmp_path: Path) -> None:
    path = Path(os.fsdecode(bytes(tmp_path) + b"/\xff\xfe.png"))
    path.write_bytes(pillow(RGB, "PNG"))
    assert read(path).width == 20


def test_bomb_is_refused_from_its_header() -> None:
    bomb = png_header(60_000, 60_000) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    with pytest.raises(PictureError, match=r"60000 x 60000 pixels, over the limit") as error:
        read(bomb)
    one_line(error)


@pytest.mark.parametrize("interlace", [0, 1])
def test_gif(interlace: int) -> None:
    palette = PIL.Image.fromarray(RGB).quantize(40)
    image = read(save(palette, "GIF", interlace=interlace))
    assert (image.suffix, image.depth, image.lossless, image.alpha) == (".png", 8, True, None)
    assert np.array_equal(np.rint(image.pixels * 255), np.asarray(palette.convert("RGB")))
    gray = PIL.Image.fromarray(SMOOTH[..., 0].copy())
    assert np.array_equal(np.rint(read(save(gray, "GIF")).pixels[..., 0] * 255), np.asarray(gray))
    clear = read(save(palette, "GIF", transparency=3)).alpha
    assert clear is not None
    assert np.array_equal(clear == 0, np.asarray(palette) == 3)
    with pytest.raises(PictureError, match="cannot be read as GIF: premature end of data"):
        read(save(palette, "GIF")[:-9])


def test_avif_that_claims_to_be_large_is_refused() -> None:
    data = pillow(RGB, "AVIF")
    sides = struct.pack(">II", 20, 12)
    assert data.count(sides) == 1
    with pytest.raises(PictureError):
        read(data.replace(sides, struct.pack(">II", 60_000, 60_000)))


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (Limits(max_pixels=239), "240|over the limit of 239"),
        (Limits(max_side=19), "a side is over the limit of 19"),
        (Limits(max_bytes=100), "larger than the limit of 100 bytes"),
    ],
)
def test_limits(limits: Limits, message: str, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(pillow(RGB, "PNG"))
    for source in (path, path.read_bytes()):
        with pytest.raises(PictureError, match=message):
            read(source, limits=limits)
    assert read(path, limits=Limits(max_pixels=240, max_side=20)).width == 20


@pytest.mark.parametrize("suffix", FORMATS)
def test_cut_off(suffix: str, tmp_path: Path) -> None:
    data = pillow(RGB, FORMATS[suffix])
    path = tmp_path / f"cut{suffix}"
    for length in (13, len(data) // 2, len(data) - 16):
        path.write_bytes(data[:length])
        with pytest.raises(PictureError) as error:
            read(path)
        assert one_line(error).startswith(str(path))


@pytest.mark.parametrize(
    "content",
    [b"this is text\n", b"BM" + bytes(40), b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"\x89PNG"],
)
def test_not_a_picture(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(PictureError, match="not a PNG, JPEG, WebP, TIFF or AVIF image") as error:
        read(path)
    one_line(error)


def test_empty(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    with pytest.raises(PictureError, match=r"a\.png: is empty"):
        read(tmp_path / "a.png")
    with pytest.raises(PictureError, match="is empty"):
        read(b"")


def test_not_a_file(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match="is not a file"):
        read(tmp_path)
    with pytest.raises(PictureError, match="No such file"):
        read(tmp_path / "missing.png")
    with pytest.raises(PictureError, match="is not a file name"):
        read("a\0b.png")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(PictureError, match="is not a file"):
        read(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ("PNG", "is an animation of 3 frames; only a still image can be restored, so save each"),
        ("WEBP", "is an animation of 3 frames; only a still image can be restored, so save each"),
        ("TIFF", "holds 3 images, and only one can be read here; `uformer restore`"),
        ("AVIF", "is an animation; only a still image can be restored, so save each"),
        ("GIF", "is an animation of 3 frames; only a still image can be restored, so save each"),
    ],
)
def test_several_frames_or_pages_are_refused(form: str, said: str) -> None:
    frames = [
        PIL.Image.fromarray(SMOOTH),
        PIL.Image.fromarray(SMOOTH[::-1].copy()),
        PIL.Image.fromarray(SMOOTH[:, ::-1].copy()),
    ]
    data = save(frames[0], form, save_all=True, append_images=frames[1:])
    with pytest.raises(PictureError, match=f"^image: {said}"):
        read(data)
    assert read_samples(data).shape == SMOOTH.shape  # training reads the first
    assert header(data).frames == (2 if form == "AVIF" else 3)


def test_a_million_empty_chunks_cost_no_time() -> None:
    data = png_header(8, 8) + chunk(b"teSt", b"") * 1_000_000
    with pytest.raises(PictureError):
        read(data)


def test_many_threads_read_at_once() -> None:
    sources = [pillow(np.roll(RGB, shift, 0), "PNG") for shift in range(8)] + [pillow(RGB, "JPEG")[:-200]] * 8

    def levels_or_error(data: bytes) -> np.ndarray | str:
        try:
            return levels(read(data).pixels)
        except PictureError as error:
            return str(error)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        results = list(pool.map(levels_or_error, sources * 4))
    for index, result in enumerate(results):
        shift = index % len(sources)
        if shift < 8:
            np.testing.assert_array_equal(result, np.roll(RGB, shift, 0))
        else:
            assert isinstance(result, str)


def test_raw_file_is_refused() -> None:
    info = {254: 1}
    with pytest.raises(PictureError, match="raw file"):
        read(pillow(RGB, "TIFF", tiffinfo=info))


def test_five_channels_are_refused() -> None:
    with pytest.raises(PictureError, match="5 channels"):
        read(pyvips.Image.black(8, 8, bands=5).copy(interpretation="multiband").tiffsave_buffer())


@pytest.mark.parametrize(("kind", "name"), [("uint", "uint32"), ("short", "int16"), ("double", "float64")])
def test_samples_without_a_white_are_left_to_stacks(kind: str, name: str) -> None:
    data = pyvips.Image.black(8, 4).cast(kind).tiffsave_buffer()
    found = header(data)
    assert (found.width, found.height, found.depth) == (8, 4, 32)
    assert found.stack == f"has {name} samples"
    for ask in (read, read_samples):
        with pytest.raises(
            PictureError, match=f"has {name} samples, which cannot be read here; `uformer res"
        ):
            ask(data)


def test_libvips_is_silent_and_its_untrusted_loaders_are_off(tmp_path: Path) -> None:
    path = tmp_path / "noisy.jpg"
    data = pillow(RGB, "JPEG", quality=90)
    path.write_bytes(
        data[:2] + b"\xff\xe1" + struct.pack(">H", 14) + b"Exif\0\0garbag" + data[2:-40] + b"\0" * 40
    )
    code = f"""
import pyvips
from uformer.errors import PictureError
from uformer.image.read import read
try:
    read({str(path)!r})
except PictureError:
    pass
try:
    pyvips.vips_lib.vips_error_thaw()
    pyvips.Image.svgload_buffer(b"<svg xmlns='http://www.w3.org/2000/svg' width='1' height='1'/>")
except pyvips.Error as error:
    assert "blocked" in str(error) or "class" in str(error), error
else:
    raise SystemExit("svg was loaded")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("form", FORMATS.values())
def test_damage_never_escapes_as_another_error(form: str, turned_exif: bytes) -> None:
    data = pillow(RGB, form, exif=b"Exif\0\0" + turned_exif)
    rng = np.random.default_rng(7)
    for _ in range(60):
        damaged = bytearray(data)
        for position in rng.integers(12, len(data), 3):
            damaged[position] = rng.integers(256)
        with contextlib.suppress(PictureError):
            read(bytes(damaged))


def test_samples_are_the_files_own() -> None:
    assert np.array_equal(read_samples(pillow(RGB, "PNG")), RGB)
    wide = np.arange(24, dtype=np.uint16).reshape(4, 6) * 1000
    assert np.array_equal(read_samples(pillow(wide, "PNG")), wide[..., None])
    alpha = np.dstack([RGB, RGB[..., :1]])
    assert np.array_equal(read_samples(pillow(alpha, "PNG")), RGB)
    assert np.array_equal(read_samples(pillow(alpha, "TIFF")), RGB)


@pytest.mark.parametrize("channels", [5, 8])
def test_samples_of_many_channels(channels: int) -> None:
    samples = RNG.integers(0, 65536, (6, 7, channels), np.uint16)
    data = pyvips.Image.new_from_array(samples).tiffsave_buffer()
    assert np.array_equal(read_samples(data), samples)


def test_samples_are_upright(turned_exif: bytes) -> None:
    assert read_samples(pillow(SMOOTH, "PNG", exif=b"Exif\0\0" + turned_exif)).shape == (32, 24, 3)


def test_samples_refuse_what_read_refuses() -> None:
    for data in (b"no picture", pillow(RGB, "PNG")[:60]):
        with pytest.raises(PictureError):
            read_samples(data)


def test_header(tmp_path: Path, turned_exif: bytes) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(pillow(SMOOTH, "JPEG", exif=b"Exif\0\0" + turned_exif))
    expected = Header(width=24, height=32, channels=3, alpha=False, depth=8, suffix=".jpg", orientation=6)
    assert header(path) == header(path.read_bytes()) == expected
    assert expected.pixels == 24 * 32
    gray = pyvips.Image.black(3, 2, bands=2).cast("ushort").copy(interpretation="grey16").pngsave_buffer()
    assert header(gray) == Header(width=3, height=2, channels=1, alpha=True, depth=16, suffix=".png")
    assert header(save(PIL.Image.new("CMYK", (3, 2)), "TIFF")).converted


def test_header_decodes_nothing() -> None:
    data = pillow(RGB, "PNG")
    assert header(data[:60]).width == 20
    with pytest.raises(PictureError):
        header(b"text")


def test_a_jpeg_that_claims_more_than_it_holds_is_refused() -> None:
    data = bytearray(pillow(RGB, "JPEG"))
    struct.pack_into(">HH", data, data.find(b"\xff\xc0") + 5, 64, 64)
    with pytest.raises(PictureError, match="premature end of data"):
        read(bytes(data))
    with pytest.raises(PictureError, match="premature end of data"):
        read_samples(bytes(data))


def test_a_jpeg_with_some_bytes_too_many_is_read() -> None:
    data = pillow(RGB, "JPEG")
    start = data.find(b"\xff\xdb")
    odd = data[:start] + b"\0\0" + data[start:]
    np.testing.assert_array_equal(read(odd).pixels, read(data).pixels)


def test_what_does_not_fit_into_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from uformer.image import opening

    data = bytes(pyvips.Image.black(3000, 2000, bands=3).copy(interpretation="srgb").pngsave_buffer())
    monkeypatch.setattr(opening, "available_memory", lambda: 2**26)
    with pytest.raises(
        PictureError, match=r"reading 3000 x 2000 pixels takes 0\.1 GiB of memory; 0\.1 GiB are free"
    ):
        read(data)
    assert header(data).width == 3000


@pytest.mark.parametrize("form", ["png", "webp", "jpg"])
def test_what_takes_too_long_is_refused(form: str) -> None:
    data = pyvips.Image.black(6000, 6000, bands=3).copy(interpretation="srgb").write_to_buffer(f".{form}")
    with pytest.raises(PictureError, match=r"decoding takes longer than the limit of 0\.001 s") as error:
        read(data, limits=Limits(max_seconds=0.001))
    one_line(error)


def test_an_associated_alpha_is_exact_and_its_colours_are_plain() -> None:
    """Each pair of colour and alpha, premultiplied by Pillow's rule, is exact within 8-bit products."""
    colour, alpha = np.meshgrid(np.arange(256), np.arange(256))
    product = np.rint(colour * alpha / 255).astype(np.uint8)
    samples = np.dstack([product] * 3 + [alpha.astype(np.uint8)])
    tiff = bytearray(
        pyvips.Image.new_from_array(samples, interpretation="srgb").tiffsave_buffer(compression="none")
    )
    at = tiff.find(struct.pack("<HHIH", 338, 3, 1, 2))  # ExtraSamples: unassociated
    assert at > 0
    struct.pack_into("<H", tiff, at + 8, 1)
    image = read(bytes(tiff))
    np.testing.assert_array_equal(image.alpha, alpha)
    error = np.abs(levels(image.pixels)[..., 0] - colour)
    assert (error <= 0.5 * 255 / np.maximum(alpha, 1) + 1)[1:].all()
    assert error[255].max() == 0


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("channels", [1, 3])
def test_one_clear_colour_of_a_png(depth: int, channels: int) -> None:
    peak = (1 << depth) - 1
    rows = np.array([[[7] * channels, [8] * channels, [peak] * channels]], np.uint8 if depth == 8 else ">u2")
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 3, 1, depth, 0 if channels == 1 else 2, 0, 0, 0))
    body = chunk(b"tRNS", struct.pack(f">{channels}H", *[7] * channels)) + chunk(
        b"IDAT", zlib.compress(b"\0" + rows.tobytes())
    )
    image = read(b"\x89PNG\r\n\x1a\n" + header + body + chunk(b"IEND", b""))
    np.testing.assert_array_equal(image.alpha, [[0, peak, peak]])
    np.testing.assert_array_equal(levels(image.pixels, peak), rows.astype(int))
    assert (image.channels, image.depth) == (channels, depth)


def test_colours_that_only_a_number_tells_of_are_kept() -> None:
    data = pillow(RGB, "PNG")
    pq = (b"cICP", bytes([9, 16, 0, 1]))
    assert read(data[:33] + chunk(*pq) + data[33:]).metadata.chunks == (pq,)
