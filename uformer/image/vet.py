"""Checks for hostile files before any library reads them: false lengths, loops, decompression bombs.

Each check reads a bounded number of bytes. A file that passes may still be damaged, which its decoder then
reports.
"""

import itertools
import struct
from dataclasses import dataclass

from uformer.image import claims, jpeg, tiff
from uformer.image.containers import boxes, riff_chunks
from uformer.image.formats import Encoded, Format
from uformer.image.ifd import Directory, pages


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits of an image file; most are checked before any pixel is decoded."""

    max_pixels: int = 500_000_000
    """Width times height."""
    max_side: int = 1_000_000
    """Longest side, in pixels."""
    max_bytes: int = 2**32
    """Size of the file, but see `max_stack_bytes`."""
    max_stack_bytes: int = 2**42
    """Size of a TIFF of which only the header is read: stacks are then read page by page."""
    max_frames: int = 10_000
    """Frames in a file, but see `max_pages`."""
    max_pages: int = 100_000
    """Pages in a TIFF, and planes in a Zarr."""
    max_metadata: int = 2**26
    """Total bytes of colour profile, EXIF, XMP and IPTC."""
    max_seconds: float = 120
    """Seconds to decode the pixels."""


_MOST_CHUNKS = 4096  # of one file, not counting those of pixels
_MOST_PIXEL_CHUNKS = 1_000_000
_DEFLATE = 1032  # maximum ratio of output to input
_PNG_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
_TIFF_BLOBS = (0x02BC, 0x83BB, 0x8649, 0x8769, 0x8773)  # XMP, IPTC, Photoshop, EXIF, ICC


def objection(data: Encoded, picture_format: Format, limits: Limits) -> str | None:
    """The reason not to open a file at all; None if there is none."""
    check = {
        "PNG": _png,
        "JPEG": _jpeg,
        "WebP": _webp,
        "TIFF": _tiff,
        "AVIF": _avif,
        "HEIC": _avif,
        "GIF": _nothing,
        "camera raw": _nothing,
    }[picture_format.name]
    return check(data, limits) or claims.too_many(data, picture_format, limits.max_pixels)


def _png(data: Encoded, limits: Limits) -> str | None:
    if data[12:16] != b"IHDR" or len(data) < 33:
        return "it has no header"
    width, height, bits, colour = struct.unpack_from(">IIBB", data, 16)
    position, others, pixel_chunks, pixel_bytes, other_bytes = 8, 0, 0, 0, 0
    while position + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, position)
        if name == b"IDAT":
            pixel_chunks += 1
            pixel_bytes += length
        elif pixel_chunks:
            break
        else:
            others += 1
            other_bytes += length
        if others > _MOST_CHUNKS or pixel_chunks > _MOST_PIXEL_CHUNKS:
            return "too many chunks"
        position += 12 + length
    if other_bytes > limits.max_metadata:
        return f"{other_bytes} bytes of metadata, over the limit of {limits.max_metadata}"
    if width * height <= limits.max_pixels and height * (
        width * bits * _PNG_SAMPLES.get(colour, 1) // 8 + 1
    ) > _DEFLATE * (min(pixel_bytes, len(data)) + 64):
        return f"claims {width} x {height} pixels, more than its {pixel_bytes} bytes of pixel data can hold"
    return None


def _jpeg(data: Encoded, _limits: Limits) -> str | None:
    return "too many segments" if jpeg.is_crowded(data) else None


def _webp(data: Encoded, limits: Limits) -> str | None:
    frames, others = 0, 0
    for name, start, end in riff_chunks(data):
        frames += name == b"ANMF"
        others += name != b"ANMF"
        if frames > limits.max_frames:
            return f"more than {limits.max_frames} frames"
        if others > _MOST_CHUNKS:
            return "too many chunks"
        if name in (b"ICCP", b"EXIF", b"XMP ") and end - start > limits.max_metadata:
            return f"{end - start} bytes of metadata, over the limit of {limits.max_metadata}"
    return None


def _tiff(data: Encoded, limits: Limits) -> str | None:
    count = sum(1 for _ in itertools.islice(pages(data), limits.max_pages + 1))
    if count > limits.max_pages:
        return f"more than {limits.max_pages} pages"
    if reason := tiff.objection(data):
        return reason
    first = Directory(data)
    metadata = sum(first.size(tag) for tag in _TIFF_BLOBS)
    return (
        f"{metadata} bytes of metadata, over the limit of {limits.max_metadata}"
        if metadata > limits.max_metadata
        else None
    )


def _nothing(data: Encoded, limits: Limits) -> str | None:  # noqa: ARG001
    """Accept a GIF, which `claims` checks, and camera raw, which a separate process decodes."""
    return None


def _avif(data: Encoded, limits: Limits) -> str | None:
    top = list(itertools.islice(boxes(data, 0, len(data)), _MOST_CHUNKS))
    if len(top) == _MOST_CHUNKS:
        return "too many boxes"
    for name, start, end in top:
        if name != b"meta":
            continue
        if end - start > limits.max_metadata:
            return f"{end - start} bytes of metadata, over the limit of {limits.max_metadata}"
        if b"iovl" in data[start:end]:
            return "it is composed of overlapping images, which is not supported"
    return None
