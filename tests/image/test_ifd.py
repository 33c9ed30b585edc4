import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.image.tiffs import RATIONAL, directory, tiff
from uformer.image.ifd import Directory, name_of, pages

GOOD = tiff(
    [bytes(6)],
    width=3,
    height=2,
    tags={271: (2, b"Acme \0"), 532: (RATIONAL, [(1, 2), (3, 0)]), 60000: (11, [0.5])},
)


def test_values() -> None:
    for data in (
        GOOD,
        tiff(
            [bytes(6)],
            width=3,
            height=2,
            order=">",
            tags={271: (2, b"Acme \0"), 532: (RATIONAL, [(1, 2), (3, 0)])},
        ),
    ):
        first = Directory(data)
        assert (first.integer(256, 9), first.integer(339, 9), first.integers(338), first.count(256)) == (
            3,
            9,
            (),
            1,
        )
        assert first.numbers(532) == (0.5, 0)  # a fraction over nothing counts as 0
        assert first.text(271) == "Acme"
        assert first.next == 0
        assert 256 in first
        assert 339 not in first


def test_big_tiff() -> None:
    entry = struct.pack("<HHQQ", 256, 16, 1, 77)
    data = b"II+\0" + struct.pack("<HHQ", 8, 0, 16) + struct.pack("<Q", 1) + entry + struct.pack("<Q", 5)
    assert Directory(data).integer(256, 0) == 77
    assert Directory(data).next == 5
    with pytest.raises(ValueError, match="its BigTIFF header is damaged"):
        Directory(data.replace(b"II+\0\x08", b"II+\0\x04"))


def test_of_a_tag_that_comes_twice_the_first_counts() -> None:
    entries = struct.pack("<HHII", 262, 3, 1, 6) + struct.pack("<HHII", 262, 3, 1, 2)
    data = b"II*\0" + struct.pack("<IH", 8, 2) + entries + bytes(4)
    assert Directory(data).integer(262, 0) == 6


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "it has no TIFF header"),
        (b"II*\0", "it has no TIFF header"),
        (b"GIF89a..", "it has no TIFF header"),
        (
            b"II*\0" + struct.pack("<I", 900),
            "its directory should lie at byte 900, but the file ends at byte 8",
        ),
        (b"II*\0" + struct.pack("<IH", 8, 0), "its directory at byte 8 claims 0 tags"),
        (b"II*\0" + struct.pack("<IH", 8, 5000), "its directory at byte 8 claims 5000 tags"),
        (GOOD[:40], "its directory should lie at byte"),
    ],
)
def test_a_damaged_directory(data: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Directory(data)


@pytest.mark.parametrize(
    ("tag", "field", "said"),
    [
        (258, (3, [8, 8]), "its BitsPerSample tag has 2 values, expected 1"),
        (258, (2, b"8"), "its BitsPerSample tag has a wrong type"),
        (258, (11, [8.0]), "its BitsPerSample tag has a wrong type"),
    ],
)
def test_a_damaged_tag(tag: int, field: tuple, said: str) -> None:
    first = Directory(tiff([bytes(6)], width=3, height=2, tags={tag: field}))
    with pytest.raises(ValueError, match=said):
        first.integer(tag, 0)


def test_a_tag_beyond_the_end() -> None:
    data = GOOD.replace(struct.pack("<HHI", 532, 5, 2), struct.pack("<HHI", 532, 5, 2**20))
    with pytest.raises(ValueError, match="its ReferenceBlackWhite tag points beyond the end of the file"):
        Directory(data).numbers(532)


def test_tags_of_unknown_types_are_found() -> None:
    data = GOOD.replace(struct.pack("<HHI", 60000, 11, 1), struct.pack("<HHI", 60000, 99, 1))
    assert Directory(data).of_unknown_type() == [60000]
    assert Directory(data).type_of(60000) == 99
    assert Directory(GOOD).of_unknown_type() == []


def test_names() -> None:
    assert (name_of(258), name_of(60000)) == ("BitsPerSample", "tag 60000")


@given(st.binary(max_size=60))
def test_any_bytes_are_survived(data: bytes) -> None:
    for hostile in (data, b"II*\0\x08\0\0\0" + data, b"MM\0+\0\x08\0\0\0\0\0\0\0\0\0\x10" + data):
        with contextlib.suppress(ValueError):
            first = Directory(hostile)
            for tag in range(250, 540):
                first.numbers(tag)


def test_another_directory() -> None:
    data = GOOD + bytes(len(GOOD) % 2)
    assert Directory(data + directory({256: (3, [44])}, len(data)), len(data)).integer(256, 0) == 44


def test_pages_and_sizes() -> None:
    page = struct.pack("<HHHII", 1, 700, 1, 500, 8)
    tiff = b"II*\0" + struct.pack("<I", 8) + page + struct.pack("<I", 26) + page + struct.pack("<I", 8)
    assert list(pages(tiff)) == [8, 26]
    assert Directory(tiff).size(700) == 500
    assert list(pages(b"II*\0\xff\xff\xff\xff")) == [0xFFFFFFFF]
