"""The chunks of a PNG: EXIF and XMP at any place in the file, texts, and colours without a profile.

libvips finds them only before the pixels. It does not find EXIF in the text chunks that ImageMagick and
ExifTool wrote before PNG had an EXIF chunk ("Raw profile type exif": a name, a length, hexadecimal digits).
"""

import struct
import zlib
from collections.abc import Iterable, Iterator

from uformer.image import matrix_profile
from uformer.image.formats import Encoded

_MOST_CHUNKS = 1_010_000  # `vet` refuses a file with more
_MOST_BYTES = 2**24  # of an unpacked text; EXIF and XMP are far smaller
_XMP_KEYWORD = b"XML:com.adobe.xmp"
_RAW_KEYWORDS = {b"raw profile type exif", b"raw profile type app1", b"raw profile type xmp"}
_MOST_KEPT = 4096  # chunks; `vet` allows as many before the pixels

COLOURS = (b"cICP", b"mDCV", b"cLLI", b"gAMA", b"cHRM", b"sRGB")
"""Chunks that describe the colours without a profile."""
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_WRITTEN_ANEW = (b"eXIf", b"pHYs")
_SRGB_GAMMA = 45_455
_SRGB_CORNERS = tuple(round(each * 100_000) for each in matrix_profile.SRGB)
_TOLERANCE = 1000  # of 100,000

Chunk = tuple[bytes, bytes]
"""Name and contents."""

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


def kept(data: Encoded) -> tuple[Chunk, ...]:
    """Texts, colours, and all other chunks that are safe to copy by their name, without EXIF and XMP."""
    found = []
    for name, start, end in chunks(data):
        is_safe = name[0] & name[3] & 0x20 and name not in _WRITTEN_ANEW
        if name in COLOURS or (is_safe and not (name in _TEXTS and _is_metadata(data[start:end]))):
            found.append((name, data[start:end]))
            if len(found) == _MOST_KEPT:
                break
    return tuple(found)


def has_content_credentials(data: Encoded) -> bool:
    """Whether a file holds a signed history (C2PA), which fits only the pixels that were signed."""
    return any(name == b"caBX" for name, _, _ in chunks(data))


def _is_metadata(contents: bytes) -> bool:
    """Whether a text chunk holds EXIF or XMP."""
    keyword = contents[:80].partition(b"\0")[0]
    return keyword == _XMP_KEYWORD or keyword.lower() in _RAW_KEYWORDS


def colours(found: tuple[Chunk, ...]) -> tuple[Chunk, ...]:
    """Those of the kept chunks that describe the colours."""
    return tuple(chunk for chunk in found if chunk[0] in COLOURS)


def keywords(found: tuple[Chunk, ...]) -> list[str]:
    """The keywords of the texts among the kept chunks, each once."""
    each = (contents.partition(b"\0")[0].decode("latin-1") for name, contents in found if name in _TEXTS)
    return list(dict.fromkeys(each))


def has_other_colours(found: tuple[Chunk, ...]) -> bool:
    """Whether the kept chunks describe colours other than those of sRGB."""
    said = dict(found)
    if b"cICP" in said:
        return not is_srgb(*said[b"cICP"][:2])
    if b"sRGB" in said:
        return False
    gamma, corners = _gamma_and_corners(said)
    pairs = zip((gamma, *corners), (_SRGB_GAMMA, *_SRGB_CORNERS), strict=True)
    return any(abs(value - usual) > _TOLERANCE for value, usual in pairs)


def _gamma_and_corners(said: dict[bytes, bytes]) -> tuple[int, tuple[int, ...]]:
    """The numbers of gAMA and cHRM, in hundred-thousandths; those of sRGB for a missing or damaged chunk."""
    gamma = int.from_bytes(said.get(b"gAMA", b""), "big") or _SRGB_GAMMA
    corners = said.get(b"cHRM", b"")
    return gamma, struct.unpack(">8I", corners) if len(corners) == 32 else _SRGB_CORNERS


def is_srgb(primaries: int = 1, transfer: int = 13) -> bool:
    """Whether ITU-T H.273 code points mean sRGB or an older television standard displayed like it."""
    return primaries in (1, 2, 5, 6) and transfer in (1, 2, 6, 13, 14, 15)


def profile(found: tuple[Chunk, ...], *, gray: bool) -> bytes | None:
    """A colour profile that says what the kept chunks say; None for HDR, and if no profile can say it."""
    said = dict(found)
    if b"cICP" in said:
        primaries, transfer, matrix, is_full = (*said[b"cICP"][:4], *bytes(4))[:4]
        if matrix or not is_full:
            return None
        return matrix_profile.of_code_points(primaries, transfer, gray=gray)
    gamma, corners = _gamma_and_corners(said)
    return matrix_profile.matrix_profile(
        tuple(number / 100_000 for number in corners), 100_000 / gamma, gray=gray
    )


def with_chunks(data: bytes, added: Iterable[Chunk]) -> bytes:
    """The PNG with further chunks behind its header; `data` may be only the beginning of the file."""
    end_of_header = 33
    packed = [
        struct.pack(">I", len(contents)) + name + contents + struct.pack(">I", zlib.crc32(name + contents))
        for name, contents in added
    ]
    return data[:end_of_header] + b"".join(packed) + data[end_of_header:]


def without_resolution(data: bytes) -> bytes:
    """The PNG without its pHYs chunk, which libvips always writes; `data` may be only the beginning."""
    for name, start, end in chunks(data):
        if name == b"pHYs":
            return data[: start - 8] + data[end + 4 :]
        if name == b"IDAT":
            break
    return data


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
