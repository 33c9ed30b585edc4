"""EXIF and XMP of a PNG, at any place in the file.

libvips finds them only before the pixels. It does not find EXIF in the text chunks that ImageMagick and
ExifTool wrote before PNG had an EXIF chunk ("Raw profile type exif": a name, a length, hexadecimal digits).
"""

import struct
import zlib
from collections.abc import Iterator

from uformer.image.formats import Encoded

_MOST_CHUNKS = 1_010_000  # `vet` refuses a file with more
_MOST_BYTES = 2**24  # of an unpacked text; EXIF and XMP are far smaller
_XMP_KEYWORD = b"XML:com.adobe.xmp"
_RAW_KEYWORDS = {b"raw profile type exif", b"raw profile type app1", b"raw profile type xmp"}
_EXIF_MARK, _XMP_MARK = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"


def chunks(data: Encoded) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and end of the contents of each complete chunk."""
    position = 8
    for _ in range(_MOST_CHUNKS):
        if position + 12 > len(data):
            break
        length, name = struct.unpack_from(">I4s", data, position)
        end = position + 8 + length
        if end + 4 > len(data):
            break
        yield name, position + 8, end
        position = end + 4


def frames(data: Encoded) -> int:
    """The number of frames in an animated PNG, whatever its acTL chunk claims; 1 for any other PNG."""
    names = [name for name, _, _ in chunks(data) if name in (b"acTL", b"fcTL")]
    return max(names.count(b"fcTL"), 1) if b"acTL" in names else 1


def metadata(data: Encoded) -> tuple[bytes | None, bytes | None]:
    """The EXIF block and the XMP packet; None if absent.

    Their own chunks take precedence over raw profiles.
    """
    exif: list[bytes] = []
    xmp: list[bytes] = []
    raw_exif: list[bytes] = []
    raw_xmp: list[bytes] = []
    for name, start, end in chunks(data):
        if name == b"eXIf":
            exif.append(data[start:end].removeprefix(_EXIF_MARK))
        elif name in (b"tEXt", b"zTXt", b"iTXt") and (said := _text(name, data, start, end)) is not None:
            keyword, text = said
            if keyword == _XMP_KEYWORD:
                xmp.append(text)
            elif profile := _raw_profile(text):
                is_xmp = profile.startswith(_XMP_MARK) or keyword.lower().endswith(b"xmp")
                profile = profile.removeprefix(_XMP_MARK).removeprefix(_EXIF_MARK)
                (raw_xmp if is_xmp else raw_exif).append(profile)
    return next(filter(None, exif + raw_exif), None), next(filter(None, xmp + raw_xmp), None)


def _text(name: bytes, data: Encoded, start: int, end: int) -> tuple[bytes, bytes] | None:
    """Keyword and text of a text chunk; None if the keyword is not wanted or the chunk is damaged."""
    keyword, found, rest = data[start : min(end, start + 80)].partition(b"\0")
    wanted = keyword == _XMP_KEYWORD or keyword.lower() in _RAW_KEYWORDS
    if not found or not wanted or end - start > _MOST_BYTES:
        return None
    rest = data[start + len(keyword) + 1 : end]
    if name == b"tEXt":
        return keyword, rest
    if name == b"zTXt":
        return _unpacked(keyword, rest[1:])
    compressed, parts = rest[:1] == b"\1", rest[2:].split(b"\0", 2)  # language, translated keyword, text
    if len(parts) != 3:
        return None
    return _unpacked(keyword, parts[2]) if compressed else (keyword, parts[2])


def _unpacked(keyword: bytes, packed: bytes) -> tuple[bytes, bytes] | None:
    unpacker = zlib.decompressobj()
    try:
        text = unpacker.decompress(packed, _MOST_BYTES)
    except zlib.error:
        return None
    return (keyword, text) if unpacker.eof else None


def _raw_profile(text: bytes) -> bytes | None:
    """The bytes of a raw profile; None if it is damaged."""
    lines = text.strip().split(b"\n", 2)  # name, length, digits
    try:
        profile = bytes.fromhex(lines[2].decode("ascii"))
        return profile if len(profile) == int(lines[1]) else None
    except (ValueError, IndexError):
        return None
