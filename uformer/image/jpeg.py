"""The segments of a JPEG file (ITU-T T.81, annex B): its coding, its claimed size, and its scans' ends."""

import hashlib
import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from uformer.image.formats import Encoded
from uformer.image.image import JpegCoding

_MOST_SEGMENTS = 4096  # before the pixels; a hostile file may hold millions of empty ones to waste time
APP1, APP2, COMMENT = 0xE1, 0xE2, 0xFE
_APP0, _APP11, _SOS, _DQT, _EOI = 0xE0, 0xEB, 0xDA, 0xDB, 0xD9
XMP = b"http://ns.adobe.com/xap/1.0/\0"
_EXTENDED_XMP = b"http://ns.adobe.com/xmp/extension/\0"
_SOF = {0xC0, 0xC1, 0xC2, 0xC3, 0xC9, 0xCA}
_PROGRESSIVE = {0xC2, 0xCA}
_ARITHMETIC = {0xC9, 0xCA}
_LOSSLESS = 0xC3
_BARE = {0x01, *range(0xD0, 0xD9)}  # markers without a length: TEM, RST0 to RST7, SOI
_MARKER = re.compile(rb"\xff[^\x00\xff]")  # a decoder skips everything else between two segments
_TAIL = hashlib.sha512(b"any other bits").digest().replace(b"\xff", b"")

# ITU-T T.81, tables K.1 (luminance) and K.2 (chrominance): the sum of a table's values identifies its
# quality.
_LUMA = (
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55,
    14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101,
    72, 92, 95, 98, 112, 100, 103, 99,
)  # fmt: skip
_CHROMA = (
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99,
    24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99, 99, 99, 99,
    *([99] * 32),
)  # fmt: skip


def coding(data: Encoded) -> JpegCoding:
    """Quality, subsampling and scan order of a JPEG file; defaults of high quality for what is unknown."""
    tables: dict[int, tuple[int, ...]] = {}
    subsampled, progressive = False, False
    for marker, payload, _ in segments(data):
        if marker == _DQT:
            tables.update(_tables(payload))
        elif marker in _SOF:
            progressive = marker in _PROGRESSIVE
            subsampled = (
                payload[5:6] == b"\3"
                and payload[7:8] == b"\x22"
                and payload[10:11] == payload[13:14] == b"\x11"
            )
    found = [
        _quality(sum(tables[number]), standard)
        for number, standard in ((0, _LUMA), (1, _CHROMA))
        if number in tables
    ]
    return JpegCoding(quality=max(found, default=95), subsampled=subsampled, progressive=progressive)


def segments(data: Encoded) -> Iterator[tuple[int, bytes, int]]:
    """Marker and payload of each segment before the first scan, and where the payload begins."""
    for marker, start in _markers(data, most=_MOST_SEGMENTS):
        if marker in (_SOS, _EOI):
            return
        yield marker, data[start + 2 : start + _length(data, start)], start + 2


def comments(data: Encoded) -> tuple[bytes, ...]:
    """The comments before the first scan."""
    return tuple(payload for marker, payload, _ in segments(data) if marker == COMMENT and payload)


def xmp(data: Encoded) -> bytes | None:
    """The XMP packet. libvips may return a segment of extended XMP instead."""
    return next((found[len(XMP) :] for _, found, _ in segments(data) if found.startswith(XMP)), None)


def extended_xmp(data: Encoded) -> tuple[bytes, ...]:
    """The segments that hold the part of the XMP that does not fit into the first segment."""
    return tuple(
        payload
        for marker, payload, _ in segments(data)
        if marker == APP1 and payload.startswith(_EXTENDED_XMP)
    )


def has_content_credentials(data: Encoded) -> bool:
    """Whether a file holds a signed history (C2PA), which fits only the pixels that were signed."""
    return any(marker == _APP11 and b"c2pa" in payload[:256] for marker, payload, _ in segments(data))


def end(data: Encoded) -> int:
    """Where the image ends: behind its end marker. Cameras write further images behind it."""
    return next((start for marker, start in _markers(data, most=len(data)) if marker == _EOI), len(data))


def place_for_segments(data: bytes) -> int:
    """Where further segments can be added: behind the JFIF segment, which must be the first."""
    return 4 + int.from_bytes(data[4:6], "big") if data[2:4] == bytes([0xFF, _APP0]) else 2


def with_segments(data: bytes, added: Iterable[tuple[int, bytes]]) -> bytes:
    """The JPEG with further segments, each a marker and a payload; `data` may be only its beginning."""
    place = place_for_segments(data)
    return data[:place] + b"".join(segment(*each) for each in added) + data[place:]


def segment(marker: int, payload: bytes) -> bytes:
    """The bytes of a segment; its payload has at most 65,533 bytes."""
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def is_crowded(data: Encoded) -> bool:
    """Whether a file has more segments before its first scan than any sound file."""
    return sum(1 for _ in segments(data)) == _MOST_SEGMENTS


@dataclass(frozen=True)
class Frame:
    """What a JPEG file claims before its first scan."""

    width: int
    height: int
    arithmetic: bool
    least_bytes: int
    """Minimum size in bytes of the scans of such an image."""


def frame(data: Encoded) -> Frame | None:
    """The frame header of a JPEG file; None if it is not among the segments before the first scan."""
    for marker, payload, _ in segments(data):
        if marker in _SOF and len(payload) >= 6:
            height, width, count = struct.unpack_from(">HHB", payload, 1)
            factors = [(max(each >> 4, 1), max(each & 15, 1)) for each in payload[7 : 6 + 3 * count : 3]]
            return Frame(
                width, height, marker in _ARITHMETIC, _least_bits(marker, width, height, factors) // 8
            )
    return None


def _least_bits(marker: int, width: int, height: int, factors: list[tuple[int, int]]) -> int:
    """Minimum bits of the scans of an image whose components have these sampling factors (across, down).

    A Huffman code has at least 1 bit. A sequential block of 8 x 8 samples needs two codes, for its mean and
    for its end. A progressive block needs one, for its mean, because one code may end 32,767 blocks of the
    other scans. A lossless sample needs one code. An arithmetic coder needs at best one bit for 32,768
    decisions, and a block has as many decisions as codes.
    """
    if not factors:
        return 0
    across, down = (max(each) for each in zip(*factors, strict=True))
    side = 1 if marker == _LOSSLESS else 8
    units = sum(-(-width * h // (side * across)) * -(-height * v // (side * down)) for h, v in factors)
    codes = units if marker == _LOSSLESS or marker in _PROGRESSIVE else 2 * units
    return codes // 2**15 if marker in _ARITHMETIC else codes


def with_other_ends(data: Encoded) -> bytes:
    """The JPEG file with extra bytes after the coded data of each scan and of each restart interval.

    A decoder reads them only if it lacks data there, so a file that holds all of its pixels still shows the
    same ones.
    """
    positions = [start - 2 for start in _scan_ends(data)]
    # The bound keeps a file of nothing but restarts from growing out of memory.
    tail = _TAIL[: max(len(data) // max(len(positions), 1), 2)]
    parts, last = [], 0
    for position in positions:
        end = position
        while data[end - 1] == 0xFF:  # fill bytes, which belong to the marker
            end -= 1
        parts += [data[last:end], tail]
        last = end
    return b"".join([*parts, data[last:]])


def _scan_ends(data: Encoded) -> Iterator[int]:
    """The start of the segment after each marker that ends coded data; the marker is the two bytes before."""
    in_scan = False
    for marker, start in _markers(data, most=len(data)):
        if in_scan:
            yield start
        if marker == _EOI:
            return
        in_scan = marker == _SOS or (in_scan and marker in _BARE)


def _quality(total: int, standard: tuple[int, ...]) -> int:
    """The quality (1 to 100, libjpeg's scale) at which the standard table's sum is closest to `total`."""
    return min(range(100, 0, -1), key=lambda quality: abs(sum(_scaled(standard, quality)) - total))


def _scaled(standard: tuple[int, ...], quality: int) -> Iterator[int]:
    """The table at a quality by libjpeg's jpeg_quality_scaling, which other programs follow or imitate."""
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    return (min(max((value * scale + 50) // 100, 1), 255) for value in standard)


def _markers(data: Encoded, *, most: int) -> Iterator[tuple[int, int]]:
    """Each marker and the start of its segment, as a decoder finds them, including markers inside scans."""
    position = 2
    for _ in range(most):
        found = _MARKER.search(data, position)
        if found is None:
            return
        marker, position = data[found.end() - 1], found.end()
        yield marker, position
        if marker not in _BARE:
            position += _length(data, position)


def _length(data: Encoded, start: int) -> int:
    """The length in bytes of the segment at `start`, which begins with its length."""
    return max(int.from_bytes(data[start : start + 2], "big"), 2)


def _tables(payload: bytes) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Number and values of each quantisation table of a segment."""
    while payload:
        form = ">64H" if payload[0] >> 4 else ">64B"
        end = 1 + struct.calcsize(form)
        if end > len(payload):
            return
        yield payload[0] & 15, struct.unpack_from(form, payload, 1)
        payload = payload[end:]
