"""Why a file cannot be decoded, found in its bytes: libvips' texts may be about another file (see `vips`)."""

import struct
import zlib
from collections.abc import Callable

from uformer.image import damage, formats
from uformer.image.formats import Encoded, Format

CUT_OFF = "premature end of data"
DAMAGED = "the data is damaged"

_MOST_CHUNKS = 100_000
_BLOCK = 2**20  # bytes


def why(data: Encoded, picture_format: Format) -> str:
    """The reason why a decoder refused a file."""
    check = _CHECKS.get(picture_format.name)  # HEIC and camera raw have none: see `external`
    return (check and check(data)) or DAMAGED


def _png(data: Encoded) -> str | None:
    position = 8
    for _ in range(_MOST_CHUNKS):
        if position + 12 > len(data):
            return CUT_OFF
        length, name = struct.unpack_from(">I4s", data, position)
        end = position + 8 + length
        if end + 4 > len(data):
            return CUT_OFF
        if _crc(data, position + 4, end) != int.from_bytes(data[end : end + 4], "big"):
            return f"wrong checksum of the {_shown(name)} chunk at byte {position}"
        if name == b"IEND":
            return None
        position = end + 4
    return None


def _crc(data: Encoded, start: int, end: int) -> int:
    """The CRC of a part of a file, which may be larger than memory."""
    found = 0
    for at in range(start, end, _BLOCK):
        found = zlib.crc32(data[at : min(at + _BLOCK, end)], found)
    return found


def _shown(name: bytes) -> str:
    return "".join(chr(each) if 0x20 < each < 0x7F else "?" for each in name)


def _jpeg(data: Encoded) -> str | None:
    return CUT_OFF if data.rfind(b"\xff\xd9") < 0 else None


def _webp(data: Encoded) -> str | None:
    return CUT_OFF if int.from_bytes(data[4:8], "little") + 8 > len(data) else None


def _gif(data: Encoded) -> str | None:
    return None if data[-1:] == b";" else CUT_OFF


def _avif(data: Encoded) -> str | None:
    position = 0
    for _ in range(_MOST_CHUNKS):
        if position + 8 > len(data):
            break
        size = int.from_bytes(data[position : position + 4], "big")
        size = int.from_bytes(data[position + 8 : position + 16], "big") if size == 1 else size
        if position + size > len(data):
            return CUT_OFF
        position += max(size, 8) if size else len(data)
    return None


_CHECKS: dict[str, Callable[[Encoded], str | None]] = {
    formats.PNG.name: _png,
    formats.GIF.name: _gif,
    formats.JPEG.name: _jpeg,
    formats.WEBP.name: _webp,
    formats.TIFF.name: damage.cause,
    formats.AVIF.name: _avif,
}
