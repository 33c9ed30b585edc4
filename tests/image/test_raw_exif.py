import struct

import pytest

from tests.image.cameras import TEXT, dng, ramp
from tests.image.tiffs import Tag, directory, tiff
from uformer.image import exif_block, raw_exif

MAKE, EXIF_IFD, TIME, LENS, MAKER_NOTE, WIDTH = 0x010F, 0x8769, 0x9003, 0xA434, 0x927C, 0xA002

INNER: dict[int, Tag] = {
    TIME: (2, b"2024:05:06 07:08:09\0"),
    LENS: (2, b"Acme 50mm\0"),
    MAKER_NOTE: (7, b"secret of the maker"),
    WIDTH: (4, [6000]),
}


def camera_tiff() -> bytes:
    """Return a TIFF with a make, sensor data and an EXIF IFD."""
    tags: dict[int, Tag | None] = {MAKE: (2, b"Acme\0"), EXIF_IFD: (4, [0]), 50706: (1, [1, 4, 0, 0])}
    start = len(tiff([bytes(64)], width=8, height=8, tags=tags))
    data = tiff([bytes(64)], width=8, height=8, tags=tags | {EXIF_IFD: (4, [start])})
    return data + directory(INNER, start)


def box(name: bytes, contents: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(contents), name) + contents


def check(found: bytes | None) -> None:
    assert found is not None
    for kept in (b"Acme\0", b"2024:05:06 07:08:09", b"Acme 50mm"):
        assert kept in found
    assert b"secret" not in found
    assert (6000).to_bytes(4, "little") not in found
    assert exif_block.orientation(found) == 1


@pytest.mark.parametrize("mark", [b"II*\0", b"IIRO", b"IIRS", b"IIU\0"])
def test_files_that_are_tiff_inside(mark: bytes) -> None:
    check(raw_exif.exif(mark + camera_tiff()[4:]))


def test_canon_cr3() -> None:
    first = tiff([bytes(4)], width=2, height=2, tags={MAKE: (2, b"Acme\0")})
    inner = b"II*\0\x08\0\0\0" + directory(INNER, 8)
    gps = b"II*\0\x08\0\0\0" + directory({1: (2, b"N\0")}, 8)
    boxes = box(b"CMT1", first) + box(b"CMT2", inner) + box(b"CMT4", gps)
    uuid = bytes.fromhex("85c0b687820f11e08111f4ce462b6a48")
    data = box(b"ftyp", b"crx \0\0\0\1crx isom") + box(b"moov", box(b"uuid", uuid + boxes))
    found = raw_exif.exif(data)
    check(found)
    assert found is not None
    assert b"N\0" in found


def test_fujifilm_raf() -> None:
    block = camera_tiff()
    jpeg = b"\xff\xd8\xff\xe1" + struct.pack(">H", len(block) + 8) + b"Exif\0\0" + block
    head = b"FUJIFILMCCD-RAW 0201".ljust(84, b"\0") + struct.pack(">II", 100, len(jpeg))
    check(raw_exif.exif(head.ljust(100, b"\0") + jpeg))


def test_the_tags_of_the_sensor_are_dropped() -> None:
    found = raw_exif.exif(dng(ramp(), tags=[(0x8298, TEXT, 0, "Jane Doe", True)]))
    assert found is not None
    assert b"Acme One" in found
    assert b"Jane Doe" in found
    assert len(found) < 300


@pytest.mark.parametrize(
    "data",
    [
        b"II*\0\xff\xff\xff\xff",
        b"IIRO",
        b"FUJIFILMCCD-RAW " + bytes(8),
        b"FUJIFILMCCD-RAW " + bytes(68) + b"\xff" * 8,
        box(b"ftyp", b"crx ") + box(b"moov", b"\0\0\0\0uuid"),
        b"FOVb" + bytes(40),
    ],
)
def test_a_damaged_file_has_none(data: bytes) -> None:
    assert raw_exif.exif(data) is None
