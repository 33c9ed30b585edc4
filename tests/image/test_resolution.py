"""Resolutions: a file states one or none, and what is written states the same."""

import io
import struct
from typing import Any

import numpy as np
import pytest
import tifffile

from uformer.image import jpeg, png
from uformer.image.formats import JPEG, PNG, TIFF, WEBP
from uformer.image.image import Image, Metadata
from uformer.image.read import read
from uformer.image.resolution import has_other_aspect, resolution
from uformer.image.write import encode

PIXELS = np.zeros((4, 6, 3), np.float32)
PLAIN = encode(Image(pixels=PIXELS), ".png")


def physical(across: int, down: int, unit: int) -> bytes:
    return png.with_chunks(PLAIN, [(b"pHYs", struct.pack(">IIB", across, down, unit))])


def density(across: int, down: int, unit: int) -> bytes:
    header = b"JFIF\0\1\2" + struct.pack(">BHHBB", unit, across, down, 0, 0)
    return jpeg.with_segments(encode(Image(pixels=PIXELS), ".jpg"), [(0xE0, header)])


def tiff(**options: Any) -> bytes:
    out = io.BytesIO()
    tifffile.imwrite(out, np.zeros((4, 6, 3), np.uint8), metadata=None, **options)
    return out.getvalue()


def exif(across: int, unit: int | None) -> bytes:
    tags = [(282, 5, struct.pack("<I", 62)), (283, 5, struct.pack("<I", 62))]
    tags += [(296, 3, struct.pack("<HH", unit, 0))] if unit else []
    entries = b"".join(struct.pack("<HHI", tag, kind, 1) + value for tag, kind, value in tags)
    head = b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)
    return head.ljust(62, b"\0") + struct.pack("<II", across, 1)


@pytest.mark.parametrize(
    ("data", "stated"),
    [
        (PLAIN, None),
        (physical(2000, 3000, 1), (2, 3)),
        (physical(1000, 1000, 1), (1, 1)),
        (physical(2, 1, 0), None),
        (physical(0, 0, 1), None),
        (density(254, 127, 1), (10, 5)),
        (density(20, 30, 2), (2, 3)),
        (density(1, 1, 0), None),
        (tiff(), None),
        (tiff(resolution=(254, 508), resolutionunit=2), (10, 20)),
        (tiff(resolution=(10, 10), resolutionunit=3), (1, 1)),
        (tiff(resolution=(4, 4), resolutionunit=1), None),
    ],
)
def test_what_a_file_states_is_read(data: bytes, stated: tuple[float, float] | None) -> None:
    found = read(data, notify=lambda _: None).metadata.resolution
    assert found == (None if stated is None else pytest.approx(stated))


def test_exif_counts_where_the_format_has_no_other_place() -> None:
    assert resolution(b"", WEBP, exif(254, None)) == pytest.approx((10, 10))
    assert resolution(density(1, 1, 0), JPEG, exif(20, 3)) == pytest.approx((2, 2))
    assert resolution(density(508, 508, 1), JPEG, exif(20, 3)) == pytest.approx((20, 20))
    assert resolution(PLAIN, PNG, exif(20, 3)) is None
    assert resolution(b"II*\0", TIFF, exif(20, 3)) is None
    assert resolution(b"", WEBP, b"") is resolution(b"", WEBP, exif(20, 9)) is None


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
def test_nothing_is_stated_that_the_input_does_not_state(suffix: str) -> None:
    for metadata in (Metadata(), Metadata(resolution=(1.0, 2.0))):
        data = encode(Image(pixels=PIXELS, metadata=metadata), suffix)
        found = read(data).metadata.resolution
        assert found == (metadata.resolution and pytest.approx(metadata.resolution, rel=0.05))
        if suffix == ".png":
            assert (b"pHYs" in data) == (found is not None)
        if suffix == ".jpg":
            assert (b"JFIF" in data) == (found is not None)
        if suffix == ".tif" and found is None:
            with tifffile.TiffFile(io.BytesIO(data)) as file:
                tags = file.pages[0].tags  # type: ignore[union-attr]
                assert [tags[tag].value for tag in (282, 283, 296)] == [(1, 1), (1, 1), 1]


def test_sides_of_pixels_that_differ_are_reported() -> None:
    assert has_other_aspect(physical(2, 1, 0), PNG)
    assert has_other_aspect(density(1, 2, 0), JPEG)
    for data, kind in ((PLAIN, PNG), (physical(2, 1, 1), PNG), (density(1, 1, 0), JPEG), (tiff(), TIFF)):
        assert not has_other_aspect(data, kind)
    said: list[str] = []
    read(physical(2, 1, 0), notify=said.append)
    assert said == ["image: holds the ratio of the sides of a pixel; left out"]
