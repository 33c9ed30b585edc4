"""The tags of IFDs as values: read from a TIFF file or an EXIF block, and packed for another one.

A value is copied, and the IFDs that EXIF defines are followed. Functions raise ValueError for malformed data.
"""

import struct
from collections.abc import Container
from dataclasses import dataclass

import numpy as np

from uformer.image import maker_note
from uformer.image.formats import Encoded
from uformer.image.ifd import BYTES, MOST_TAGS, Entry, Form, entries, header, unpack

EXIF_IFD, GPS_IFD, _INTEROP_IFD = 0x8769, 0x8825, 0xA005
_POINTERS = {EXIF_IFD, GPS_IFD, _INTEROP_IFD}

_MOST_BYTES = 2**24
"""Of tags; more is an attack, as all entries may point at the same large value."""


@dataclass(frozen=True)
class Value:
    """The values of one tag."""

    kind: int
    """The number of their type."""
    data: bytes
    """Little-endian."""
    origin: int = 0
    """Where they lay in the file, and its byte order; only for a maker note, whose offsets depend on it."""
    order: str = "<"


Ifd = dict[int, "Value | Ifd"]


@dataclass
class Allowance:
    """The bytes and tags that may still be read from one file."""

    data: int = _MOST_BYTES
    tags: int = MOST_TAGS
    """Total over all directories, as many entries may point at the same directory."""

    def spend(self, *, data: int = 0, tags: int = 0) -> None:
        self.data -= data
        self.tags -= tags
        if self.data < 0 or self.tags < 0:
            raise ValueError("too many or too large tags")


def parse(
    data: Encoded,
    form: Form,
    offset: int,
    allowance: Allowance,
    *,
    wanted: Container[int] | None = None,
    depth: int = 0,
) -> Ifd:
    """The wanted (None: all) fields of an IFD, and all fields of the IFDs that it points to."""
    fields: Ifd = {}
    for entry in entries(data, form, offset):
        allowance.spend(tags=1)
        if entry.kind not in BYTES or (wanted is not None and entry.tag not in wanted):
            continue
        allowance.spend(data=entry.size)
        if entry.start + entry.size > len(data):
            raise ValueError(f"tag {entry.tag:#x} lies outside the data")
        if entry.tag in _POINTERS and depth < 2:
            fields[entry.tag] = parse(data, form, _pointer(data, form, entry), allowance, depth=depth + 1)
        else:
            found = data[entry.start : entry.start + entry.size]
            fields[entry.tag] = Value(
                entry.kind, swapped(found, entry.kind, form.order), entry.start, form.order
            )
    return fields


def fields_of(block: Encoded | None, *, wanted: Container[int] | None = None) -> Ifd:
    """The wanted (None: all) fields of the first IFD of a block or a file; empty if it is malformed."""
    try:
        form, offset = header(block or b"")
        return parse(block or b"", form, offset, Allowance(), wanted=wanted)
    except ValueError:
        return {}


def _pointer(data: Encoded, form: Form, entry: Entry) -> int:
    return unpack(form.order + ("Q" if entry.kind in (16, 18) else "I"), data, entry.start)[0]


def block(fields: Ifd, order: str) -> bytes | None:
    """An EXIF block of these fields; None if there are none."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    return mark + struct.pack(order + "I", 8) + pack(fields, Form(order, big=False), 8) if fields else None


def pack(fields: Ifd, form: Form, base: int) -> bytes:
    """The bytes of an IFD to be placed at `base`, followed by its values and the IFDs that it points to.

    A maker note that readers could not decode at its new place is left out.
    """
    fields = {tag: value for tag, value in fields.items() if _relocated(tag, value, form, base) is not None}
    head = struct.pack(form.count, len(fields))
    tail = bytearray()
    behind = base + len(head) + len(fields) * (4 + 2 * form.inline) + form.inline
    for tag, value in sorted(fields.items()):
        here = behind + len(tail)
        position = struct.pack(form.word, here)
        if isinstance(value, Value):
            kind, data = value.kind, _relocated(tag, value, form, here) or b""
            data, number = swapped(data, kind, form.order), len(data) // BYTES[kind]
        else:
            kind, number, data = (16 if form.big else 4), 1, position
            tail += pack(value, form, here)
        if len(data) > form.inline:
            tail += data + bytes(len(data) % 2)
            data = position
        head += (
            struct.pack(form.order + "HH", tag, kind)
            + struct.pack(form.word, number)
            + data.ljust(form.inline, b"\0")
        )
    return head + bytes(form.inline) + bytes(tail)


def _relocated(tag: int, value: "Value | Ifd", form: Form, position: int) -> bytes | None:
    """The data of a value for a new position; None for a maker note that cannot be moved."""
    if isinstance(value, dict):
        return b""
    if tag != maker_note.TAG:
        return value.data
    return maker_note.moved(value.data, value.origin, position, order=value.order, new_order=form.order)


def swapped(data: bytes, kind: int, order: str) -> bytes:
    """Values of a type converted between little-endian and `order`, in either direction."""
    unit = 4 if kind in (5, 10) else BYTES[kind]
    return data if order == "<" or unit == 1 else np.frombuffer(data, f"<u{unit}").byteswap().tobytes()
