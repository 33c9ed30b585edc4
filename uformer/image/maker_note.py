"""Maker notes: moving one to another position, so that readers still find its values.

A maker note (EXIF tag 0x927C) has the form that the camera maker chose, usually a header and an IFD. The
offsets in the IFD count either from the start of the note, so that it may be moved freely, or from the start
of the EXIF block, so that they must change with the note's position.
"""

import struct

from uformer.image.ifd import BYTES, Entry, Form, entries

TAG = 0x927C

_HEADERS = (0, 6, 8, 10, 12, 14)  # lengths of the headers in use: Canon has none, Sony and Panasonic have 12
_MARKS = {b"II": "<", b"MM": ">"}
_IFD_POINTER = 13  # a type
_MOST_TAGS = 512
_LAST_POSITION = 2**32 - 2**26  # its offsets have 32 bits; a BigTIFF may be larger


def moved(note: bytes, origin: int, position: int, *, order: str, new_order: str) -> bytes | None:
    """A maker note from position `origin` of one block, for `position` of another; None if it cannot be kept.

    `order`, `new_order`: byte orders of the two blocks. A note without an IFD stays as it is.
    """
    directories = [found for length in _HEADERS if (found := _directory(note, length, order))]
    if not directories:
        return note
    # The bytes of a header may look like a short directory.
    start, has_own_order, form, tags = max(directories, key=lambda found: len(found[-1]))
    if (not has_own_order and order != new_order) or position > _LAST_POSITION:
        return None
    values = [tag for tag in tags if tag.size > form.inline]
    behind = start + 2 + len(tags) * form.entry
    if values and all(behind <= tag.start - origin <= len(note) - tag.size for tag in values):
        has_pointers = any(tag.kind == _IFD_POINTER for tag in tags)
        return None if has_pointers else _shifted(note, form, start, origin, position)
    return note if all(behind <= tag.start <= len(note) - tag.size for tag in values) else None


def _directory(note: bytes, start: int, order: str) -> tuple[int, bool, Form, list[Entry]] | None:
    """The IFD behind a header of `start` bytes: whether the header has a byte order, and the tags.

    None if there is no IFD.
    """
    mark = next((mark for mark in _MARKS if mark in note[max(start - 4, 0) : start]), None)
    form = Form(_MARKS[mark] if mark else order, big=False)
    if not 0 < int.from_bytes(note[start : start + 2], form.endian) <= _MOST_TAGS:
        return None
    try:
        tags = list(entries(note, form, start))
    except ValueError:
        return None
    return (start, mark is not None, form, tags) if all(tag.kind in BYTES for tag in tags) else None


def _shifted(note: bytes, form: Form, start: int, origin: int, position: int) -> bytes:
    """The note with all offsets changed from `origin` to `position`."""
    out = bytearray(note)
    (count,) = struct.unpack_from(form.count, note, start)
    for entry in range(start + 2, start + 2 + count * form.entry, form.entry):
        kind, number, offset = struct.unpack_from(form.order + "HII", note, entry + 2)
        if number * BYTES[kind] > form.inline:
            struct.pack_into(form.word, out, entry + 8, offset - origin + position)
    # Canon repeats the position at the end, so that readers notice a move.
    mark = b"II*\0" if form.order == "<" else b"MM\0*"
    if note[-8:] == mark + struct.pack(form.word, origin):
        out[-4:] = struct.pack(form.word, position)
    return bytes(out)
