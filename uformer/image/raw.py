"""Recognise camera raw files by their contents.

Many of them are TIFF files inside: a TIFF decoder would return their thumbnail, or their sensor data as an
image.
"""

from collections.abc import Iterator

from uformer.image.formats import Encoded
from uformer.image.ifd import COMPRESSION, NEW_SUBFILE_TYPE, PHOTOMETRIC, Directory

_MAKE, _SUB_IFDS, _DNG_VERSION = 0x010F, 0x014A, 0xC612
_SENSOR_DATA = {32803, 34892}  # mosaic (CFA), linear raw
_SENSOR_COMPRESSIONS = {
    32767,
    32769,
    32770,
    34316,
    34713,
    65000,
    65535,
}  # Sony, packed, Samsung, Panasonic, Nikon, Kodak, Pentax
_MOST_DIRECTORIES = 16

_MARKS = (
    (0, b"FUJIFILMCCD-RAW", "Fujifilm RAF"),
    (4, b"ftypcrx ", "Canon CR3"),
    (6, b"HEAPCCDR", "Canon CRW"),
    (0, b"IIRO", "Olympus ORF"),
    (0, b"IIRS", "Olympus ORF"),
    (0, b"MMOR", "Olympus ORF"),
    (0, b"IIU\0", "Panasonic RW2"),
    (0, b"\0MRM", "Minolta MRW"),
    (0, b"FOVb", "Sigma X3F"),
    (8, b"CR\2", "Canon CR2"),
)
"""Position and value of the bytes that mark each kind, and its name."""

_TIFF_MARKS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

_MAKERS = (
    ("nikon", "Nikon NEF"),
    ("sony", "Sony ARW"),
    ("pentax", "Pentax PEF"),
    ("ricoh", "Pentax PEF"),
    ("canon", "Canon"),
    ("olympus", "Olympus ORF"),
    ("om digital", "Olympus ORF"),
    ("panasonic", "Panasonic RW2"),
    ("samsung", "Samsung SRW"),
    ("hasselblad", "Hasselblad 3FR"),
    ("phase one", "Phase One IIQ"),
    ("leaf", "Leaf MOS"),
    ("kodak", "Kodak DCR"),
    ("eastman kodak", "Kodak DCR"),
    ("epson", "Epson ERF"),
    ("mamiya", "Mamiya MEF"),
)
"""The beginning of a TIFF's Make tag, in lower case, and the name of this maker's raw files."""


def kind(data: Encoded) -> str | None:
    """The kind of camera raw file, such as "Nikon NEF"; None for any other file."""
    for position, mark, name in _MARKS:
        if data[position : position + len(mark)] == mark:
            return name
    return _inside_tiff(data) if data[:4] in _TIFF_MARKS else None


def _inside_tiff(data: Encoded) -> str | None:
    """The kind of raw file that a TIFF is; None for an ordinary image or a badly damaged file."""
    try:
        first = Directory(data)
        make = " ".join(first.text(_MAKE).split())
        if _DNG_VERSION in first:
            return "DNG"
        by_make = next((name for start, name in _MAKERS if make.lower().startswith(start)), None)
        thumbnail = any(value & 1 for value in first.integers(NEW_SUBFILE_TYPE)[:1])
        if (thumbnail and by_make) or any(_holds_sensor_data(each) for each in _directories(data, first)):
            return by_make or (make[:40] if make.isprintable() and make else "of an unknown camera")
    except ValueError:
        pass
    return None


def _directories(data: Encoded, first: Directory) -> Iterator[Directory]:
    """The first directory of a TIFF, the first few below it, and those of the next few pages."""
    yield first
    for offset in first.integers(_SUB_IFDS)[:_MOST_DIRECTORIES]:
        yield Directory(data, offset)
    page = first
    for _ in range(_MOST_DIRECTORIES):
        if not page.next:
            break
        page = Directory(data, page.next)
        yield page


def _holds_sensor_data(directory: Directory) -> bool:
    if directory.integer(PHOTOMETRIC, 0) in _SENSOR_DATA:
        return True
    return directory.integer(COMPRESSION, 1) in _SENSOR_COMPRESSIONS
