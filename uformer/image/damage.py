"""The cause of a damaged TIFF, found in the file itself.

libtiff's own text mixes the error with harmless warnings, and libvips collects the texts of all threads in
one place.
"""

from uformer.image.formats import Encoded
from uformer.image.ifd import (
    COMPRESSION,
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

_COMPRESSIONS = {
    1: "not compressed",
    2: "fax",
    3: "fax",
    4: "fax",
    5: "LZW",
    7: "JPEG",
    8: "deflate",
    32773: "PackBits",
    32946: "deflate",
    50001: "WebP",
}
_MOST_PAGES = 10_000
_MOST_PIECES = 2**20  # strips or tiles that are checked one by one


def cause(data: Encoded) -> str:
    """Why libvips cannot decode a TIFF, in one line."""
    try:
        first = Directory(data)
        found = objection(first) or _of_pieces(first, len(data)) or _of_pages(data, first)
        return found or _of_types(first) or _of_pixels(first)
    except ValueError as error:
        return str(error)


def objection(first: Directory) -> str | None:
    """The reason to refuse a TIFF without a size, or with too few strips or tiles; None if there is none.

    For a strip that is not listed, libtiff decodes other bytes of the file.
    """
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
    """The error in the strips or tiles of a file of `size` bytes; None if there is none."""
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
            piece = f"{'tile' if tiled else 'strip'} {number} of {count}"
            place = f"bytes {offset} to {offset + length}, but the file ends at byte {size}"
            return f"{piece} should lie at {place}; it is cut off or damaged"
    return None


def _tables(first: Directory) -> tuple[bool, int, int]:
    """Whether the pixels lie in tiles, and the tags of the offsets and lengths.

    Some writers use the tags of strips for tiles.
    """
    tiled = TILE_WIDTH in first or TILE_OFFSETS in first
    if tiled and STRIP_OFFSETS not in first:
        return True, TILE_OFFSETS, TILE_BYTES
    return tiled, STRIP_OFFSETS, STRIP_BYTES


def _expected_pieces(first: Directory, *, tiled: bool) -> int | str:
    """The number of strips or tiles that the image needs, or the reason why there is no such number."""
    width, height = first.integer(WIDTH, 0), first.integer(LENGTH, 0)
    if tiled:
        sides = first.integer(TILE_WIDTH, 0), first.integer(TILE_LENGTH, 0)
    else:
        sides = width, first.integer(ROWS_PER_STRIP, height)
    if min(sides) <= 0:
        return f"its {'tiles' if tiled else 'strips'} have {sides[0]} x {sides[1]} pixels"
    planes = first.integer(SAMPLES, 1) if first.integer(PLANAR, 1) == 2 else 1
    return -(-width // sides[0]) * -(-height // sides[1]) * planes


def _of_pages(data: Encoded, first: Directory) -> str | None:
    """The error in the directories of the other pages, which libvips reads to count them; None if none."""
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
    """The first tag of an unknown type, on which libtiff reports an error and libvips fails; None if none."""
    for tag in first.of_unknown_type():
        return f"its {name_of(tag)} has an unknown type ({first.type_of(tag)})"
    return None


def _of_pixels(first: Directory) -> str:
    """The message for a file whose directories are sound."""
    compression = _COMPRESSIONS.get(first.integer(COMPRESSION, 1), "compressed")
    return f"its pixel data ({compression}) is damaged or too short"
