"""EXIF blocks: reset the orientation, and copy the tags into and out of TIFF files.

An EXIF block is a small TIFF file, so the functions of `ifd` read both. Here, a malformed block counts as one
without tags. Tag names follow the EXIF 2.32 and TIFF 6.0 standards.
"""

import contextlib
import itertools
import struct
from collections.abc import Container

from uformer.image import maker_note
from uformer.image.fields import (
    EXIF_IFD,
    GPS_IFD,
    Allowance,
    Ifd,
    Value,
    block,
    fields_of,
    pack,
    parse,
    swapped,
)
from uformer.image.formats import Encoded
from uformer.image.ifd import (
    RESOLUTION_UNIT,
    X_RESOLUTION,
    Y_RESOLUTION,
    Entry,
    Form,
    entries,
    header,
    unpack,
)

ORIENTATION = 0x0112
IPTC = 0x83BB

_SHORT, _LONG = 3, 4
_WIDTHS, _HEIGHTS = {0x0100, 0xA002}, {0x0101, 0xA003}
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
    EXIF_IFD,
    GPS_IFD,
}
_DESCRIPTIVE |= {0x9C9B, 0x9C9C, 0x9C9D, 0x9C9E, 0x9C9F}  # Windows' title, comment, author, keywords, subject

# Orientation and resolution: an EXIF block has them, and a TIFF file has its own.
_LAYOUT = {ORIENTATION, X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT}


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


def with_size(exif: bytes, width: int, height: int) -> bytes:
    """The same EXIF block, byte for byte, but with this width and height where it has such tags."""
    out = bytearray(exif)
    with contextlib.suppress(ValueError):
        form, offset = header(exif)
        first = list(entries(exif, form, offset))
        pointers = [entry.start for entry in first if entry.tag == EXIF_IFD]
        inner = [list(entries(exif, form, *unpack(form.word, exif, start))) for start in pointers[:1]]
        for entry in itertools.chain(first, *inner):
            if entry.tag in _WIDTHS | _HEIGHTS:
                put(out, form, entry, width if entry.tag in _WIDTHS else height)
    return bytes(out)


def put(exif: bytearray, form: Form, entry: Entry, value: int) -> None:
    """Change the value of a tag that holds one integer of 16 or 32 bits, if the value fits."""
    if entry.count == 1 and (entry.kind == _LONG or (entry.kind == _SHORT and value < 2**16)):
        struct.pack_into(form.order + ("H" if entry.kind == _SHORT else "I"), exif, entry.start, value)


def has_maker_note(data: Encoded | None) -> bool:
    """Whether an EXIF block, or the EXIF of a TIFF file, has a maker note."""
    inner = fields_of(data, wanted=(EXIF_IFD,)).get(EXIF_IFD)
    return isinstance(inner, dict) and maker_note.TAG in inner


def loses_maker_note(exif: bytes | None) -> bool:
    """Whether the block has a maker note that readers could not decode in a little-endian TIFF file."""
    with contextlib.suppress(ValueError):
        return has_maker_note(exif) and not has_maker_note(block(fields_of(exif, wanted=(EXIF_IFD,)), "<"))
    return False


def from_tiff(data: Encoded) -> bytes | None:
    """The EXIF, GPS and descriptive tags of a TIFF file as an EXIF block; None if absent or malformed."""
    try:
        form, offset = header(data)
        fields = parse(data, form, offset, Allowance(), wanted=_DESCRIPTIVE)
    except ValueError:
        return None
    return block(fields, form.order)


def iptc_of_tiff(data: Encoded) -> bytes | None:
    """The IPTC records of a TIFF file; None if it has none.

    Some programs declare them as 32-bit numbers, but do not swap their bytes.
    """
    value = fields_of(data, wanted=(IPTC,)).get(IPTC)
    return swapped(value.data, value.kind, value.order) or None if isinstance(value, Value) else None


def into_tiff(data: bytes, exif: bytes | None, iptc: bytes | None = None, tags: bytes | None = None) -> bytes:
    """A one-page TIFF file with the tags of an EXIF block, IPTC records and a block of TIFF tags added.

    An unreadable block adds nothing.
    """
    if (change := tiff_change(data, exif, iptc, tags)) is None:
        return data
    position, pointer, tail = change
    old = memoryview(data)  # slices of bytes would copy the pixels
    return b"".join((old[:position], pointer, old[position + len(pointer) :], tail))


def tiff_change(
    data: Encoded, exif: bytes | None, iptc: bytes | None = None, tags: bytes | None = None
) -> tuple[int, bytes, bytes] | None:
    """The changes of `into_tiff`: position and new value of the first IFD's pointer, and bytes to append."""
    added: Ifd = {IPTC: Value(7, iptc)} if iptc else {}
    added |= fields_of(exif, wanted=_DESCRIPTIVE)
    replaced = fields_of(tags)
    if not added and not replaced:
        return None
    form, offset = header(data)
    fields = added | parse(data, form, offset, Allowance(data=len(data))) | replaced
    padding = bytes(-len(data) % 8)
    end = len(data) + len(padding)
    return 8 if form.big else 4, struct.pack(form.word, end), padding + pack(fields, form, end)


def selected(exif: bytes, first: Container[int], inner: Container[int]) -> bytes | None:
    """An EXIF block with only these tags of its first and EXIF IFD; None if empty or malformed."""
    try:
        form, offset = header(exif)
        found = parse(exif, form, offset, Allowance(), wanted=_DESCRIPTIVE | _LAYOUT)
    except ValueError:
        return None
    fields: Ifd = {tag: value for tag, value in found.items() if tag in first and isinstance(value, Value)}
    exposure = found.get(EXIF_IFD)
    if isinstance(exposure, dict):
        kept: Ifd = {
            tag: value for tag, value in exposure.items() if tag in inner and isinstance(value, Value)
        }
        if kept:
            fields[EXIF_IFD] = kept
    return block(fields, form.order)


def without(exif: bytes, tags: Container[int]) -> bytes | None:
    """An EXIF block without the given tags, the thumbnail and the orientation; None if it is malformed."""
    try:
        form, offset = header(exif)
        fields = parse(exif, form, offset, Allowance(), wanted=_DESCRIPTIVE)
    except ValueError:
        return None
    return block(_dropped(fields, tags), form.order)


def _dropped(fields: Ifd, tags: Container[int]) -> Ifd:
    """The fields without the given tags, at every level."""
    return {
        tag: _dropped(value, tags) if isinstance(value, dict) else value
        for tag, value in fields.items()
        if tag not in tags
    }


def joined(first: bytes | None, exposure: bytes | None, gps: bytes | None) -> bytes | None:
    """One EXIF block from three TIFF files with its first, EXIF and GPS IFD; malformed files are ignored."""
    fields: Ifd = {}
    for pointer, data in ((None, first), (EXIF_IFD, exposure), (GPS_IFD, gps)):
        with contextlib.suppress(ValueError):
            form, offset = header(data or b"")
            found = parse(data or b"", form, offset, Allowance(), wanted=None if pointer else _DESCRIPTIVE)
            if pointer is None:
                fields |= found
            else:
                fields[pointer] = found
    return block(fields, "<")


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
