"""Decompression bombs: refuse a file that claims more pixels than its bytes can hold at the best compression.

All bytes of a file count as compressed pixels, so an honest file passes, however simple its image. Lossless
WebP and AVIF can store an image of a single colour in a few bytes, so they have no such bound; their decoders
stop when the data end before the claimed size.
"""

import itertools
from collections.abc import Callable, Iterator

from uformer.image import formats, jpeg
from uformer.image.containers import boxes, riff_chunks
from uformer.image.formats import Encoded, Format
from uformer.image.ifd import (
    BITS,
    COMPRESSION,
    LENGTH,
    PHOTOMETRIC,
    ROWS_PER_STRIP,
    SAMPLES,
    STRIP_BYTES,
    TILE_BYTES,
    TILE_LENGTH,
    TILE_WIDTH,
    WIDTH,
    Directory,
)

_HEADERS = 64  # bytes granted to every file, so that a small truncated file is reported as damaged

# Bits; VP8 codes the two prediction modes of 16 x 16 pixels with fixed probabilities (RFC 6386, 11.2).
_MACROBLOCK = 3.4
_BLANK_CANVAS = 2**22  # pixels that an animation or a GIF may claim whatever the size of its first frame
_MOST_BLANK = 16  # a larger animation may claim this multiple of the pixels of its first frame

_AVIF_PIXELS = 2**28  # of an image or tile; libheif refuses more, without a usable message
_MOST_BOXES = 4096

_YCBCR = 6
_FAX, _JPEG, _WEBP = {2, 3, 4}, 7, 50001
_LZW = 2731  # a 12-bit code stands for at most 4,096 bytes, a shorter code for fewer
_TIFF_EXPANSION = {
    1: 1,  # none
    5: _LZW,
    8: 1032,  # deflate
    32946: 1032,
    32773: 64,  # PackBits: two bytes stand for at most 128
}
"""The number of sample bytes that one byte can stand for, by compression."""
_SMALLEST_WEBP = 20  # bytes


def too_many(data: Encoded, picture_format: Format, max_pixels: int) -> str | None:
    """The reason why a file cannot hold the pixels that it claims; None if it can.

    Claims above `max_pixels` are left to that limit.
    """
    if picture_format in (formats.AVIF, formats.HEIC):
        return _avif(data)
    check = _CHECKS.get(picture_format.name)
    found = check(data) if check else None
    if found is None or found[0] * found[1] > max_pixels:
        return None
    return f"claims {found[0]} x {found[1]} pixels, more than its {len(data)} bytes can hold"


def _jpeg(data: Encoded) -> tuple[int, int] | None:
    frame = jpeg.frame(data)
    return (
        (frame.width, frame.height)
        if frame is not None and frame.least_bytes > len(data) + _HEADERS
        else None
    )


def _webp(data: Encoded) -> tuple[int, int] | None:
    canvas = None
    for name, start, _ in riff_chunks(data):
        body = start + 8
        if name == b"VP8X" and data[body : body + 1] and data[body] & 2:
            canvas = _sides(data, body + 4)
        elif name == b"ANMF" and canvas is not None:
            (width, height), (w, h) = canvas, _sides(data, body + 6)
            return (
                canvas
                if width * height > max(_BLANK_CANVAS, _MOST_BLANK * w * h)
                else _lossy(data, body + 16, w, h)
            )
        elif name == b"VP8 ":
            width, height = (
                int.from_bytes(data[at : at + 2], "little") & 0x3FFF for at in (body + 6, body + 8)
            )
            return _too_many_macroblocks(data, width, height)
        elif name == b"VP8L":
            break
    return None


def _lossy(data: Encoded, first: int, width: int, height: int) -> tuple[int, int] | None:
    """The sides of an animation frame with chunks from `first` on, if too large for a lossy frame."""
    return _too_many_macroblocks(data, width, height) if data[first : first + 4] == b"VP8 " else None


def _too_many_macroblocks(data: Encoded, width: int, height: int) -> tuple[int, int] | None:
    blocks = -(-width // 16) * -(-height // 16)
    return (width, height) if blocks * _MACROBLOCK / 8 > len(data) + _HEADERS else None


def _gif(data: Encoded) -> tuple[int, int] | None:
    width, height = (int.from_bytes(data[at : at + 2], "little") for at in (6, 8))
    return (width, height) if width * height > max(_BLANK_CANVAS, _LZW * len(data)) else None


def _sides(data: Encoded, at: int) -> tuple[int, int]:
    """Width and height, each stored as three bytes of its value minus one."""
    width, height = (int.from_bytes(data[each : each + 3], "little") + 1 for each in (at, at + 3))
    return width, height


def _tiff(data: Encoded) -> tuple[int, int] | None:
    try:
        return _too_large(Directory(data), len(data) + _HEADERS)
    except ValueError:
        return None  # `tiff.objection` reports what is wrong


def _too_large(first: Directory, size: int) -> tuple[int, int] | None:
    """The sides of a TIFF if `size` bytes cannot hold its pixels; None if they can."""

    def one(tag: int, default: int) -> int:
        return (first.integers(tag) or (default,))[0]

    width, height, compression = one(WIDTH, 0), one(LENGTH, 0), one(COMPRESSION, 1)
    if compression in _FAX:  # a row equal to the one above takes one bit
        fits = height <= 8 * size
    elif compression == _JPEG:  # see `jpeg`: one bit for a block of one component
        fits = width * height <= 8 * 64 * size
    elif compression == _WEBP:  # has no bound itself, but each strip or tile is a file
        rows = -(-height // max(one(TILE_LENGTH, one(ROWS_PER_STRIP, height)), 1))
        parts = rows * -(-width // max(one(TILE_WIDTH, width), 1))
        sizes = first.integers(TILE_BYTES) or first.integers(STRIP_BYTES)
        fits = (
            len(sizes) >= parts and min(sizes, default=0) >= _SMALLEST_WEBP and parts * _SMALLEST_WEBP <= size
        )
    else:
        # Subsampled chroma may take next to nothing.
        samples = 1 if one(PHOTOMETRIC, 0) == _YCBCR else one(SAMPLES, 1)
        fits = height * (width * samples * one(BITS, 1) // 8) <= _TIFF_EXPANSION.get(compression, 1) * size
    return None if fits else (width, height)


def _avif(data: Encoded) -> str | None:
    for width, height in _avif_sides(data):
        if width * height > _AVIF_PIXELS:
            return f"claims {width} x {height} pixels; an AVIF can have at most {_AVIF_PIXELS}"
    return None


def _avif_sides(data: Encoded) -> Iterator[tuple[int, int]]:
    """Width and height of each image and tile: the property boxes `ispe`, in `ipco`, in `iprp`, in `meta`."""
    spans = [(0, len(data))]
    for wanted, skipped in ((b"meta", 4), (b"iprp", 0), (b"ipco", 0), (b"ispe", 4)):
        found = itertools.chain.from_iterable(boxes(data, start, end) for start, end in spans)
        spans = [
            (start + skipped, end)
            for name, start, end in itertools.islice(found, _MOST_BOXES)
            if name == wanted
        ]
    for start, _ in spans:
        yield (
            int.from_bytes(data[start : start + 4], "big"),
            int.from_bytes(data[start + 4 : start + 8], "big"),
        )


_CHECKS: dict[str, Callable[[Encoded], tuple[int, int] | None]] = {
    formats.GIF.name: _gif,
    formats.JPEG.name: _jpeg,
    formats.WEBP.name: _webp,
    formats.TIFF.name: _tiff,
}
