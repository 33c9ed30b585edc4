import struct

import pytest

from uformer.image import maker_note
from uformer.image.fields import EXIF_IFD, Allowance, Ifd, Value, block, pack, parse
from uformer.image.ifd import Form, header

NESTED: Ifd = {
    0x010F: Value(2, b"Acme\0"),
    EXIF_IFD: {0x829A: Value(5, struct.pack("<II", 1, 250)), 0x9000: Value(7, b"0232")},
}


def plain(fields: object) -> object:
    """Fields without the places where they were found."""
    if isinstance(fields, dict):
        return {tag: plain(value) for tag, value in fields.items()}
    assert isinstance(fields, Value)
    return fields.kind, fields.data


@pytest.mark.parametrize("order", ["<", ">"])
def test_packed_and_parsed_again(order: str) -> None:
    data = block(NESTED, order)
    assert data is not None
    assert plain(parse(data, *header(data), Allowance())) == plain(NESTED)
    assert list(parse(data, *header(data), Allowance(), wanted={0x010F})) == [0x010F]
    assert block({}, order) is None


def test_a_big_tiff_has_wide_offsets() -> None:
    form = Form("<", big=True)
    data = b"II+\0\x08\0\0\0" + struct.pack("<Q", 16) + pack(NESTED, form, 16)
    assert plain(parse(data, *header(data), Allowance())) == plain(NESTED)


def test_the_allowance_bounds_tags_and_bytes() -> None:
    data = block(NESTED, "<") or b""
    for allowance in (Allowance(tags=3), Allowance(data=10)):
        with pytest.raises(ValueError, match="too many or too large tags"):
            parse(data, *header(data), allowance)


def test_a_maker_note_moves_or_is_left_out() -> None:
    directory = struct.pack("<HHHII", 1, 1, 2, 8, 518) + bytes(4) + b"a value\0"
    at_500 = Value(7, directory, origin=500, order="<")
    fields: Ifd = {EXIF_IFD: {maker_note.TAG: at_500, 0x9000: Value(7, b"0232")}}
    data = block(fields, "<") or b""
    found = parse(data, *header(data), Allowance())[EXIF_IFD]
    assert isinstance(found, dict)
    moved = found[maker_note.TAG]
    assert isinstance(moved, Value)
    (offset,) = struct.unpack_from("<I", moved.data, 10)
    assert data[offset : offset + 8] == b"a value\0"
    other = block(fields, ">") or b""
    left = parse(other, *header(other), Allowance())[EXIF_IFD]
    assert isinstance(left, dict)
    assert list(left) == [0x9000]
