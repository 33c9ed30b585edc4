"""The resolution that a file states, in pixels per millimetre.

libvips reports one for every file, also where there is none.
"""

import contextlib
import math
import struct

from uformer.image import jpeg, png
from uformer.image.formats import JPEG, PNG, TIFF, Encoded, Format
from uformer.image.ifd import RESOLUTION_UNIT, X_RESOLUTION, Y_RESOLUTION, Directory

Resolution = tuple[float, float]
"""Horizontal and vertical."""

_NO_UNIT = 0
_MM_OF_PNG = {1: 1000.0}
_MM_OF_JFIF = {1: 25.4, 2: 10.0}
_MM_OF_TIFF = {2: 25.4, 3: 10.0}
"""Millimetres in the unit with this number: metre, inch or centimetre."""
_INCH = 2  # the default of TIFF and EXIF


def resolution(data: Encoded, picture_format: Format, exif: bytes | None) -> Resolution | None:
    """The stated resolution of a file; None if it states none, or one without a unit."""
    if picture_format is PNG:
        return _in_mm(*_physical(data), _MM_OF_PNG)
    if picture_format is TIFF:
        return _of_directory(data)
    stated = _in_mm(*_density(data), _MM_OF_JFIF) if picture_format is JPEG else None
    return stated or _of_directory(exif or b"")


def has_other_aspect(data: Encoded, picture_format: Format) -> bool:
    """Whether a PNG or JPEG states that its pixels are not square, without their size."""
    if picture_format not in (PNG, JPEG):
        return False
    across, down, unit = _physical(data) if picture_format is PNG else _density(data)
    return unit == _NO_UNIT and across != down and 0 not in (across, down)


def _physical(data: Encoded) -> tuple[int, int, int]:
    """Horizontal and vertical number and unit in the pHYs chunk of a PNG."""
    for name, start, end in png.chunks(data):
        if name == b"pHYs" and end - start == 9:
            across, down, unit = struct.unpack(">IIB", data[start:end])
            return across, down, unit
        if name == b"IDAT":
            break
    return 0, 0, _NO_UNIT


def _density(data: Encoded) -> tuple[int, int, int]:
    """Horizontal and vertical number and unit in the JFIF segment of a JPEG."""
    for _, payload, _ in jpeg.segments(data):
        if payload.startswith(b"JFIF\0") and len(payload) >= 12:
            unit, across, down = struct.unpack_from(">BHH", payload, 7)
            return across, down, unit
    return 0, 0, _NO_UNIT


def _of_directory(block: Encoded) -> Resolution | None:
    """The resolution in the first directory of a TIFF file or an EXIF block."""
    with contextlib.suppress(ValueError):
        first = Directory(block)
        across, down = (first.numbers(tag)[:1] for tag in (X_RESOLUTION, Y_RESOLUTION))
        unit = first.integers(RESOLUTION_UNIT, _INCH)[:1]
        if across and down and unit:
            return _in_mm(across[0], down[0], unit[0], _MM_OF_TIFF)
    return None


def _in_mm(across: float, down: float, unit: int, units: dict[int, float]) -> Resolution | None:
    if unit not in units or not (0 < across < math.inf and 0 < down < math.inf):
        return None
    return across / units[unit], down / units[unit]
