import struct

import pytest

from uformer.image import maker_note


def note(order: str, at: int, *, header: bytes = b"", kind: int = 2, footer: bytes = b"") -> bytes:
    """A maker note with two tags, one outside its entry; its offsets count from `at` before the note."""
    value = b"a long value\0\0"
    start = at + len(header) + 2 + 2 * 12 + 4
    entries = struct.pack(order + "HHII", 6, kind, len(value), start) + struct.pack(
        order + "HHIHH", 7, 3, 1, 5, 0
    )
    return header + struct.pack(order + "H", 2) + entries + bytes(4) + value + footer


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("header", [b"", b"SONY DSC \0\0\0", b"OLYMP\0\1\0", b"QVC\0\0\0"])
def test_offsets_from_the_start_of_the_block_move_with_the_note(order: str, header: bytes) -> None:
    found = maker_note.moved(note(order, 300, header=header), 300, 99_000, order=order, new_order=order)
    assert found == note(order, 99_000, header=header)


@pytest.mark.parametrize("header", [b"", b"Apple iOS\0\0\1MM", b"OLYMPUS\0II\3\0", b"PENTAX \0MM"])
def test_offsets_from_its_own_start_stay(header: bytes) -> None:
    order = ">" if header[-2:] == b"MM" else "<"
    data = note(order, 0, header=header)
    assert maker_note.moved(data, 300, 99_000, order=order, new_order=order) == data


def test_a_note_with_a_byte_order_of_its_own_may_change_blocks() -> None:
    data = note(">", 0, header=b"Apple iOS\0\0\1MM")
    assert maker_note.moved(data, 300, 99_000, order=">", new_order="<") == data
    assert maker_note.moved(note(">", 300), 300, 99_000, order=">", new_order="<") is None


def test_the_position_that_canon_repeats_at_the_end() -> None:
    footer, moved = (b"II*\0" + struct.pack("<I", place) for place in (300, 99_000))
    found = maker_note.moved(note("<", 300, footer=footer), 300, 99_000, order="<", new_order="<")
    assert found == note("<", 99_000, footer=moved)


def test_notes_that_cannot_be_moved() -> None:
    for data in (note("<", 70_000), note("<", 300)[:-4], note("<", 300, kind=13)):
        assert maker_note.moved(data, 300, 99_000, order="<", new_order="<") is None
    assert maker_note.moved(note("<", 300), 300, 2**32 - 100, order="<", new_order="<") is None


NIKON = b"Nikon\0\2\x10\0\0MM\0*\0\0\0\x08\0\1" + bytes(12)


@pytest.mark.parametrize("data", [b"", b"maker\0\1\2\3", NIKON, b"HDRP" * 9])
def test_other_notes_stay(data: bytes) -> None:
    assert maker_note.moved(data, 300, 99_000, order="<", new_order="<") == data
