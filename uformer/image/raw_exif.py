"""Reads the EXIF block of a camera raw file, without the tags that describe the sensor data."""

import contextlib

from uformer.image import exif_block
from uformer.image.containers import boxes
from uformer.image.formats import Encoded

_ABOUT_THE_FILE = {0x927C, 0x9102, 0xA001, 0xA002, 0xA003, 0xA005}
"""Tags that are wrong for the developed image: maker note, compression, colour space, width, height,
interoperability."""

_CR3 = bytes.fromhex("85c0b687820f11e08111f4ce462b6a48")
"""UUID of Canon's box that holds the metadata of a CR3 file."""

_RAF_PREVIEW = 84
"""Position in a RAF file of the offset and length of its embedded JPEG, which holds the EXIF block."""
_LONGEST_SEGMENT = 2**16


def exif(data: Encoded) -> bytes | None:
    """The EXIF block; None if there is none or it cannot be read."""
    if data[:15] == b"FUJIFILMCCD-RAW":
        found = _of_raf(data)
    elif data[4:8] == b"ftyp":
        found = _of_cr3(data)
    elif data[:2] in (b"II", b"MM"):
        # Where a TIFF file has the number 42, Olympus and Panasonic use other numbers.
        mark = b"II*\0" if data[:2] == b"II" else b"MM\0*"
        found = exif_block.from_tiff(data if data[:4] == mark else mark + data[4:])
    else:
        found = None
    return exif_block.without(found, _ABOUT_THE_FILE) if found else None


def _of_raf(data: Encoded) -> bytes | None:
    start = int.from_bytes(data[_RAF_PREVIEW : _RAF_PREVIEW + 4], "big")
    head = data[start : start + _LONGEST_SEGMENT + 64]
    at = head.find(b"Exif\0\0")
    if head[:2] != b"\xff\xd8" or at < 4:
        return None
    length = int.from_bytes(head[at - 2 : at], "big")
    return head[at + 6 : at - 2 + length]


def _of_cr3(data: Encoded) -> bytes | None:
    parts: dict[bytes, bytes] = {}
    with contextlib.suppress(ValueError):
        for name, start, end in boxes(data, 0, len(data)):
            if name != b"moov":
                continue
            for inner, first, last in boxes(data, start, end):
                if inner == b"uuid" and data[first : first + 16] == _CR3:
                    for key, begin, stop in boxes(data, first + 16, last):
                        parts[key] = data[begin:stop]
    return exif_block.joined(parts.get(b"CMT1"), parts.get(b"CMT2"), parts.get(b"CMT4"))
