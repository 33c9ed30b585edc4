import io

import PIL.Image
import pytest
import pyvips
from hypothesis import given
from hypothesis import strategies as st

from uformer.image import exif as tags


def test_orientation_alone_changes(exif: bytes, turned_exif: bytes) -> None:
    assert tags.orientation(turned_exif) == 6
    assert tags.upright(turned_exif) == exif
    assert tags.upright(exif) == exif
    assert sum(a != b for a, b in zip(exif, turned_exif, strict=True)) == 1


@pytest.mark.parametrize("big", [False, True])
def test_into_a_tiff_and_out(big: bool, exif: bytes) -> None:
    source = pyvips.Image.black(3, 2, bands=3).linear(1, [1, 2, 3], uchar=True)
    tiff = tags.into_tiff(source.tiffsave_buffer(bigtiff=big), exif)
    assert pyvips.Image.tiffload_buffer(tiff).numpy()[0, 0].tolist() == [1, 2, 3]
    block = tags.from_tiff(tiff)
    assert block is not None
    seen = PIL.Image.Exif()
    seen.load(b"Exif\0\0" + block)
    assert seen[0x010F] == "Acme"
    assert seen.get_ifd(0x8769)[0x927C] == b"maker\0\1\2\3"
    assert seen.get_ifd(0x8825)[2] == (52, 31, 12)
    again = tags.from_tiff(tags.into_tiff(source.tiffsave_buffer(bigtiff=big), block))
    assert again == block


def test_pillow_reads_them_in_a_tiff(exif: bytes) -> None:
    tiff = tags.into_tiff(pyvips.Image.black(3, 2).tiffsave_buffer(), exif)
    with PIL.Image.open(io.BytesIO(tiff)) as image:
        assert image.getexif().get_ifd(0x8769)[0x9003] == "2020:01:02 03:04:05"


def test_nothing_to_say() -> None:
    assert tags.from_tiff(pyvips.Image.black(3, 2).tiffsave_buffer()) is None
    assert tags.into_tiff(b"II*\0" + bytes(8), b"not exif") == b"II*\0" + bytes(8)


@given(st.binary(max_size=200), st.sampled_from([b"", b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08", b"II+\0\x08\0\0\0\x10\0\0\0\0\0\0\0"]))
def test_any_bytes_are_survived(data: bytes, start: bytes) -> None:
    block = start + data
    assert 1 <= tags.orientation(block) <= 8
    assert len(tags.upright(block)) == len(block)
    tags.from_tiff(block)
    tags.tiff_tags(block, (254,))


def test_tags_that_all_point_at_the_same_bytes_are_refused() -> None:
    entries = b"".join(b"\x0f\x01\x07\0" + (2**20).to_bytes(4, "little") + (8).to_bytes(4, "little") for _ in range(4000))
    assert tags.from_tiff(b"II*\0\x08\0\0\0" + (4000).to_bytes(2, "little") + entries + bytes(2**20)) is None
