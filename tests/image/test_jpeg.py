import io
from typing import Any

import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.image.suspects import with_strays
from uformer.image import jpeg
from uformer.image.image import JpegCoding

COLOUR = PIL.Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 40, 3), np.uint8))


def coding(image: PIL.Image.Image, **options: Any) -> JpegCoding:
    file = io.BytesIO()
    image.save(file, "JPEG", **options)
    return jpeg.coding(file.getvalue())


@pytest.mark.parametrize("quality", [5, 10, 25, 49, 50, 51, 75, 85, 90, 94, 95, 99, 100])
def test_quality_as_written(quality: int) -> None:
    assert coding(COLOUR, quality=quality).quality == quality
    assert coding(COLOUR.convert("L"), quality=quality).quality == quality


@pytest.mark.parametrize(("subsampling", "subsampled"), [("4:4:4", False), ("4:2:2", False), ("4:2:0", True)])
@pytest.mark.parametrize("progressive", [False, True])
def test_subsampling_and_scans(subsampling: str, subsampled: bool, progressive: bool) -> None:
    found = coding(COLOUR, subsampling=subsampling, progressive=progressive)
    assert (found.subsampled, found.progressive) == (subsampled, progressive)


def test_tables_of_another_maker_get_the_quality_as_coarse() -> None:
    flat = [9] * 64  # libjpeg's table of quality 92 has a sum of 588
    assert coding(COLOUR, qtables=[flat, flat]).quality == pytest.approx(93, abs=4)
    assert coding(COLOUR, qtables=[[1] * 64, [1] * 64]).quality == 100


def test_the_finer_of_two_tables_counts() -> None:
    assert coding(COLOUR, qtables=[[60] * 64, [1] * 64]).quality == 100


@given(st.binary(max_size=80))
def test_any_bytes_are_survived(data: bytes) -> None:
    for start in (b"\xff\xd8", b"\xff\xd8\xff\xdb\x00\x43\x00", b"\xff\xd8\xff\xdb\xff\xff\x10"):
        assert 1 <= jpeg.coding(start + data).quality <= 100


def test_millions_of_empty_segments_cost_no_time() -> None:
    assert jpeg.coding(b"\xff\xd8" + b"\xff\xe5\x00\x02" * 3_000_000).quality == 95


def test_strays_between_segments_hide_nothing() -> None:
    file = io.BytesIO()
    COLOUR.save(file, "JPEG", quality=50, progressive=True)
    data = file.getvalue()
    assert jpeg.coding(with_strays(data)) == jpeg.coding(data)
    assert jpeg.frame(with_strays(data)) == jpeg.frame(data)


def test_other_ends_lie_behind_each_scan_and_restart_interval() -> None:
    head, scan = b"\xff\xd8\xff\xdb\x00\x04\xff\xd9", b"\xff\xda\x00\x02"
    data = (
        head
        + scan
        + b"ab\xff\x00c\xff\xd0de\xff\xff\xd1"
        + b"f\xff\xc4\x00\x03x"
        + scan
        + b"g\xff\xd9 the second image \xff\xd9"
    )
    longer = jpeg.with_other_ends(data)
    tail = longer[longer.index(b"\xff\x00c") + 3 : longer.index(b"\xff\xd0")]
    assert len(tail) > 4
    assert b"\xff" not in tail
    assert longer.count(tail) == 4
    assert longer.replace(tail, b"") == data
    assert longer.startswith(head + scan + b"ab\xff\x00c" + tail)
    assert longer.endswith(b"g" + tail + b"\xff\xd9 the second image \xff\xd9")


def test_a_file_of_restarts_does_not_grow_out_of_memory() -> None:
    data = b"\xff\xd8\xff\xda\x00\x02" + b"\xff\xd0" * 100_000
    assert len(jpeg.with_other_ends(data)) < 3 * len(data)


def test_a_frame_behind_too_many_segments_is_not_looked_for() -> None:
    assert jpeg.is_crowded(b"\xff\xd8" + b"\xff\xe5\x00\x02" * 5000)
    assert not jpeg.is_crowded(b"\xff\xd8" + b"\xff\xe5\x00\x02" * 500)
    assert jpeg.frame(b"\xff\xd8\xff\xd9") is None


def test_segments_are_added_behind_the_jfif_header() -> None:
    file = io.BytesIO()
    COLOUR.save(file, "JPEG")
    data = file.getvalue()
    added = [(jpeg.APP1, b"one"), (jpeg.COMMENT, b"two")]
    found = jpeg.with_segments(data, added)
    listed = [(marker, payload) for marker, payload, _ in jpeg.segments(found)]
    assert listed[0][1].startswith(b"JFIF")
    assert listed[1:3] == added
    for _, payload, start in jpeg.segments(found):
        assert found[start : start + len(payload)] == payload
    bare = data[:2] + data[jpeg.place_for_segments(data) :]
    assert jpeg.with_segments(bare, added)[2:6] == jpeg.segment(*added[0])[:4]
    assert jpeg.with_segments(data[:100], added) == found[: len(found) - len(data) + 100]
    assert jpeg.comments(found) == (b"two",)


def test_where_an_image_ends() -> None:
    for progressive in (False, True):
        file = io.BytesIO()
        COLOUR.save(file, "JPEG", progressive=progressive)
        thumbnail = jpeg.with_segments(file.getvalue(), [(jpeg.APP1, b"Exif\0\0" + file.getvalue())])
        for data in (file.getvalue(), thumbnail):
            assert jpeg.end(data) == jpeg.end(data + data) == len(data)
            assert jpeg.end(data[:-2]) == len(data) - 2
