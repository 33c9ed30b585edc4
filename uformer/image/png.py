"""EXIF and XMP of a PNG, wherever they lie in the file.

libvips sees them only in front of the pixels, and not at all in the text chunks in which ImageMagick and ExifTool wrote EXIF before PNG
had a chunk for it ("Raw profile type exif": a name, a length and hexadecimal digits).
"""

import struct
import zlib
from collections.abc import Iterator

from uformer.image.exif import Encoded

_MOST_CHUNKS = 1_010_000  # `vet` refuses more in front of the pixels
_MOST_BYTES = 2**24  # of a text, unpacked; EXIF and XMP are far smaller
_XMP_KEYWORD = b"XML:com.adobe.xmp"
_RAW_KEYWORDS = {b"raw profile type exif", b"raw profile type app1", b"raw profile type xmp"}
_EXIF_MARK, _XMP_MARK = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"


def chunks(data: Encoded) -> Iterator[tuple[bytes, int, int]]:
    """Name, and start and end of the contents of each chunk; ends where the file is cut off."""
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
    """How many frames an animated PNG really holds, whatever its acTL chunk claims; 1 for a PNG that is not animated."""
    names = [name for name, _, _ in chunks(data) if name in (b"acTL", b"fcTL")]
    return max(names.count(b"fcTL"), 1) if b"acTL" in names else 1


def metadata(data: Encoded) -> tuple[bytes | None, bytes | None]:
    """The EXIF block and the XMP packet; None where there is none. Chunks of their own come before raw profiles."""
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
                (raw_xmp if is_xmp else raw_exif).append(profile.removeprefix(_XMP_MARK).removeprefix(_EXIF_MARK))
    return next((each for each in exif + raw_exif if each), None), next((each for each in xmp + raw_xmp if each), None)


def _text(name: bytes, data: Encoded, start: int, end: int) -> tuple[bytes, bytes] | None:
    """Keyword and text of a text chunk; None where it is none of those that are wanted, or damaged."""
    keyword, found, rest = data[start : min(end, start + 80)].partition(b"\0")
    if not found or not (keyword == _XMP_KEYWORD or keyword.lower() in _RAW_KEYWORDS) or end - start > _MOST_BYTES:
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
    """The bytes of a raw profile; None where it is damaged."""
    lines = text.strip().split(b"\n", 2)  # name, length, digits
    try:
        profile = bytes.fromhex(lines[2].decode("ascii"))
        return profile if len(profile) == int(lines[1]) else None
    except (ValueError, IndexError):
        return None
