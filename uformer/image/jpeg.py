"""How a JPEG file was written, so that its restored picture can be written likewise."""

import struct
from collections.abc import Iterator

from uformer.image.exif import Encoded
from uformer.image.image import JpegCoding

_MOST_SEGMENTS = 4096  # before the pixels; a file may hold millions of empty ones, only to cost time
_SOS, _DQT, _EOI = 0xDA, 0xDB, 0xD9
_SOF = {0xC0, 0xC1, 0xC2, 0xC9, 0xCA}
_PROGRESSIVE = {0xC2, 0xCA}

# ITU-T T.81, tables K.1 (luminance) and K.2 (chrominance): the sums of their values tell qualities apart.
_LUMA = (
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101,
    72, 92, 95, 98, 112, 100, 103, 99,
)  # fmt: skip
_CHROMA = (
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99, 99, 99, 99,
    *([99] * 32),
)  # fmt: skip


def coding(data: Encoded) -> JpegCoding:
    """Quality, subsampling and order of scans of a JPEG file; where they cannot be told, those of a good one."""
    tables: dict[int, tuple[int, ...]] = {}
    subsampled, progressive = False, False
    for marker, payload in _segments(data):
        if marker == _DQT:
            tables.update(_tables(payload))
        elif marker in _SOF:
            progressive = marker in _PROGRESSIVE
            subsampled = payload[5:6] == b"\3" and payload[7:8] == b"\x22" and payload[10:11] == payload[13:14] == b"\x11"
    found = [_quality(sum(tables[number]), standard) for number, standard in ((0, _LUMA), (1, _CHROMA)) if number in tables]
    return JpegCoding(quality=max(found, default=95), subsampled=subsampled, progressive=progressive)


def _quality(total: int, standard: tuple[int, ...]) -> int:
    """The quality (1 to 100, libjpeg's scale) at which the standard table is as coarse as one whose values sum to `total`."""
    return min(range(100, 0, -1), key=lambda quality: abs(sum(_scaled(standard, quality)) - total))


def _scaled(standard: tuple[int, ...], quality: int) -> Iterator[int]:
    """libjpeg's jpeg_quality_scaling, which every program's "quality" follows or imitates."""
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    return (min(max((value * scale + 50) // 100, 1), 255) for value in standard)


def _segments(data: Encoded) -> Iterator[tuple[int, bytes]]:
    """Marker and payload of each segment before the first scan."""
    position = 2
    for _ in range(_MOST_SEGMENTS):
        marker = data[position : position + 2]
        if len(marker) < 2 or marker[0] != 0xFF or marker[1] in (_SOS, _EOI):
            return
        if marker[1] == 0xFF:  # a fill byte
            position += 1
            continue
        size = max(int.from_bytes(data[position + 2 : position + 4], "big"), 2)
        yield marker[1], data[position + 4 : position + 2 + size]
        position += 2 + size


def _tables(payload: bytes) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Number and values of each quantisation table of a segment."""
    while payload:
        form = ">64H" if payload[0] >> 4 else ">64B"
        end = 1 + struct.calcsize(form)
        if end > len(payload):
            return
        yield payload[0] & 15, struct.unpack_from(form, payload, 1)
        payload = payload[end:]
