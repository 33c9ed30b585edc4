import io
import struct
import time
import zlib

import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uformer.image import formats
from uformer.image.formats import Format
from uformer.image.vet import Limits, objection

LIMITS = Limits(max_pixels=10**8, max_frames=100, max_pages=100, max_metadata=10_000)


def encoded(picture_format: Format, side: int = 8) -> bytes:
    file = io.BytesIO()
    PIL.Image.new("RGB", (side, side)).save(file, picture_format.name)
    return file.getvalue()


def chunk(name: bytes, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload)) + name + payload + struct.pack(">I", zlib.crc32(name + payload))


def png(*extra: bytes, width: int = 8, height: int = 8) -> bytes:
    rows = zlib.compress(bytes(height * (width * 3 + 1)) if width * height < 10**6 else bytes(100))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(extra) + chunk(b"IDAT", rows) + chunk(b"IEND")


def webp(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"WEBP" + b"".join(name + struct.pack("<I", len(payload)) + payload for name, payload in chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def tiff(*entries: tuple[int, int, int, int], pages: int = 1, loop: bool = False) -> bytes:
    """A TIFF; `entries`: tag, type, count and value of entries besides or instead of the required ones."""
    needed = [(256, 3, 1, 8), (257, 3, 1, 8), (262, 3, 1, 1), (273, 4, 1, 8), (279, 4, 1, 64)]
    entries = tuple(
        sorted([*entries, *(each for each in needed if each[0] not in {tag for tag, *_ in entries})])
    )
    data = bytearray(b"II*\0" + struct.pack("<I", 8))
    for page in range(pages):
        behind = len(data) + 6 + 12 * len(entries)
        data += struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries)
        data += struct.pack("<I", behind if page < pages - 1 else 8 if loop else 0)
    return bytes(data)


@pytest.mark.parametrize("picture_format", formats.FORMATS, ids=lambda each: each.name)
def test_nothing_speaks_against_a_good_file(picture_format: Format) -> None:
    for side in (1, 8, 300):
        assert objection(encoded(picture_format, side), picture_format, LIMITS) is None


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (png(width=9000, height=9000), "claims 9000 x 9000 pixels, more than its"),
        (png(chunk(b"eXIf", bytes(10_001))), "bytes of metadata, over the limit of 10000"),
        (png(*[chunk(b"tEXt", b"a\0b")] * 5000), "too many chunks"),
        (png(*[chunk(b"IDAT")] * 1_000_001), "too many chunks"),
        (png()[:20], "it has no header"),
        (png()[:8] + chunk(b"tEXt", b"a\0b") + png()[8:], "it has no header"),
    ],
)
def test_png(data: bytes, said: str) -> None:
    assert said in (objection(data, formats.PNG, LIMITS) or "")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (webp((b"VP8X", bytes(10)), *[(b"ANMF", bytes(16))] * 101), "more than 100 frames"),
        (webp((b"VP8X", bytes(10)), (b"XMP ", bytes(10_001))), "bytes of metadata, over the limit of 10000"),
        (webp(*[(b"abcd", b"")] * 100_000), "too many chunks"),
    ],
)
def test_webp(data: bytes, said: str) -> None:
    assert said in (objection(data, formats.WEBP, LIMITS) or "")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (tiff((258, 3, 1, 8), pages=101), "more than 100 pages"),
        (tiff((700, 1, 2**30, 8)), "1073741824 bytes of metadata"),
        (
            tiff((258, 3, 1, 24), (339, 3, 1, 3)),
            "24-bit float samples are not supported; save them as 8-bit, 16-bit or 32-bit float",
        ),
        (tiff((258, 3, 1, 16), (339, 3, 1, 5)), "16-bit complex or unknown samples are not supported"),
        (tiff((258, 3, 1, 12)), "12-bit samples are not supported"),
        (
            tiff((258, 3, 1, 8), (262, 3, 1, 8)),
            "8-bit Lab is not supported; convert it to RGB or to 16-bit Lab",
        ),
        (tiff((259, 3, 1, 6)), "its compression (number 6) is not supported; save it with LZW or deflate"),
    ],
)
def test_tiff(data: bytes, said: str) -> None:
    assert said in (objection(data, formats.TIFF, LIMITS) or "")


def test_pages_that_loop_end() -> None:
    assert objection(tiff((258, 3, 1, 8), pages=9, loop=True), formats.TIFF, LIMITS) is None


@pytest.mark.parametrize(
    ("boxes", "said"),
    [
        ([(b"ftyp", b"avif"), (b"meta", b"....iovl....")], "overlapping images"),
        ([(b"ftyp", b"avif"), (b"meta", bytes(10_001))], "bytes of metadata, over the limit of 10000"),
        ([(b"free", b"")] * 5000, "too many boxes"),
    ],
)
def test_avif(boxes: list[tuple[bytes, bytes]], said: str) -> None:
    data = b"".join(struct.pack(">I", 8 + len(payload)) + name + payload for name, payload in boxes)
    assert said in (objection(data, formats.AVIF, LIMITS) or "")


@given(st.binary(max_size=100), st.sampled_from(formats.FORMATS))
def test_any_bytes_are_survived(data: bytes, picture_format: Format) -> None:
    start = encoded(picture_format)
    for hostile in (data, start[:8] + data, start[:40] + data, start[:12] + data + start[12:]):
        objection(hostile, picture_format, LIMITS)


def test_large_files_cost_no_time() -> None:
    start = time.process_time()
    for part in (bytes(8), b"\xff" * 8, b"\0\0\0\x08free", b"abcd\0\0\0\0"):
        for picture_format in formats.FORMATS:
            objection(encoded(picture_format)[:40] + part * 2_000_000, picture_format, Limits())
    assert time.process_time() - start < 30
