"""Tags that only a TIFF file holds: map position, pixel size without a unit, names of pages.

They are kept as a block, a small TIFF file like an EXIF block, and packed into the written file.
"""

import contextlib
import struct

from uformer.image.fields import Allowance, Ifd, Value, block, fields_of, parse
from uformer.image.formats import Encoded
from uformer.image.ifd import RESOLUTION_UNIT, X_RESOLUTION, Y_RESOLUTION, Directory, entries, header

_NO_UNIT = 1
_RESOLUTION = {X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT}
_COLOURS = {318, 319}  # white point, primaries
_GEO = {33550, 33920, 33922, 34264, 34735, 34736, 34737}  # OGC GeoTIFF 1.1
_GDAL = {42112, 42113}  # metadata, and the value of pixels without data
_NAMES = {269, 285, 286, 287, 51123}  # document, page, position of the page, Micro-Manager's metadata
_KEPT = _COLOURS | _GEO | _GDAL | _NAMES

_MAP_POSITION = "the map position (GeoTIFF)"
_REPORTED = {
    301: "the transfer function",
    330: "reduced copies",
    33628: "MetaMorph data",
    34377: "Photoshop resources",
    34412: "Zeiss LSM data",
    37724: "Photoshop layers",
    50839: "ImageJ overlays and labels",
}
"""Tags whose loss is reported by name; others above 32767 are reported by number."""

_FAMILIAR = {700, 32932, 32995, 32996, 32997, 33432, 33550, 33723, 34022, 34665, 34675, 34853, 37679, 40965}
_FAMILIAR |= {50838, 33629, 33630, 33631, 40092, 40093, 40094, 40095, 40091}
"""Tags above 32767 that are read elsewhere, or that belong to a reported one."""


def kept(data: Encoded, *, turned: bool) -> bytes | None:
    """The block of a TIFF file; None if it has no such tags. In a `turned` image, positions are lost."""
    try:
        form, offset = header(data)
        fields = parse(data, form, offset, Allowance(), wanted=_KEPT | _RESOLUTION)
        if has_no_unit(data):
            if turned:
                _swap(fields)
        else:
            fields = {tag: value for tag, value in fields.items() if tag not in _RESOLUTION}
    except ValueError:
        return None
    if turned:
        fields = {tag: value for tag, value in fields.items() if tag not in _GEO}
    return block(fields, form.order)


def has_no_unit(data: Encoded) -> bool:
    """Whether a TIFF file has a resolution without a unit, as ImageJ writes it."""
    with contextlib.suppress(ValueError):
        first = Directory(data)
        across, down = (first.numbers(tag, 1.0)[:1] for tag in (X_RESOLUTION, Y_RESOLUTION))
        return first.integers(RESOLUTION_UNIT, 2)[:1] == (_NO_UNIT,) and (across, down) != ((1.0,), (1.0,))
    return False


def of_pixels(tags: bytes | None) -> bytes | None:
    """The part of a block that belongs to the pixels: resolution and colours."""
    return _selected(tags, _RESOLUTION | _COLOURS)


def without_resolution(tags: bytes | None) -> bytes | None:
    """The block with tags that state no resolution, unless it has a resolution without a unit.

    TIFF 6.0 demands these tags: 1 by 1, without a unit.
    """
    one, no_unit = Value(5, struct.pack("<II", 1, 1)), Value(3, struct.pack("<H", _NO_UNIT))
    none: Ifd = {X_RESOLUTION: one, Y_RESOLUTION: one, RESOLUTION_UNIT: no_unit}
    return block(none | fields_of(tags), "<")


def names(tags: bytes | None) -> list[str]:
    """What a block holds, in words."""
    fields = fields_of(tags)
    groups = (
        (_MAP_POSITION, _GEO),
        ("GDAL metadata", _GDAL),
        ("the names of its page", _NAMES),
        ("a resolution without a unit", {X_RESOLUTION}),
        ("white point and primaries", _COLOURS),
    )
    return [name for name, group in groups if group & fields.keys()]


def left_out(data: Encoded, *, turned: bool) -> list[str]:
    """What a TIFF file holds in tags of its first page that are not kept, in words."""
    found = []
    with contextlib.suppress(ValueError):
        form, offset = header(data)
        tags = {entry.tag for entry in entries(data, form, offset)}
        if turned and tags & _GEO:
            found.append(_MAP_POSITION)
        found += [name for tag, name in _REPORTED.items() if tag in tags]
        others = {tag for tag in tags if tag > 32767} - _KEPT - _FAMILIAR - _REPORTED.keys()
        found += [f"tag {tag}" for tag in sorted(others)]
    return found


def _swap(fields: Ifd) -> None:
    """Exchange horizontal and vertical resolution."""
    across, down = fields.get(X_RESOLUTION), fields.get(Y_RESOLUTION)
    if across is not None and down is not None:
        fields[X_RESOLUTION], fields[Y_RESOLUTION] = down, across


def _selected(tags: bytes | None, wanted: set[int]) -> bytes | None:
    return block({tag: value for tag, value in fields_of(tags).items() if tag in wanted}, "<")
