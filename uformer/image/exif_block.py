"""EXIF blocks: reset the orientation, and copy the tags into and out of TIFF files.

An EXIF block is a small TIFF file, so the functions of `ifd` read both. Here, a malformed block counts as one
without tags. Tag names follow the EXIF 2.32 and TIFF 6.0 standards.
"""

import contextlib
import struct
from collections.abc import Container
from dataclasses import dataclass

import numpy as np

from uformer.image.formats import Encoded
from uformer.image.ifd import BYTES, MOST_TAGS, Entry, Form, entries, header, unpack

ORIENTATION = 0x0112
IPTC = 0x83BB

_EXIF_IFD, _GPS_IFD, _INTEROP_IFD = 0x8769, 0x8825, 0xA005
_SHORT = 3
_POINTERS = {_EXIF_IFD, _GPS_IFD, _INTEROP_IFD}
# Tags of the first IFD that describe the image; the others say how a TIFF file stores it.
_DESCRIPTIVE = {
    0x010E,
    0x010F,
    0x0110,
    0x0131,
    0x0132,
    0x013B,
    0x013C,
    0x4746,
    0x4749,
    0x8298,
    _EXIF_IFD,
    _GPS_IFD,
}
_DESCRIPTIVE |= {0x9C9B, 0x9C9C, 0x9C9D, 0x9C9E, 0x9C9F}  # Windows' title, comment, author, keywords, subject

# Orientation and resolution: an EXIF block has them, and a TIFF file has its own.
_LAYOUT = {ORIENTATION, 0x011A, 0x011B, 0x0128}

# Of tags; more is an attack, as all entries may point at the same large value.
_MOST_BYTES = 2**24


@dataclass(frozen=True)
class _Value:
    kind: int
    data: bytes  # little-endian


_Ifd = dict[int, "_Value | _Ifd"]


@dataclass
class _Budget:
    """The bytes and tags that may still be read from one file."""

    data: int = _MOST_BYTES
    tags: int = MOST_TAGS
    """Total over all directories, as many entries may point at the same directory."""

    def spend(self, *, data: int = 0, tags: int = 0) -> None:
        self.data -= data
        self.tags -= tags
        if self.data < 0 or self.tags < 0:
            raise ValueError("too many or too large tags")


def orientation(exif: bytes) -> int:
    """The orientation of an EXIF block, 1 to 8; 1 if it has none that can be reset."""
    found = _find_orientation(exif)
    return found[1] if found else 1


def has_orientation(exif: bytes) -> bool:
    """Whether an EXIF block has an orientation tag that can be reset."""
    return _find_orientation(exif) is not None


def upright(exif: bytes) -> bytes:
    """The same EXIF block, byte for byte, with orientation 1."""
    found = _find_orientation(exif)
    if found is None:
        return exif
    form, position = found[0], found[2]
    return exif[:position] + struct.pack(form.order + "H", 1) + exif[position + 2 :]


def from_tiff(data: Encoded) -> bytes | None:
    """The EXIF, GPS and descriptive tags of a TIFF file as an EXIF block; None if absent or malformed."""
    try:
        form, offset = header(data)
        fields = _parse(data, form, offset, _Budget(), wanted=_DESCRIPTIVE)
    except ValueError:
        return None
    return _block(fields, form.order)


def iptc_of_tiff(data: Encoded) -> bytes | None:
    """The IPTC records of a TIFF file; None if it has none.

    Some programs declare them as 32-bit numbers, but do not swap their bytes.
    """
    try:
        form, offset = header(data)
        value = _parse(data, form, offset, _Budget(), wanted=(IPTC,)).get(IPTC)
    except ValueError:
        return None
    return _swapped(value.data, value.kind, form.order) or None if isinstance(value, _Value) else None


def into_tiff(data: bytes, exif: bytes | None, iptc: bytes | None = None) -> bytes:
    """A one-page TIFF file with the tags of an EXIF block and IPTC records added.

    An unreadable EXIF block adds nothing.
    """
    if (change := tiff_change(data, exif, iptc)) is None:
        return data
    position, pointer, tail = change
    return data[:position] + pointer + data[position + len(pointer) :] + tail


def tiff_change(
    data: Encoded, exif: bytes | None, iptc: bytes | None = None
) -> tuple[int, bytes, bytes] | None:
    """The changes of `into_tiff`: position and new value of the first IFD's pointer, and bytes to append."""
    added: _Ifd = {IPTC: _Value(7, iptc)} if iptc else {}
    try:
        exif_form, exif_offset = header(exif or b"")
        added |= _parse(exif or b"", exif_form, exif_offset, _Budget(), wanted=_DESCRIPTIVE)
    except ValueError:
        pass
    if not added:
        return None
    form, offset = header(data)
    fields = added | _parse(data, form, offset, _Budget(data=len(data)))
    padding = bytes(-len(data) % 8)
    end = len(data) + len(padding)
    return 8 if form.big else 4, struct.pack(form.word, end), padding + _pack(fields, form, end)


def selected(exif: bytes, first: Container[int], inner: Container[int]) -> bytes | None:
    """An EXIF block with only these tags of its first and EXIF IFD; None if empty or malformed."""
    try:
        form, offset = header(exif)
        found = _parse(exif, form, offset, _Budget(), wanted=_DESCRIPTIVE | _LAYOUT)
    except ValueError:
        return None
    fields: _Ifd = {tag: value for tag, value in found.items() if tag in first and isinstance(value, _Value)}
    exposure = found.get(_EXIF_IFD)
    if isinstance(exposure, dict):
        kept: _Ifd = {
            tag: value for tag, value in exposure.items() if tag in inner and isinstance(value, _Value)
        }
        if kept:
            fields[_EXIF_IFD] = kept
    return _block(fields, form.order)


def without(exif: bytes, tags: Container[int]) -> bytes | None:
    """An EXIF block without the given tags, the thumbnail and the orientation; None if it is malformed."""
    try:
        form, offset = header(exif)
        fields = _parse(exif, form, offset, _Budget(), wanted=_DESCRIPTIVE)
    except ValueError:
        return None
    return _block(_dropped(fields, tags), form.order)


def _dropped(fields: _Ifd, tags: Container[int]) -> _Ifd:
    """The fields without the given tags, at every level."""
    return {
        tag: _dropped(value, tags) if isinstance(value, dict) else value
        for tag, value in fields.items()
        if tag not in tags
    }


def joined(first: bytes | None, exposure: bytes | None, gps: bytes | None) -> bytes | None:
    """One EXIF block from three TIFF files with its first, EXIF and GPS IFD; malformed files are ignored."""
    fields: _Ifd = {}
    for pointer, data in ((None, first), (_EXIF_IFD, exposure), (_GPS_IFD, gps)):
        with contextlib.suppress(ValueError):
            form, offset = header(data or b"")
            found = _parse(data or b"", form, offset, _Budget(), wanted=None if pointer else _DESCRIPTIVE)
            if pointer is None:
                fields |= found
            else:
                fields[pointer] = found
    return _block(fields, "<")


def _block(fields: _Ifd, order: str) -> bytes | None:
    """An EXIF block of these fields; None if there are none."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    return mark + struct.pack(order + "I", 8) + _pack(fields, Form(order, big=False), 8) if fields else None


def _find_orientation(exif: bytes) -> tuple[Form, int, int] | None:
    """The form of the block, its orientation, and the position of the orientation's two bytes."""
    with contextlib.suppress(ValueError):
        form, offset = header(exif)
        for entry in entries(exif, form, offset):
            if entry.tag == ORIENTATION and entry.kind == _SHORT and entry.count == 1:
                (value,) = unpack(form.order + "H", exif, entry.start)
                if 1 <= value <= 8:
                    return form, value, entry.start
    return None


def _parse(
    data: Encoded,
    form: Form,
    offset: int,
    budget: _Budget,
    *,
    wanted: Container[int] | None = None,
    depth: int = 0,
) -> _Ifd:
    """The wanted (None: all) fields of an IFD, and all fields of the IFDs that it points to.

    Raises ValueError if malformed.
    """
    fields: _Ifd = {}
    for entry in entries(data, form, offset):
        budget.spend(tags=1)
        if entry.kind not in BYTES or (wanted is not None and entry.tag not in wanted):
            continue
        budget.spend(data=entry.size)
        if entry.start + entry.size > len(data):
            raise ValueError(f"tag {entry.tag:#x} lies outside the data")
        if entry.tag in _POINTERS and depth < 2:
            fields[entry.tag] = _parse(data, form, _pointer(data, form, entry), budget, depth=depth + 1)
        else:
            fields[entry.tag] = _Value(
                entry.kind, _swapped(data[entry.start : entry.start + entry.size], entry.kind, form.order)
            )
    return fields


def _pointer(data: Encoded, form: Form, entry: Entry) -> int:
    return unpack(form.order + ("Q" if entry.kind in (16, 18) else "I"), data, entry.start)[0]


def _pack(fields: _Ifd, form: Form, base: int) -> bytes:
    """The bytes of an IFD to be placed at `base`, followed by its values and the IFDs that it points to."""
    head = struct.pack(form.count, len(fields))
    tail = bytearray()
    behind = base + len(head) + len(fields) * (4 + 2 * form.inline) + form.inline
    for tag, value in sorted(fields.items()):
        position = struct.pack(form.word, behind + len(tail))
        if isinstance(value, _Value):
            kind, data = value.kind, _swapped(value.data, value.kind, form.order)
            number = len(data) // BYTES[kind]
        else:
            kind, number, data = (16 if form.big else 4), 1, position
            tail += _pack(value, form, behind + len(tail))
        if len(data) > form.inline:
            tail += data + bytes(len(data) % 2)
            data = position
        head += (
            struct.pack(form.order + "HH", tag, kind)
            + struct.pack(form.word, number)
            + data.ljust(form.inline, b"\0")
        )
    return head + bytes(form.inline) + bytes(tail)


def _swapped(data: bytes, kind: int, order: str) -> bytes:
    """Values of a type converted between little-endian and `order`, in either direction."""
    unit = 4 if kind in (5, 10) else BYTES[kind]
    return data if order == "<" or unit == 1 else np.frombuffer(data, f"<u{unit}").byteswap().tobytes()
