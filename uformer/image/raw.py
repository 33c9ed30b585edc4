"""Recognising the raw files of cameras by their contents.

Many are TIFF files inside: a decoder would show their thumbnail, or sensor data as if they were an image.
"""

from collections.abc import Iterator

from uformer.image.exif import Encoded
from uformer.image.ifd import COMPRESSION, PHOTOMETRIC, Directory

_MAKE, _SUB_IFDS, _NEW_SUBFILE_TYPE, _DNG_VERSION = 0x010F, 0x014A, 0x00FE, 0xC612
_SENSOR_DATA = {32803, 34892}  # mosaic (CFA), linear raw
_SENSOR_COMPRESSIONS = {32767, 32769, 32770, 34316, 34713, 65000, 65535}  # Sony, packed, Samsung, Panasonic, Nikon, Kodak, Pentax
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
"""Where the first bytes of a kind lie, what they are, and what it is called."""

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
"""How a TIFF's Make begins, in lower case, and what this maker's raw files are called."""


def kind(data: Encoded) -> str | None:
    """What kind of camera raw file this is ("Nikon NEF"); None where it is none."""
    for position, mark, name in _MARKS:
        if data[position : position + len(mark)] == mark:
            return name
    return _inside_tiff(data) if data[:4] in _TIFF_MARKS else None


def _inside_tiff(data: Encoded) -> str | None:
    """What kind of raw file a TIFF is; None for an image, or for a file too damaged to tell."""
    try:
        first = Directory(data)
        make = " ".join(first.text(_MAKE).split())
        if _DNG_VERSION in first:
            return "DNG"
        by_make = next((name for start, name in _MAKERS if make.lower().startswith(start)), None)
        thumbnail = any(value & 1 for value in first.integers(_NEW_SUBFILE_TYPE)[:1])
        if (thumbnail and by_make) or any(_holds_sensor_data(each) for each in _directories(data, first)):
            return by_make or (make[:40] if make.isprintable() and make else "of an unknown camera")
    except ValueError:
        pass
    return None


def _directories(data: Encoded, first: Directory) -> Iterator[Directory]:
    """The first directory of a TIFF, those below it, and those of the next pages: the first few."""
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
    return directory.integer(PHOTOMETRIC, 0) in _SENSOR_DATA or directory.integer(COMPRESSION, 1) in _SENSOR_COMPRESSIONS
