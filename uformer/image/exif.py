"""EXIF blocks: resetting the orientation, and carrying the tags into and out of TIFF files.

An EXIF block is a small TIFF file, so both are read by the same few functions. Field names are those of the EXIF 2.32 and
TIFF 6.0 standards.
"""

import mmap
import struct
from collections.abc import Container, Iterator
from dataclasses import dataclass

import numpy as np

Encoded = bytes | mmap.mmap

ORIENTATION = 0x0112
NEW_SUBFILE_TYPE = 0x00FE
IPTC = 0x83BB
DNG_VERSION = 0xC612

_EXIF_IFD, _GPS_IFD, _INTEROP_IFD = 0x8769, 0x8825, 0xA005
_POINTERS = {_EXIF_IFD, _GPS_IFD, _INTEROP_IFD}
# Tags of the first IFD that describe the picture; the others say how a TIFF file stores it.
_DESCRIPTIVE = {0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x013C, 0x4746, 0x4749, 0x8298, _EXIF_IFD, _GPS_IFD}
_DESCRIPTIVE |= {0x9C9B, 0x9C9C, 0x9C9D, 0x9C9E, 0x9C9F}  # Windows' title, comment, author, keywords, subject

_LAYOUT = {ORIENTATION, 0x011A, 0x011B, 0x0128}  # orientation and resolution: an EXIF block has them, a TIFF file its own

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}  # bytes of each type
_MOST_BYTES = 2**24  # of tags; more is an attack: entries may all point at the same large value
_MOST_TAGS = 4096  # in all: entries may all point at the same IFD too


@dataclass(frozen=True)
class _Form:
    order: str  # "<" or ">"
    big: bool  # BigTIFF: 64-bit offsets

    @property
    def word(self) -> str:
        return self.order + ("Q" if self.big else "I")

    @property
    def count(self) -> str:
        return self.order + ("Q" if self.big else "H")

    @property
    def inline(self) -> int:
        return 8 if self.big else 4


@dataclass(frozen=True)
class _Value:
    kind: int
    data: bytes  # little-endian


_Ifd = dict[int, "_Value | _Ifd"]


@dataclass
class _Budget:
    """What may still be read of one file."""

    data: int = _MOST_BYTES
    tags: int = _MOST_TAGS

    def spend(self, *, data: int = 0, tags: int = 0) -> None:
        self.data -= data
        self.tags -= tags
        if self.data < 0 or self.tags < 0:
            raise ValueError("too many tags, or too large")


def tiff_tags(data: Encoded, wanted: Container[int]) -> dict[int, tuple[int, ...]]:
    """The wanted integer tags of the first IFD of a TIFF file, by their number; empty if it is malformed."""
    try:
        form, offset = _header(data)
        fields = _parse(data, form, offset, _Budget(), wanted=wanted)
    except (ValueError, struct.error):
        return {}
    values = {tag: value for tag, value in fields.items() if isinstance(value, _Value) and value.kind in (1, 3, 4, 16)}
    return {tag: tuple(np.frombuffer(value.data, f"<u{_SIZES[value.kind]}").tolist()) for tag, value in values.items()}


def orientation(exif: bytes) -> int:
    """The orientation of an EXIF block, 1 to 8; 1 where it has none that can be reset."""
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
    """The EXIF, GPS and descriptive tags of a TIFF file as an EXIF block; None if it has none, or they are malformed."""
    try:
        form, offset = _header(data)
        fields = _parse(data, form, offset, _Budget(), wanted=_DESCRIPTIVE)
    except (ValueError, struct.error):
        return None
    return _block(fields, form.order)


def iptc_of_tiff(data: Encoded) -> bytes | None:
    """The IPTC records of a TIFF file; None if it has none. Some programs call them 32-bit numbers, but their bytes lie in order."""
    try:
        form, offset = _header(data)
        value = _parse(data, form, offset, _Budget(), wanted=(IPTC,)).get(IPTC)
    except (ValueError, struct.error):
        return None
    return _swapped(value.data, value.kind, form.order) or None if isinstance(value, _Value) else None


def into_tiff(data: bytes, exif: bytes | None, iptc: bytes | None = None) -> bytes:
    """A TIFF file of one page with the tags of an EXIF block and IPTC records added. An EXIF block that cannot be read adds nothing."""
    if (change := tiff_change(data, exif, iptc)) is None:
        return data
    position, pointer, tail = change
    return data[:position] + pointer + data[position + len(pointer) :] + tail


def tiff_change(data: Encoded, exif: bytes | None, iptc: bytes | None = None) -> tuple[int, bytes, bytes] | None:
    """What `into_tiff` changes: the position of the pointer to the first IFD, the new pointer, and what comes at the end of the file."""
    added: _Ifd = {IPTC: _Value(7, iptc)} if iptc else {}
    try:
        exif_form, exif_offset = _header(exif or b"")
        added |= _parse(exif or b"", exif_form, exif_offset, _Budget(), wanted=_DESCRIPTIVE)
    except (ValueError, struct.error):
        pass
    if not added:
        return None
    form, offset = _header(data)
    fields = added | _parse(data, form, offset, _Budget(data=len(data)))
    padding = bytes(-len(data) % 8)
    end = len(data) + len(padding)
    return 8 if form.big else 4, struct.pack(form.word, end), padding + _pack(fields, form, end)


def selected(exif: bytes, first: Container[int], inner: Container[int]) -> bytes | None:
    """An EXIF block with some tags of its first IFD and of its EXIF IFD, and nothing else; None if none are left, or it is malformed."""
    try:
        form, offset = _header(exif)
        found = _parse(exif, form, offset, _Budget(), wanted=_DESCRIPTIVE | _LAYOUT)
    except (ValueError, struct.error):
        return None
    fields: _Ifd = {tag: value for tag, value in found.items() if tag in first and isinstance(value, _Value)}
    exposure = found.get(_EXIF_IFD)
    if isinstance(exposure, dict):
        kept: _Ifd = {tag: value for tag, value in exposure.items() if tag in inner and isinstance(value, _Value)}
        if kept:
            fields[_EXIF_IFD] = kept
    return _block(fields, form.order)


def sizes(data: Encoded, wanted: Container[int]) -> dict[int, int]:
    """How many bytes each of the wanted tags of the first IFD of a TIFF file claims to hold; empty if it is malformed."""
    try:
        form, offset = _header(data)
        return {tag: number * _SIZES.get(kind, 1) for _, tag, kind, number, _ in _entries(data, form, offset, _Budget()) if tag in wanted}
    except (ValueError, struct.error):
        return {}


def ifds(data: Encoded) -> Iterator[int]:
    """The offset of each IFD (page) of a TIFF file in turn; ends where they loop or are malformed."""
    try:
        form, offset = _header(data)
        seen: set[int] = set()
        while offset and offset not in seen:
            seen.add(offset)
            yield offset
            (count,) = _unpack(form.count, data, offset)
            (offset,) = _unpack(form.word, data, offset + struct.calcsize(form.count) + count * (4 + 2 * form.inline))
    except (ValueError, struct.error):
        return


def _block(fields: _Ifd, order: str) -> bytes | None:
    """An EXIF block of these fields; None if there are none."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    return mark + struct.pack(order + "I", 8) + _pack(fields, _Form(order, big=False), 8) if fields else None


def _find_orientation(exif: bytes) -> tuple[_Form, int, int] | None:
    """Form of the block, orientation, and where its two bytes lie."""
    try:
        form, offset = _header(exif)
        (count,) = _unpack(form.count, exif, offset)
        for position in range(offset + 2, offset + 2 + 12 * count, 12):
            tag, kind, number, value = _unpack(form.order + "HHIH", exif, position)
            if tag == ORIENTATION and kind == 3 and number == 1 and 1 <= value <= 8:
                return form, value, position + 8
    except (ValueError, struct.error):
        pass
    return None


def _unpack(form: str, data: Encoded, offset: int) -> tuple[int, ...]:
    """struct.unpack_from, which cannot count as far as an offset may point."""
    if offset > len(data):
        raise ValueError(f"offset {offset} lies outside of the data")
    return struct.unpack_from(form, data, offset)


def _header(data: Encoded) -> tuple[_Form, int]:
    """Form, and offset of the first IFD. Raises ValueError or struct.error if malformed."""
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None:
        raise ValueError("no byte order mark")
    (version,) = _unpack(order + "H", data, 2)
    if version not in (42, 43):
        raise ValueError("not a TIFF header")
    form = _Form(order, version == 43)
    (offset,) = _unpack(form.word, data, 8 if form.big else 4)
    return form, offset


def _parse(data: Encoded, form: _Form, offset: int, budget: _Budget, *, wanted: Container[int] | None = None, depth: int = 0) -> _Ifd:
    """The wanted (None: all) fields of an IFD, and all of those it points to. Raises ValueError or struct.error if malformed."""
    fields: _Ifd = {}
    for position, tag, kind, number, pointer in _entries(data, form, offset, budget):
        if kind not in _SIZES or (wanted is not None and tag not in wanted):
            continue
        size = number * _SIZES[kind]
        start = pointer if size > form.inline else position + 4 + form.inline
        budget.spend(data=size)
        if start + size > len(data):
            raise ValueError(f"tag {tag:#x} lies outside of the data")
        if tag in _POINTERS and depth < 2:
            (child,) = _unpack(form.order + ("Q" if kind in (16, 18) else "I"), data, start)
            fields[tag] = _parse(data, form, child, budget, depth=depth + 1)
        else:
            fields[tag] = _Value(kind, _swapped(data[start : start + size], kind, form.order))
    return fields


def _entries(data: Encoded, form: _Form, offset: int, budget: _Budget) -> Iterator[tuple[int, int, int, int, int]]:
    """Position, tag, type, number of values and offset of each entry of an IFD."""
    (count,) = _unpack(form.count, data, offset)
    budget.spend(tags=count)
    first = offset + struct.calcsize(form.count)
    for position in range(first, first + count * (4 + 2 * form.inline), 4 + 2 * form.inline):
        tag, kind, number, pointer = _unpack(form.order + ("HHQQ" if form.big else "HHII"), data, position)
        yield position, tag, kind, number, pointer


def _pack(fields: _Ifd, form: _Form, base: int) -> bytes:
    """The bytes of an IFD that will lie at `base`, with its values and the IFDs it points to behind it."""
    head = struct.pack(form.count, len(fields))
    tail = bytearray()
    behind = base + len(head) + len(fields) * (4 + 2 * form.inline) + form.inline
    for tag, value in sorted(fields.items()):
        position = struct.pack(form.word, behind + len(tail))
        if isinstance(value, _Value):
            kind, data = value.kind, _swapped(value.data, value.kind, form.order)
            number = len(data) // _SIZES[kind]
        else:
            kind, number, data = (16 if form.big else 4), 1, position
            tail += _pack(value, form, behind + len(tail))
        if len(data) > form.inline:
            tail += data + bytes(len(data) % 2)
            data = position
        head += struct.pack(form.order + "HH", tag, kind) + struct.pack(form.word, number) + data.ljust(form.inline, b"\0")
    return head + bytes(form.inline) + bytes(tail)


def _swapped(data: bytes, kind: int, order: str) -> bytes:
    """Values of a type between little-endian and `order` (the same both ways)."""
    unit = 4 if kind in (5, 10) else _SIZES[kind]
    return data if order == "<" or unit == 1 else np.frombuffer(data, f"<u{unit}").byteswap().tobytes()
