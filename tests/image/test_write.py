import contextlib
import errno
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageCms
import pytest
import pyvips
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from uformer.errors import OptionError, PictureError
from uformer.image import formats, iptc, vips
from uformer.image.image import Image, JpegCoding, Metadata
from uformer.image.read import read
from uformer.image.write import SUFFIXES, encode, supports, write

RNG = np.random.default_rng(0)
LOSSLESS = (".png", ".tif")
WITH_ALPHA = (".png", ".tif", ".webp", ".avif")


def picture(channels: int = 3, *, depth: int = 8, alpha: bool = False, side: int = 16, **rest: Any) -> Image:
    """Noise."""
    peak = 2**depth - 1
    pixels = RNG.integers(0, peak + 1, (side, side + 3, channels)).astype(np.float32) / np.float32(peak)
    plane: Any = RNG.integers(0, peak + 1, pixels.shape[:2]).astype(np.uint8 if depth == 8 else np.uint16)
    return Image(pixels=pixels, alpha=plane if alpha else None, depth=depth, **rest)


def smooth(**rest: Any) -> Image:
    """A gradient, which lossy formats preserve well."""
    rows, columns = np.mgrid[0:40, 0:48].astype(np.float32)
    return Image(pixels=np.stack([rows / 40, columns / 48, (rows + columns) / 88], axis=-1), **rest)


@pytest.fixture
def everything(exif: bytes, profile: bytes, xmp: bytes) -> Metadata:
    return Metadata(icc=profile, exif=exif, xmp=xmp, resolution=(300 / 25.4, 150 / 25.4))


@settings(max_examples=40)
@given(st.data())
def test_what_was_read_is_written_bit_for_bit(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from([np.uint8, np.uint16]))
    bands = data.draw(st.integers(1, 4))
    shape = (*data.draw(arrays.array_shapes(min_dims=2, max_dims=2, max_side=9)), bands)
    samples = data.draw(arrays.arrays(kind, shape))
    suffix = data.draw(st.sampled_from(LOSSLESS))
    wide = kind is np.uint16
    interpretation = ("grey16" if wide else "b-w") if bands < 3 else ("rgb16" if wide else "srgb")
    source = pyvips.Image.new_from_array(samples, interpretation=interpretation).write_to_buffer(suffix)
    written = pyvips.Image.new_from_buffer(encode(read(source), suffix), "").numpy().reshape(shape)
    assert written.dtype == kind
    np.testing.assert_array_equal(written, samples)


@pytest.mark.parametrize("depth", [8, 16])
def test_every_level_survives(depth: int) -> None:
    levels = np.arange(2**depth, dtype=np.uint16 if depth == 16 else np.uint8).reshape(-1, 256)
    image = read(
        pyvips.Image.new_from_array(
            levels, interpretation="grey16" if depth == 16 else "b-w"
        ).pngsave_buffer()
    )
    np.testing.assert_array_equal(pyvips.Image.pngload_buffer(encode(image, ".png")).numpy(), levels)


@pytest.mark.parametrize("suffix", WITH_ALPHA)
@pytest.mark.parametrize("channels", [1, 3])
def test_alpha_is_exact(suffix: str, channels: int) -> None:
    for lossless in (True, False):
        image = picture(channels, alpha=True, lossless=lossless)
        again = read(encode(image, suffix))
        assert again.channels == channels
        np.testing.assert_array_equal(again.alpha, image.alpha)


@pytest.mark.parametrize("suffix", LOSSLESS)
def test_16_bit_alpha_is_exact(suffix: str) -> None:
    image = picture(1, depth=16, alpha=True)
    np.testing.assert_array_equal(read(encode(image, suffix)).alpha, image.alpha)


def test_16_bits_are_rounded_where_a_format_holds_fewer() -> None:
    image = picture(depth=16, alpha=True)
    assert image.alpha is not None
    webp = read(encode(image, ".webp"))
    assert webp.depth == 8
    np.testing.assert_array_equal(np.rint(webp.pixels * 255), np.rint(image.pixels * 255))
    np.testing.assert_array_equal(webp.alpha, np.rint(image.alpha / 257))
    avif = read(encode(image, ".avif"))
    assert avif.depth == 16
    np.testing.assert_array_equal(np.rint(avif.pixels * 4095), np.rint(image.pixels * 4095))
    assert avif.alpha is not None
    assert np.abs(avif.alpha.astype(int) - image.alpha).max() <= 8
    again = read(encode(avif, ".avif"))
    np.testing.assert_array_equal(again.pixels, avif.pixels)
    np.testing.assert_array_equal(again.alpha, avif.alpha)


def test_jpeg_cannot_hold_alpha(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match="JPEG cannot hold alpha; PNG, WebP, TIFF and AVIF can"):
        write(picture(alpha=True), tmp_path / "a.jpg")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_lossy_formats_stay_close(suffix: str) -> None:
    image = smooth(lossless=False)
    again = read(encode(image, suffix))
    assert (
        np.abs(again.pixels - image.pixels).mean() < 1.5 / 255
    )  # WebP's range of 219 levels costs half a level
    assert np.abs(again.pixels - image.pixels).max() < 8 / 255


def test_what_was_lossless_stays_so_in_webp() -> None:
    exact = read(encode(smooth(), ".webp"))
    np.testing.assert_array_equal(np.rint(exact.pixels * 255), np.rint(smooth().pixels * 255))
    assert exact.lossless
    assert not read(encode(read(encode(smooth(), ".jpg")), ".webp")).lossless


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_gray_stays_gray(suffix: str) -> None:
    for lossless in (True, False):
        image = Image(pixels=smooth().pixels[..., 2:].copy(), lossless=lossless)
        again = read(encode(image, suffix))
        assert again.channels == 1
        assert np.abs(again.pixels - image.pixels).max() < 4 / 255


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_same_bytes_each_time(suffix: str, everything: Metadata) -> None:
    image = smooth(metadata=everything)
    assert encode(image, suffix) == encode(image, suffix.upper())


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_metadata_are_kept(suffix: str, alpha: bool, everything: Metadata) -> None:
    if alpha and suffix in (".jpg", ".jpeg"):
        pytest.skip("no alpha in JPEG")
    data = encode(picture(metadata=everything, alpha=alpha), suffix)
    found = read(data).metadata
    assert found.icc == everything.icc
    assert found.xmp == everything.xmp
    if suffix not in (".tif", ".tiff"):
        assert found.exif == everything.exif
    if suffix not in (".webp", ".avif"):
        assert found.resolution == pytest.approx(everything.resolution, rel=1e-3)
    with PIL.Image.open(io.BytesIO(data)) as other:  # a second opinion
        other.load()
        seen = other.getexif()
        assert seen[0x010F] == "Acme"
        assert seen.get_ifd(0x8769)[0x9003] == "2020:01:02 03:04:05"
        assert seen.get_ifd(0x8769)[0x927C] == b"maker\0\1\2\3"
        assert seen.get_ifd(0x8825)[2] == (52, 31, 12)
        assert other.info["icc_profile"] == everything.icc


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_strip_leaves_the_colours_only(suffix: str, everything: Metadata) -> None:
    data = encode(picture(metadata=everything), suffix, metadata="strip")
    found = read(data).metadata
    assert found.icc == everything.icc
    assert found.exif is None
    assert found.xmp is None
    assert found.iptc is None
    assert b"Acme" not in data
    assert b"xmpmeta" not in data


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_orientation_is_applied_once(suffix: str, turned_exif: bytes) -> None:
    source = io.BytesIO()
    PIL.Image.fromarray(np.rint(smooth().pixels * 255).astype(np.uint8)).save(
        source, "JPEG", exif=b"Exif\0\0" + turned_exif, quality=95
    )
    first = read(source.getvalue())
    again = read(encode(first, suffix))
    assert (first.height, first.width) == (again.height, again.width) == (48, 40)
    assert np.abs(first.pixels - again.pixels).max() < 12 / 255


def test_iptc_is_kept_in_jpeg() -> None:
    iptc = b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\x0a\x1c\x02\x78\0\x05hello"
    image = smooth(metadata=Metadata(iptc=iptc))
    assert b"hello" in (read(encode(image, ".jpg")).metadata.iptc or b"")
    assert read(encode(image, ".jpg", metadata="strip")).metadata.iptc is None


def test_exif_that_jpeg_cannot_hold(exif: bytes) -> None:
    image = smooth(metadata=Metadata(exif=exif + bytes(70_000)))
    with pytest.raises(PictureError, match="do not fit into JPEG"):
        encode(image, ".jpg")
    assert read(encode(image, ".jpg", metadata="strip")).width == 48
    assert read(encode(image, ".png")).metadata.exif == image.metadata.exif


def test_xmp_that_jpeg_cannot_hold() -> None:
    image = smooth(metadata=Metadata(xmp=b"<x:xmpmeta>" + b" " * 70_000 + b"</x:xmpmeta>"))
    with pytest.raises(PictureError, match="do not fit into JPEG"):
        encode(image, ".jpg")


def gray_profile() -> bytes:
    """A gray profile in linear light."""
    curve = b"curv\0\0\0\0\0\0\0\1\1\0\0\0"  # one value: gamma 1.0 as u8Fixed8
    white = b"XYZ \0\0\0\0\0\0\xf6\xd6\0\1\0\0\0\0\xd3\x2d"
    text = b"text\0\0\0\0none\0\0\0\0"
    description = b"desc\0\0\0\0\0\0\0\2g\0" + bytes(4 + 4 + 2 + 1 + 67 + 3)
    tags = {b"desc": description, b"cprt": text, b"wtpt": white, b"kTRC": curve}
    offset = 128 + 4 + 12 * len(tags)
    table, body = len(tags).to_bytes(4, "big"), b""
    for name, value in tags.items():
        padded = value + bytes(-len(value) % 4)
        table += name + (offset + len(body)).to_bytes(4, "big") + len(padded).to_bytes(4, "big")
        body += padded
    size = 128 + len(table) + len(body)
    head = (
        size.to_bytes(4, "big") + bytes(4) + b"\2\x40\0\0" + b"mntrGRAYXYZ " + bytes(12) + b"acsp" + bytes(28)
    )
    head += b"\0\0\xf6\xd6\0\1\0\0\0\0\xd3\x2d"
    return head.ljust(128, b"\0") + table + body


def test_gray_profile_in_a_format_without_gray() -> None:
    image = Image(pixels=np.full((8, 8, 1), 0.5, np.float32), metadata=Metadata(icc=gray_profile()))
    assert read(encode(image, ".png")).metadata.icc == image.metadata.icc
    webp = read(encode(image, ".webp"))
    assert webp.metadata.icc is None
    assert webp.pixels.mean() == pytest.approx(0.735, abs=0.01)  # linear 0.5 in sRGB


def test_gray_pixels_with_an_rgb_profile_keep_it(profile: bytes) -> None:
    image = Image(pixels=np.full((8, 8, 1), 0.5, np.float32), metadata=Metadata(icc=profile))
    again = read(encode(image, ".png"))
    assert again.channels == 3
    assert again.metadata.icc == profile


def test_values_are_clipped_and_rounded() -> None:
    pixels = np.array([[[-0.5, 2.0, 100.4 / 255]]], np.float32)
    np.testing.assert_array_equal(
        np.rint(read(encode(Image(pixels=pixels), ".png")).pixels * 255), [[[0, 255, 100]]]
    )


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_non_finite_pixels_are_refused(bad: float, tmp_path: Path) -> None:
    image = picture()
    image.pixels[3, 4, 1] = bad
    with pytest.raises(PictureError, match="not finite"):
        write(image, tmp_path / "a.png")
    assert not list(tmp_path.iterdir())


def test_sides_that_a_format_cannot_hold() -> None:
    long = Image(pixels=np.zeros((1, 16_385, 1), np.float32))
    for suffix in (".webp", ".avif"):
        with pytest.raises(PictureError, match="cannot hold 16385 x 1 pixels"):
            encode(long, suffix)
    assert read(encode(long, ".jpg")).width == 16_385


def test_one_pixel() -> None:
    for suffix in SUFFIXES:
        assert read(encode(Image(pixels=np.ones((1, 1, 3), np.float32)), suffix)).pixels.min() > 0.99


def test_the_picture_is_not_changed(everything: Metadata) -> None:
    image = picture(alpha=True, metadata=everything)
    assert image.alpha is not None
    pixels, alpha = image.pixels.copy(), image.alpha.copy()
    for suffix in WITH_ALPHA:
        encode(image, suffix)
    np.testing.assert_array_equal(image.pixels, pixels)
    np.testing.assert_array_equal(image.alpha, alpha)


def test_suffixes() -> None:
    assert supports(".PNG")
    assert supports(".jpeg")
    for other in (".gif", "png", "", ".heic"):
        assert not supports(other)
        with pytest.raises(PictureError, match="is not one of"):
            encode(picture(), other)


@pytest.mark.parametrize(
    "name", ["späß 写真.png", "a[Q=3].jpg", "two words.webp", "%d.tif", "x" * 240 + ".avif"]
)
def test_any_name(name: str, tmp_path: Path) -> None:
    write(smooth(), str(tmp_path / name))
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert read(tmp_path / name).width == 48


def test_unknown_suffix_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match=r"a\.gif: suffix '\.gif' is not one of \.png"):
        write(picture(), tmp_path / "a.gif")


def test_neither_keep_nor_strip() -> None:
    with pytest.raises(OptionError, match="'drop' must be keep, strip or safe"):
        encode(picture(), ".png", metadata="drop")  # type: ignore[arg-type]


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match=r"a\.png: cannot be written: No such file or directory"):
        write(picture(), tmp_path / "missing" / "a.png")


def test_a_folder_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "a.png").mkdir()
    with pytest.raises(PictureError, match="cannot be written"):
        write(picture(), tmp_path / "a.png")
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.skipif(getattr(os, "geteuid", int)() == 0, reason="root may write anywhere")
def test_unwritable_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(PictureError, match="Permission denied"):
        write(picture(), tmp_path / "a.png")


def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(smooth(), tmp_path / "a.png")
    before = (tmp_path / "a.png").read_bytes()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(PictureError, match=r"a\.png: cannot be written: No space left on device"):
        write(picture(), tmp_path / "a.png")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [before]


@contextlib.contextmanager
def small_files_only() -> Iterator[None]:
    """Limit this process's files to 2048 bytes, only briefly, because pytest writes files too."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2048, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_write_that_stops_half_way(tmp_path: Path) -> None:
    large = picture(side=64)
    with small_files_only(), pytest.raises(PictureError, match="File too large"):
        write(large, tmp_path / "a.png")
    assert not list(tmp_path.iterdir())


def jpeg(pixels: np.ndarray, **options: Any) -> bytes:
    file = io.BytesIO()
    PIL.Image.fromarray(pixels).save(file, "JPEG", **options)
    return file.getvalue()


@pytest.mark.parametrize("quality", [90, 93, 95, 98, 100])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:0"])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_is_written_as_it_was_read(quality: int, subsampling: str, progressive: bool) -> None:
    pixels = np.rint(smooth().pixels * 255).astype(np.uint8)
    image = read(jpeg(pixels, quality=quality, subsampling=subsampling, progressive=progressive))
    again = read(encode(image, ".jpg"))
    assert (
        again.jpeg
        == image.jpeg
        == JpegCoding(quality=quality, subsampled=subsampling == "4:2:0", progressive=progressive)
    )


def test_a_poor_jpeg_is_written_better() -> None:
    image = read(jpeg(np.rint(smooth().pixels * 255).astype(np.uint8), quality=30))
    assert image.jpeg is not None
    assert image.jpeg.quality == 30
    again = read(encode(image, ".jpg")).jpeg
    assert again is not None
    assert again.quality == formats.LOWEST_QUALITY


def test_colours_of_4_2_2_are_not_halved_further() -> None:
    image = read(jpeg(np.rint(smooth().pixels * 255).astype(np.uint8), quality=95, subsampling="4:2:2"))
    again = read(encode(image, ".jpg")).jpeg
    assert again == JpegCoding(quality=95, subsampled=False, progressive=False)


@pytest.mark.parametrize("bands", [1, 2, 3, 4])
def test_float_comes_back_as_float_bit_for_bit(bands: int) -> None:
    samples = RNG.random((30, 20, bands), np.float32)
    samples[3, 4] = 1.5
    samples[5, 6, :1] = -0.25
    source = pyvips.Image.new_from_array(
        samples, interpretation="b-w" if bands < 3 else "scrgb"
    ).tiffsave_buffer()
    image = read(source)
    written = pyvips.Image.tiffload_buffer(encode(image, ".tif"))
    assert written.format == "float"
    np.testing.assert_array_equal(written.numpy().reshape(samples.shape), samples)


@pytest.mark.parametrize(("suffix", "depth"), [(".png", 16), (".avif", 16), (".webp", 8), (".jpg", 8)])
def test_float_is_rounded_where_a_format_holds_none(suffix: str, depth: int) -> None:
    gradient = smooth().pixels
    beyond = np.zeros_like(gradient)
    beyond[-1] = 0.5
    alpha: Any = (
        None
        if suffix == ".jpg"
        else np.linspace(-1, 2, gradient[..., 0].size, dtype=np.float32).reshape(gradient.shape[:2])
    )
    again = read(encode(Image(pixels=gradient, beyond=beyond, alpha=alpha, depth=32), suffix))
    assert again.depth == depth
    assert np.abs(again.pixels - gradient).max() < (8 / 255 if suffix == ".jpg" else 3 / 255)
    if alpha is not None:
        assert again.alpha is not None
        peak = 255 if depth == 8 else 65535
        assert np.abs(again.alpha / peak - np.clip(alpha, 0, 1)).max() < 1 / 255


def test_whole_alpha_becomes_float() -> None:
    for kind in (np.uint8, np.uint16):
        alpha: Any = np.array([[0, np.iinfo(kind).max]], kind)
        again = read(encode(Image(pixels=np.ones((1, 2, 3), np.float32), alpha=alpha, depth=32), ".tif"))
        np.testing.assert_array_equal(again.alpha, [[0, 1]])


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_safe_keeps_the_camera_and_drops_the_place(suffix: str, everything: Metadata) -> None:
    data = encode(picture(metadata=everything), suffix, metadata="safe")
    assert read(data).metadata.icc == everything.icc
    assert b"maker" not in data
    with PIL.Image.open(io.BytesIO(data)) as other:
        seen = other.getexif()
        assert seen[0x010F] == "Acme"
        assert seen.get_ifd(0x8769)[0x9003] == "2020:01:02 03:04:05"
        assert 0x927C not in seen.get_ifd(0x8769)
        assert dict(seen.get_ifd(0x8825)) == {}


def test_iptc_in_each_format() -> None:
    records = b"\x1c\x02\x78\0\x05hello\x1c\x02\x74\0\x05(c) x"
    image = smooth(metadata=Metadata(iptc=iptc.wrapped(records)))
    for suffix in (".jpg", ".tif"):
        assert iptc.records(read(encode(image, suffix)).metadata.iptc or b"") == records
        assert iptc.records(read(encode(image, suffix, metadata="safe")).metadata.iptc or b"") == records[10:]
        assert read(encode(image, suffix, metadata="strip")).metadata.iptc is None
    for suffix, name in ((".png", "PNG"), (".webp", "WebP"), (".avif", "AVIF")):
        with pytest.warns(UserWarning, match=f"^{name} cannot hold IPTC; left out$"):
            encode(image, suffix)


@pytest.mark.parametrize("suffix", WITH_ALPHA)
def test_colours_under_a_clear_alpha_stay(suffix: str) -> None:
    image = picture(alpha=True)
    assert image.alpha is not None
    image.alpha[:8] = 0
    np.testing.assert_array_equal(
        np.rint(read(encode(image, suffix)).pixels * 255), np.rint(image.pixels * 255)
    )


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (2, 1), (1, 700), (700, 1)])
def test_any_size(suffix: str, shape: tuple[int, int]) -> None:
    for channels in (1, 3):
        again = read(encode(Image(pixels=np.full((*shape, channels), 1, np.float32)), suffix))
        assert again.pixels.shape[:2] == shape
        assert again.channels in ((1,) if suffix in (".webp", ".avif") else (channels,))
        assert again.pixels.min() == 1, "white stays white"


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("level", [0, 1, 17, 128, 254, 255])
def test_a_flat_picture_comes_back_within_a_level(suffix: str, level: int) -> None:
    for lossless in (False, True):
        flat = np.full((20, 20, 3), level / 255, np.float32)
        again = read(encode(Image(pixels=flat, lossless=lossless), suffix))
        assert np.abs(again.pixels * 255 - level).max() < 1.001


def test_a_large_jpeg_is_coded_row_by_row(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.random.default_rng(0).random((40, 30, 3), dtype=np.float32)
    progressive = Image(pixels=pixels, jpeg=JpegCoding(quality=90, subsampled=False, progressive=True))
    assert vips.integer(pyvips.Image.jpegload_buffer(encode(progressive, ".jpg")), "interlaced", 0) == 1
    monkeypatch.setattr("uformer.image.prepare._CODED_AT_ONCE", 1000)
    assert vips.integer(pyvips.Image.jpegload_buffer(encode(progressive, ".jpg")), "interlaced", 0) == 0
