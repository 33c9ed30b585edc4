"""The thumbnail of an EXIF block: turned like the pixels, or removed if it cannot be."""

import struct

from uformer.image import exif_block, jpeg, vips
from uformer.image.ifd import Entry, Form, entries, header, next_directory, unpack

_WIDTH, _HEIGHT, _START, _LENGTH = 0x0100, 0x0101, 0x0201, 0x0202
_MOST_SIDE = 2048  # pixels; a thumbnail has 160 x 120
_MOST_EXIF = 65_527  # bytes that fit into a JPEG


def upright(exif: bytes, orientation: int) -> bytes:
    """The EXIF block with its thumbnail turned upright from this orientation; all else stays in place."""
    if orientation == 1:
        return exif
    try:
        form, first, found = _directories(exif)
        if not found:
            return exif
        return _turned(exif, form, found, orientation) or _without(exif, form, first, found)
    except ValueError:
        return exif


def without(exif: bytes) -> bytes:
    """The EXIF block without its thumbnail; all else stays in place."""
    try:
        form, first, found = _directories(exif)
        return _without(exif, form, first, found) if found else exif
    except ValueError:
        return exif


def _directories(exif: bytes) -> tuple[Form, int, dict[int, Entry]]:
    """The form of a block, where its first directory is, and the tags of the second, the thumbnail's."""
    form, first = header(exif)
    second = next_directory(exif, form, first)
    return form, first, {entry.tag: entry for entry in entries(exif, form, second)} if second else {}


def _turned(exif: bytes, form: Form, found: dict[int, Entry], orientation: int) -> bytes | None:
    """The block with a turned thumbnail; None if there is none, it is not a JPEG, or it is damaged."""
    start, length = _place(exif, form, found)
    small = exif[start : start + length]
    frame = jpeg.frame(small) if small[:2] == b"\xff\xd8" else None
    if frame is None or max(frame.width, frame.height) > _MOST_SIDE:
        return None
    try:
        quality = jpeg.coding(small).quality
        turned, width, height = vips.turned_jpeg(small, orientation, quality=quality)
    except vips.Error:
        return None
    out = bytearray(exif)
    out[start : start + length] = bytes(length)
    if len(turned) > length:
        if start + length == len(out):  # the usual place
            del out[start:]
        out += bytes(len(out) % 2)
        start = len(out)
        out += bytes(len(turned))
        if len(out) > _MOST_EXIF:
            return None
    out[start : start + len(turned)] = turned
    for tag, value in (
        (_START, start),
        (_LENGTH, len(turned)),
        (_WIDTH, width),
        (_HEIGHT, height),
        (exif_block.ORIENTATION, 1),
    ):
        if tag in found:
            exif_block.put(out, form, found[tag], value)
    return bytes(out)


def _without(exif: bytes, form: Form, first: int, found: dict[int, Entry]) -> bytes:
    """The block without a thumbnail: its bytes are zero, and its directory is not linked."""
    out = bytearray(exif)
    start, length = _place(exif, form, found)
    out[start : start + length] = bytes(len(out[start : start + length]))
    (count,) = unpack(form.count, exif, first)
    struct.pack_into(form.word, out, first + struct.calcsize(form.count) + count * form.entry, 0)
    return bytes(out)


def _place(exif: bytes, form: Form, found: dict[int, Entry]) -> tuple[int, int]:
    """Start and length of the thumbnail; 0 and 0 if it is not stored as one JPEG."""
    numbers: list[int] = []
    for tag in (_START, _LENGTH):
        if tag not in found or found[tag].kind != 4 or found[tag].count != 1:
            return 0, 0
        numbers += unpack(form.word, exif, found[tag].start)
    start, length = numbers
    return (start, length) if 8 <= start < start + length <= len(exif) else (0, 0)
