"""A stack is read page by page, and each plane knows its channel."""

import io
import struct
import zlib
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import pyvips
import tifffile

from tests.image.stacks import counts, save_imagej, save_ome
from uformer.errors import PictureError
from uformer.image.read import Limits, header, read
from uformer.image.tiff_stack import is_tiff_stack, opened_tiff


def save_as(values: np.ndarray, **options: Any) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(
        file, values, photometric="minisblack", metadata=None, contiguous=False, byteorder="<", **options
    )
    return file.getvalue()


def refused(data: bytes) -> str:
    with pytest.raises(PictureError) as refusal, opened_tiff(data):
        pass
    return str(refusal.value)


def test_planes_of_a_hyperstack_know_their_channels(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    values = save_imagej(path, counts(3, 2, 8, 10), "TCYX")
    assert is_tiff_stack(path)
    assert (header(path).frames, header(path).stack) == (6, "has 6 pages")
    with opened_tiff(path) as stack:
        assert (stack.count, stack.height, stack.width, stack.depth, stack.channels) == (6, 8, 10, 16, 2)
        assert [plane.channel for plane in stack.planes] == [0, 1] * 3
        assert np.array_equal(stack.read(3)[..., 0], values[1, 1])


@pytest.mark.parametrize(("axes", "channels"), [("CTYX", [0, 0, 0, 1, 1, 1]), ("TZYX", [0] * 6)])
def test_channels_follow_the_axes_of_ome(tmp_path: Path, axes: str, channels: list[int]) -> None:
    save_ome(tmp_path / "a.ome.tif", counts(2, 3, 8, 10), axes)
    with opened_tiff(tmp_path / "a.ome.tif") as stack:
        assert [plane.channel for plane in stack.planes] == channels


def test_a_large_stack_of_imagej_has_one_directory(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    values = counts(4, 2, 8, 10)
    tifffile.imwrite(path, values[0, 0], imagej=True, metadata={"axes": "YX"})
    with tifffile.TiffFile(path) as file:
        start, order = file.pages.first.dataoffsets[0], file.byteorder
    data = path.read_bytes()
    assert len(data) == start + values[0, 0].nbytes  # the pixels come last
    data = data[:start].replace(b"images=1\n", b"images=8\n") + values.astype(f"{order}u2").tobytes()
    path.write_bytes(data)
    with opened_tiff(path) as stack:
        assert (stack.count, stack.virtual) == (8, start)
        assert np.array_equal(stack.read(7)[..., 0], values[3, 1])
    path.write_bytes(data[:-1])
    with (
        pytest.raises(PictureError, match="should hold 8 images, but the file is cut off"),
        opened_tiff(path),
    ):
        pass


def test_rgb_stays_together_and_alpha_is_no_plane(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 255, (2, 8, 10, 4), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="rgb", extrasamples=["unassalpha"])
    with opened_tiff(tmp_path / "a.tif") as stack:
        assert [(plane.page, plane.samples) for plane in stack.planes] == [(0, (0, 1, 2)), (1, (0, 1, 2))]


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_channels_of_one_page(tmp_path: Path, planar: str) -> None:
    values = counts(8, 10, 5) if planar == "contig" else counts(5, 8, 10)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="minisblack", planarconfig=planar, metadata=None)
    assert is_tiff_stack(tmp_path / "a.tif")
    with opened_tiff(tmp_path / "a.tif") as stack:
        assert [plane.channel for plane in stack.planes] == [0, 1, 2, 3, 4]
        shown = values if planar == "contig" else values.transpose(1, 2, 0)
        assert np.array_equal(stack.read(0), shown)
        assert np.allclose(stack.values(stack.read(0), stack.planes[3])[..., 0] * 65535, shown[..., 3])


def test_a_compression_that_tifffile_does_not_decode(tmp_path: Path) -> None:
    values = counts(3 * 8, 10)
    image = pyvips.Image.new_from_array(values).cast("ushort").copy(interpretation="grey16")
    image.tiffsave(str(tmp_path / "a.tif"), compression="lzw", page_height=8)
    with opened_tiff(tmp_path / "a.tif") as stack:
        assert np.array_equal(stack.read(2)[..., 0], values[16:])


def test_pages_that_cannot_be_restored_together(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "sizes.tif") as writer:
        writer.write(counts(8, 10), metadata=None)
        writer.write(counts(4, 5), metadata=None)
    with (
        pytest.raises(PictureError, match=r"page 2 \(5 x 4 pixels, uint16\) differs from page 1"),
        opened_tiff(tmp_path / "sizes.tif"),
    ):
        pass
    tifffile.imwrite(tmp_path / "bits.tif", counts(3, 8, 10) > 250, photometric="minisblack")
    with pytest.raises(PictureError, match="bits.tif: has samples of type bool; integers or floats"):  # noqa: SIM117
        with opened_tiff(tmp_path / "bits.tif"):
            pass
    tifffile.imwrite(tmp_path / "one.tif", counts(8, 10))
    assert not is_tiff_stack(tmp_path / "one.tif")
    assert not is_tiff_stack(tmp_path / "none.tif")


def test_a_damaged_page_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, counts(3, 40, 50), photometric="minisblack", compression="zlib")
    with tifffile.TiffFile(path) as file:
        place = file.pages[1].dataoffsets[0]
    data = bytearray(path.read_bytes())
    data[place : place + 40] = bytes(40)
    path.write_bytes(bytes(data))
    with opened_tiff(path) as stack, pytest.raises(PictureError, match="a.tif: page 2 is damaged"):
        stack.read(1)


def test_a_stack_may_be_larger_than_what_is_read_at_once(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", counts(3, 8, 10), photometric="minisblack")
    (tmp_path / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(600))
    few = Limits(max_bytes=300)
    assert header(tmp_path / "a.tif", limits=few).frames == 3
    for name, limits in (("a.tif", Limits(max_bytes=300, max_stack_bytes=400)), ("b.png", few)):
        with pytest.raises(PictureError, match="is larger than the limit of"):
            header(tmp_path / name, limits=limits)
    with pytest.raises(PictureError, match="is larger than the limit of 300 bytes"):
        read(tmp_path / "a.tif", limits=few)


KINDS = ["int8", "int16", "int32", "int64", "uint32", "uint64", "float16", "float64"]


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", KINDS)
def test_samples_of_instruments(
    tmp_path: Path, kind: str, order: Literal["<", ">"], compression: str
) -> None:
    values = np.array([[100, 7, 3], [5, 6, 9]], kind) - np.array(0 if kind[0] == "u" else 50, kind)
    tifffile.imwrite(tmp_path / "a.tif", values, byteorder=order, compression=compression)
    assert header(tmp_path / "a.tif").stack == f"has {kind} samples"
    with opened_tiff(tmp_path / "a.tif") as stack:
        assert (stack.depth, stack.dtype, stack.count) == (32, np.dtype(kind), 1)
        assert np.array_equal(stack.read(0)[..., 0], values)
        assert np.array_equal(stack.values(stack.read(0), stack.planes[0])[..., 0], values)
        assert (stack.read_channels(0) == stack.read(0)).all()


@pytest.mark.parametrize("kind", ["char", "short", "int", "uint"])
def test_samples_of_instruments_in_lzw(tmp_path: Path, kind: str) -> None:
    image = pyvips.Image.new_from_array(np.arange(80.0).reshape(8, 10)).cast(kind)
    image.tiffsave(str(tmp_path / "a.tif"), compression="lzw", predictor="horizontal")
    with opened_tiff(tmp_path / "a.tif") as stack:
        assert np.array_equal(stack.read(0)[..., 0], np.arange(80).reshape(8, 10))


def test_64_bits_that_no_library_decodes(tmp_path: Path) -> None:
    pyvips.Image.black(8, 4).cast("double").tiffsave(str(tmp_path / "a.tif"), compression="lzw")
    with (
        pytest.raises(PictureError, match="save it uncompressed or with deflate"),
        opened_tiff(tmp_path / "a.tif"),
    ):
        pass


def test_float_with_white_as_zero_is_data(tmp_path: Path) -> None:
    values = np.linspace(-1, 1, 80, dtype=np.float32).reshape(8, 10)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="miniswhite")
    with opened_tiff(tmp_path / "a.tif") as stack:
        assert np.array_equal(stack.read(0)[..., 0], values)


def test_damage_is_refused_in_one_line(tmp_path: Path) -> None:
    """tifffile raises nearly anything, follows loops of directories for ever, and unpacks without a limit."""
    values = counts(3, 8, 10)
    whole = save_as(values)
    with tifffile.TiffFile(io.BytesIO(whole)) as file:
        offsets = [page.offset for page in file.pages]
        links = [page.offset + 2 + 12 * len(page.aspage().tags) for page in file.pages]
    loop = bytearray(whole)
    struct.pack_into("<I", loop, links[2], offsets[1])
    assert "its directories form a loop" in refused(bytes(loop))
    save_ome(tmp_path / "a.ome.tif", values, "ZYX")
    odd = (tmp_path / "a.ome.tif").read_bytes().replace(b"SizeX=", b"SizeQ=")
    assert "cannot be read as TIFF: its directories are damaged" in refused(odd)
    bomb = zlib.compress(bytes(10**6))
    packed = bytearray(save_as(values, compression="zlib", rowsperstrip=8))
    with tifffile.TiffFile(io.BytesIO(bytes(packed))) as file:
        tags = file.pages[1].aspage().tags
        strip, length = tags["StripOffsets"], tags["StripByteCounts"]
    struct.pack_into("<I", packed, strip.valueoffset, len(packed))
    struct.pack_into("<I", packed, length.valueoffset, len(bomb))
    with opened_tiff(bytes(packed) + bomb) as stack:
        with pytest.raises(PictureError, match="image: page 2 is damaged or cut off"):
            stack.read(1)
        assert np.array_equal(stack.read(2)[..., 0], values[2])
