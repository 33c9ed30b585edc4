"""Containers of encoded images: facts that libvips does not report, and EXIF embedded byte for byte.

libvips would rewrite EXIF and lose the tags that it does not know.
"""

import itertools
import struct
from collections.abc import Iterator

from uformer.errors import PictureError
from uformer.image import exif_block, formats, jpeg, png
from uformer.image.formats import Encoded, Format

PLACEHOLDER = b"Exif\0\0II*\0" + struct.pack("<IHI", 8, 0, 0)
"""An empty EXIF block for AVIF; `embed_exif` then points its item at the real block."""


_FIRST_BYTES = 2**16
_MOST_CHUNKS = 1000  # checked; a hostile file can hold millions of empty chunks to waste time


def embed_exif(
    data: bytes, picture_format: Format, exif: bytes, *, width: int, height: int, alpha: bool
) -> bytes:
    """The encoded image with the EXIF block in it; an AVIF must have been written with PLACEHOLDER."""
    if picture_format is formats.JPEG:
        return jpeg.with_segments(data, [(jpeg.APP1, b"Exif\0\0" + exif)])
    if picture_format is formats.PNG:
        return png.with_chunks(data, [(b"eXIf", exif)])
    if picture_format is formats.WEBP:
        return _into_webp(data, exif, width=width, height=height, alpha=alpha)
    if picture_format is formats.TIFF:
        return exif_block.into_tiff(data, exif)
    return _into_avif(data, exif)


def embed_density(jpeg: bytes, resolution: tuple[float, float]) -> bytes:
    """The JPEG with a JFIF header that states its resolution (pixels per millimetre).

    libvips writes the resolution only as EXIF.
    """
    across, down = (min(max(round(each * 25.4), 1), 65_535) for each in resolution)
    return (
        jpeg[:2]
        + b"\xff\xe0"
        + struct.pack(">H5sHBHHBB", 16, b"JFIF\0", 0x0102, 1, across, down, 0, 0)
        + jpeg[2:]
    )


def frames(data: Encoded, picture_format: Format) -> int:
    """The number of frames in a PNG or AVIF file, of which libvips sees only one; 1 for other formats.

    Any AVIF sequence counts as 2 frames.
    """
    if picture_format is formats.AVIF:
        return 2 if data[8:12] == b"avis" else 1
    return png.frames(data) if picture_format is formats.PNG else 1


def nclx(data: Encoded) -> tuple[int, int] | None:
    """Primaries and transfer (ITU-T H.273) of an AVIF without a profile, if other than those of sRGB."""
    at = data.find(b"nclx", 0, _FIRST_BYTES)
    said = data[at + 4 : at + 8][1::2]
    return (said[0], said[1]) if at > 0 and len(said) == 2 and not png.is_srgb(*said) else None


def has_gain_map(data: Encoded) -> bool:
    """Whether an AVIF has an HDR gain map: an item of type `tmap` (ISO 21496-1)."""
    return data.find(b"tmap", 0, _FIRST_BYTES) > 0


def is_lossless_webp(data: Encoded) -> bool:
    """Whether a WebP file holds a lossless image."""
    return any(name == b"VP8L" for name, _, _ in itertools.islice(riff_chunks(data), _MOST_CHUNKS))


def riff_chunks(data: Encoded) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and end (including padding) of each chunk."""
    position = 12
    while position + 8 <= len(data):
        name, length = struct.unpack_from("<4sI", data, position)
        end = position + 8 + length + length % 2
        yield name, position, end
        position = end


def _into_webp(data: bytes, exif: bytes, *, width: int, height: int, alpha: bool) -> bytes:
    has_exif, has_alpha = 0x08, 0x10
    chunks = {name: data[start:end] for name, start, end in riff_chunks(data)}
    xmp = chunks.pop(b"XMP ", b"")
    header = bytearray(chunks.pop(b"VP8X", b""))
    if not header:
        sides = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
        header = bytearray(b"VP8X" + struct.pack("<IB3x", 10, has_alpha * alpha) + sides)
    header[8] |= has_exif
    body = (
        bytes(header)
        + b"".join(chunks.values())
        + b"EXIF"
        + struct.pack("<I", len(exif))
        + exif
        + bytes(len(exif) % 2)
        + xmp
    )
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def boxes(data: Encoded, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and end of the contents of each box of an ISO base media file (sizes of 32 bits)."""
    while start + 8 <= end:
        size, name = struct.unpack_from(">I4s", data, start)
        size = end - start if size == 0 else size  # extends to the end of the file
        yield name, start + 8, min(start + size, end)
        start += max(size, 8)


def _into_avif(data: bytes, exif: bytes) -> bytes:
    """Append the EXIF block, and point the item of PLACEHOLDER at it (ISO/IEC 14496-12, 8.11.3)."""
    (meta,) = ((start + 4, end) for name, start, end in boxes(data, 0, len(data)) if name == b"meta")
    parts = {name: (start, end) for name, start, end in boxes(data, *meta)}
    entries_start = parts[b"iinf"][0] + (6 if data[parts[b"iinf"][0]] == 0 else 8)
    item = None
    for _, start, _ in boxes(data, entries_start, parts[b"iinf"][1]):
        number, kind = struct.unpack_from(">H2x4s" if data[start] == 2 else ">I2x4s", data, start + 4)
        if kind == b"Exif":
            item = number
    payload = struct.pack(">I", 0) + exif  # the number of bytes before the EXIF header
    box = struct.pack(">I4s", 8 + len(payload), b"mdat") + payload
    for position, number, base in _avif_extents(data, parts[b"iloc"][0]):
        if number == item:
            return (
                data[:position]
                + struct.pack(">II", len(data) + 8 - base, len(payload))
                + data[position + 8 :]
                + box
            )
    raise PictureError(
        "the AVIF encoder left no room for EXIF; strip the metadata, or write PNG, JPEG, WebP or TIFF"
    )


def _avif_extents(data: bytes, start: int) -> Iterator[tuple[int, int, int]]:
    """The position of each item's only extent (32-bit offset and length), its number, and its base offset."""
    version, sizes, base_size = data[start], data[start + 4], data[start + 5] >> 4
    if sizes != 0x44:
        return
    wide = version == 2
    count = int.from_bytes(data[start + 6 : start + (10 if wide else 8)], "big")
    position = start + (10 if wide else 8)
    for _ in range(count):
        number = int.from_bytes(data[position : position + (4 if wide else 2)], "big")
        position += 4 if wide else 2
        method = int.from_bytes(data[position : position + 2], "big") & 15 if version else 0
        position += (2 if version else 0) + 2
        base = int.from_bytes(data[position : position + base_size], "big")
        position += base_size
        extents = int.from_bytes(data[position : position + 2], "big")
        position += 2
        if extents == 1 and method == 0:
            yield position, number, base
        position += 8 * extents
