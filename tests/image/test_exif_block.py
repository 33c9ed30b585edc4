import io
import struct
import time

import PIL.Image
import pytest
import pyvips
from hypothesis import given
from hypothesis import strategies as st

from uformer.image import exif_block


def test_orientation_alone_changes(exif: bytes, turned_exif: bytes) -> None:
    assert exif_block.orientation(turned_exif) == 6
    assert exif_block.upright(turned_exif) == exif
    assert exif_block.upright(exif) == exif
    assert sum(a != b for a, b in zip(exif, turned_exif, strict=True)) == 1


@pytest.mark.parametrize("big", [False, True])
def test_into_a_tiff_and_out(big: bool, exif: bytes) -> None:
    source = pyvips.Image.black(3, 2, bands=3).linear(1, [1, 2, 3], uchar=True)
    tiff = exif_block.into_tiff(source.tiffsave_buffer(bigtiff=big), exif)
    assert pyvips.Image.tiffload_buffer(tiff).numpy()[0, 0].tolist() == [1, 2, 3]
    block = exif_block.from_tiff(tiff)
    assert block is not None
    seen = PIL.Image.Exif()
    seen.load(b"Exif\0\0" + block)
    assert seen[0x010F] == "Acme"
    assert seen.get_ifd(0x8769)[0x927C] == b"maker\0\1\2\3"
    assert seen.get_ifd(0x8825)[2] == (52, 31, 12)
    again = exif_block.from_tiff(exif_block.into_tiff(source.tiffsave_buffer(bigtiff=big), block))
    assert again == block


def test_pillow_reads_them_in_a_tiff(exif: bytes) -> None:
    tiff = exif_block.into_tiff(pyvips.Image.black(3, 2).tiffsave_buffer(), exif)
    with PIL.Image.open(io.BytesIO(tiff)) as image:
        assert image.getexif().get_ifd(0x8769)[0x9003] == "2020:01:02 03:04:05"


def test_nothing_to_say() -> None:
    assert exif_block.from_tiff(pyvips.Image.black(3, 2).tiffsave_buffer()) is None
    assert exif_block.into_tiff(b"II*\0" + bytes(8), b"not exif") == b"II*\0" + bytes(8)


@given(
    st.binary(max_size=200),
    st.sampled_from([b"", b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08", b"II+\0\x08\0\0\0\x10\0\0\0\0\0\0\0"]),
)
def test_any_bytes_are_survived(data: bytes, start: bytes) -> None:
    block = start + data
    assert 1 <= exif_block.orientation(block) <= 8
    assert len(exif_block.upright(block)) == len(block)
    exif_block.from_tiff(block)


def test_tags_that_all_point_at_the_same_bytes_are_refused() -> None:
    entries = b"".join(
        b"\x0f\x01\x07\0" + (2**20).to_bytes(4, "little") + (8).to_bytes(4, "little") for _ in range(4000)
    )
    assert (
        exif_block.from_tiff(b"II*\0\x08\0\0\0" + (4000).to_bytes(2, "little") + entries + bytes(2**20))
        is None
    )


def test_an_exif_block_that_points_at_itself_ends_soon() -> None:
    """4000 entries that all point at the first: reading them all would mean 4000 ** 3 entries."""
    entries = b"\x69\x87\x04\0\1\0\0\0\x08\0\0\0" * 4000
    block = b"II*\0\x08\0\0\0" + (4000).to_bytes(2, "little") + entries + bytes(4)
    start = time.process_time()
    exif_block.from_tiff(block)
    exif_block.into_tiff(pyvips.Image.black(3, 2).tiffsave_buffer(), block)
    exif_block.selected(block, range(65536), range(65536))
    assert time.process_time() - start < 10


def test_selection(exif: bytes) -> None:
    block = exif_block.selected(exif, {0x010F}, {0x829A})
    assert block is not None
    seen = PIL.Image.Exif()
    seen.load(b"Exif\0\0" + block)
    assert dict(seen) == {0x010F: "Acme", 0x8769: seen[0x8769]}
    assert dict(seen.get_ifd(0x8769)) == {0x829A: (1, 250)}
    assert exif_block.selected(exif, {0x010E}, ()) is None
    assert exif_block.selected(b"no exif", {0x010F}, ()) is None


def test_iptc_in_a_tiff() -> None:
    source = pyvips.Image.black(3, 2).tiffsave_buffer()
    tiff = exif_block.into_tiff(source, None, b"\x1c\x02\x78\0\x01a")
    assert exif_block.iptc_of_tiff(tiff) == b"\x1c\x02\x78\0\x01a"
    assert exif_block.iptc_of_tiff(source) is None
    assert pyvips.Image.tiffload_buffer(tiff).width == 3


@pytest.mark.parametrize("order", ["<", ">"])
def test_iptc_that_calls_itself_numbers(order: str) -> None:
    mark = b"II*\0" if order == "<" else b"MM\0*"
    tiff = mark + struct.pack(order + "IHHHIII", 8, 1, exif_block.IPTC, 4, 2, 26, 0) + b"abcdefgh"
    assert exif_block.iptc_of_tiff(tiff) == b"abcdefgh"


def test_sizes_are_changed_in_place(exif: bytes) -> None:
    block = PIL.Image.Exif()
    block[0x0100], block[0x0101] = 40, 70_000
    block.get_ifd(0x8769).update({0xA002: 40, 0xA003: 30, 0x9000: b"0232"})
    data = block.tobytes().removeprefix(b"Exif\0\0")
    found = exif_block.with_size(data, 30, 80_000)
    assert len(found) == len(data)
    seen = PIL.Image.Exif()
    seen.load(b"Exif\0\0" + found)
    assert (seen[0x0100], seen[0x0101]) == (30, 80_000)
    assert seen.get_ifd(0x8769)[0xA002] == 30
    assert seen.get_ifd(0x8769)[0xA003] in {30, 80_000}  # 80,000 does not fit into 16 bits
    assert exif_block.with_size(exif, 1, 2) == exif  # has no sizes
    assert exif_block.with_size(b"no exif", 1, 2) == b"no exif"


def with_maker_note() -> bytes:
    """An EXIF block with a maker note whose offsets count from the start of the block."""
    head = b"II*\0" + struct.pack("<IHHHII", 8, 1, 0x8769, 4, 1, 26) + bytes(4)
    note = struct.pack("<HHHII", 1, 6, 2, 20, 44 + 18) + bytes(4) + b"a value of 20 bytes\0"
    return head + struct.pack("<HHHII", 1, 0x927C, 7, len(note), 44) + bytes(4) + note


def value_in_note(data: bytes) -> bytes:
    """The value of the only tag in the maker note, found by its offset from the start of the data."""
    (offset,) = struct.unpack_from("<I", data, data.index(struct.pack("<HHHI", 1, 6, 2, 20)) + 10)
    return data[offset : offset + 20]


@pytest.mark.parametrize("big", [False, True])
def test_readers_can_decode_a_maker_note_in_a_tiff(big: bool) -> None:
    exif = with_maker_note()
    assert value_in_note(exif) == b"a value of 20 bytes\0"
    assert exif_block.has_maker_note(exif)
    assert not exif_block.loses_maker_note(exif)
    source = pyvips.Image.black(300, 200).tiffsave_buffer(bigtiff=big)
    tiff = exif_block.into_tiff(source, exif)
    assert value_in_note(tiff) == b"a value of 20 bytes\0"
    assert value_in_note(exif_block.from_tiff(tiff) or b"") == b"a value of 20 bytes\0"
