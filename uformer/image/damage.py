"""What is wrong with a TIFF that libtiff fails to decode, looked for in the file itself.

libtiff mixes its error with warnings of what did no harm, and speaks of its own insides.
"""

from collections.abc import Sequence

from uformer.image.exif import Encoded
from uformer.image.ifd import (
    LENGTH,
    PLANAR,
    ROWS_PER_STRIP,
    SAMPLES,
    STRIP_BYTES,
    STRIP_OFFSETS,
    TILE_BYTES,
    TILE_LENGTH,
    TILE_OFFSETS,
    TILE_WIDTH,
    WIDTH,
    Directory,
    name_of,
)

_NO_CAUSE = ("Defined set_get_field_type", "Unknown field with tag", "unable to open source", ": load error", "tiff2vips: read error")
_MOST_PAGES = 10_000
_MOST_PIECES = 2**20  # strips or tiles that are looked at one by one


def cause(data: Encoded, complaints: Sequence[str]) -> str:
    """Why a TIFF cannot be decoded, in one line: what its directories show, else the last of libtiff's complaints that matters."""
    try:
        first = Directory(data)
        return objection(first) or _of_pieces(first, len(data)) or _of_pages(data, first) or _of_types(first) or _said(complaints)
    except ValueError as error:
        return str(error)


def objection(first: Directory) -> str | None:
    """Why a TIFF cannot hold the image that it claims: libtiff would take what lies elsewhere for strips or tiles that it does not list."""
    for tag in (WIDTH, LENGTH):
        if tag not in first:
            return f"it has no {name_of(tag)} tag"
        if (side := first.integer(tag, 0)) <= 0:
            return f"its {name_of(tag)} is {side}"
    tiled, tag, _ = _tables(first)
    if tag not in first:
        return f"it has no {name_of(tag)} tag"
    expected = _expected_pieces(first, tiled=tiled)
    if isinstance(expected, str):
        return expected
    if first.count(tag) < expected:
        return f"its {name_of(tag)} tag has {first.count(tag)} values, expected {expected}"
    return None


def _of_pieces(first: Directory, size: int) -> str | None:
    """What is wrong with the strips or tiles, in a file of `size` bytes."""
    tiled, tag, lengths_tag = _tables(first)
    count = first.count(tag)
    if lengths_tag in first and first.count(lengths_tag) != count:
        return f"its {name_of(lengths_tag)} tag has {first.count(lengths_tag)} values, expected {count}"
    if count > _MOST_PIECES:
        return None
    offsets = first.integers(tag)
    lengths = first.integers(lengths_tag, *(1,) * count)
    for number, (offset, length) in enumerate(zip(offsets, lengths, strict=True), start=1):
        if offset < 0 or length < 0 or offset + length > size:
            piece, place = "tile" if tiled else "strip", f"bytes {offset} to {offset + length}"
            return f"{piece} {number} of {count} should lie at {place}, but the file ends at byte {size}; it is cut off or damaged"
    return None


def _tables(first: Directory) -> tuple[bool, int, int]:
    """Whether the pixels lie in tiles, and the tags of the places and lengths; some writers use those of strips for tiles."""
    tiled = TILE_WIDTH in first or TILE_OFFSETS in first
    return tiled, *((TILE_OFFSETS, TILE_BYTES) if tiled and STRIP_OFFSETS not in first else (STRIP_OFFSETS, STRIP_BYTES))


def _expected_pieces(first: Directory, *, tiled: bool) -> int | str:
    """How many strips or tiles the image has, or what makes that impossible to say."""
    width, height = first.integer(WIDTH, 0), first.integer(LENGTH, 0)
    sides = (first.integer(TILE_WIDTH, 0), first.integer(TILE_LENGTH, 0)) if tiled else (width, first.integer(ROWS_PER_STRIP, height))
    if min(sides) <= 0:
        return f"its {'tiles' if tiled else 'strips'} are of {sides[0]} x {sides[1]} pixels"
    planes = first.integer(SAMPLES, 1) if first.integer(PLANAR, 1) == 2 else 1
    return -(-width // sides[0]) * -(-height // sides[1]) * planes


def _of_pages(data: Encoded, first: Directory) -> str | None:
    """What is wrong with the directories of the other pages, which libtiff reads to count them."""
    page, offsets = first, {0}
    for number in range(2, _MOST_PAGES):
        if page.next in offsets:
            return None
        offsets.add(page.next)
        try:
            page = Directory(data, page.next)
        except ValueError as error:
            return f"page {number}: {error}"
    return None


def _of_types(first: Directory) -> str | None:
    """Which tag libtiff cannot read, and libvips does not forgive that."""
    for tag in first.of_unknown_type():
        return f"its {name_of(tag)} is of an unknown type ({first.type_of(tag)})"
    return None


def _said(complaints: Sequence[str]) -> str:
    causes = [line.removeprefix("tiff2vips: ").rstrip(" :") for line in complaints if not any(each in line for each in _NO_CAUSE)]
    return f"its pixels cannot be decoded ({causes[-1]})" if causes else "the data are damaged"
