import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from uformer.image import tiff_tags
from uformer.image.read import read
from uformer.image.regions import regions, write_parts
from uformer.image.write import encode, write

PIXELS = np.arange(20 * 30 * 3, dtype=np.uint8).reshape(20, 30, 3)
GEO = [
    (33550, "d", 3, (10.0, 10.0, 0.0)),
    (33922, "d", 6, (0.0, 0.0, 0.0, 500000.0, 5800000.0, 0.0)),
    (34735, "H", 16, (1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, 32633)),
    (42113, "s", 0, "-9999"),
]


def tiff(*extratags: tuple, order: str = "<", pixels: np.ndarray = PIXELS, **options: Any) -> bytes:
    file = io.BytesIO()
    photometric = "rgb" if pixels.ndim == 3 else "minisblack"
    options = {"metadata": None, "byteorder": order} | options
    tifffile.imwrite(file, pixels, photometric=photometric, extratags=extratags, **options)
    return file.getvalue()


def written(data: bytes, suffix: str = ".tif", **options: Any) -> tuple[bytes, list[str]]:
    said: list[str] = []
    return encode(read(data, notify=said.append), suffix, notify=said.append, **options), said


def tags(data: bytes) -> dict[int, Any]:
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        return {tag.code: tag.value for tag in file.pages[0].tags}  # type: ignore[union-attr]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bigtiff", [False, True])
def test_the_map_position_is_kept(order: str, bigtiff: bool) -> None:
    out, said = written(tiff(*GEO, order=order, bigtiff=bigtiff))
    assert said == []
    found = tags(out)
    assert [found[code] for code, *_ in GEO] == [value for *_, value in GEO]
    with tifffile.TiffFile(io.BytesIO(out)) as file:
        assert file.geotiff_metadata is not None
        assert file.geotiff_metadata["ProjectedCSTypeGeoKey"] == 32633


def test_in_parts_too(tmp_path: Path) -> None:
    source, whole, parts = (tmp_path / name for name in ("in.tif", "whole.tif", "parts.tif"))
    source.write_bytes(tiff(*GEO))
    write(read(source), whole)
    with regions(source, folder=tmp_path) as rows:
        write_parts(rows.frame, [(0, rows.part(0, 20))], parts)
    assert whole.read_bytes() == parts.read_bytes()


def test_where_it_cannot_be_kept() -> None:
    for policy in ("strip", "safe"):
        out, said = written(tiff(*GEO), metadata=policy)
        assert (said, tags(out).keys() & {code for code, *_ in GEO}) == ([], set())
    assert written(tiff(*GEO), ".png")[1] == [
        "PNG cannot hold the map position (GeoTIFF), GDAL metadata; left out"
    ]
    out, said = written(tiff(*GEO, (274, "H", 1, 6)))
    assert said == ["image: holds the map position (GeoTIFF); left out"]
    assert tags(out).keys() & {33550, 33922, 34735} == set()


@pytest.mark.parametrize("policy", ["keep", "safe", "strip"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_pixel_size_of_imagej(policy: str, order: str) -> None:
    options: Any = {"imagej": True, "metadata": {"unit": "um"}, "resolution": (1 / 0.065, 1 / 0.13)}
    data = tiff(pixels=PIXELS[..., 0].astype(np.uint16), order=order, **options)
    out, said = written(data, metadata=policy)
    assert said == []
    for tag in (282, 283, 296):
        assert tags(out)[tag] == tags(data)[tag]
    with tifffile.TiffFile(io.BytesIO(out)) as file:
        assert file.is_imagej == (policy == "keep")
    assert written(data, ".png")[1] == ["PNG cannot hold a resolution without a unit; left out"]


def test_a_turned_image_has_turned_pixels() -> None:
    data = tiff((274, "H", 1, 8), resolution=(4.0, 8.0), resolutionunit=1)
    found = tags(written(data)[0])
    assert (found[282], found[283], found[296]) == ((8, 1), (4, 1), 1)


def test_a_resolution_with_a_unit_needs_no_tags() -> None:
    for unit in (2, 3):
        data = tiff(resolution=(300, 300), resolutionunit=unit)
        assert tiff_tags.kept(data, turned=False) is None
        assert not tiff_tags.has_no_unit(data)
    assert not tiff_tags.has_no_unit(tiff())  # 1 x 1 means unknown


def test_the_loss_of_other_tags_is_reported() -> None:
    data = tiff(
        (34412, "B", 4, b"lsm!"),
        (50839, "B", 4, b"IJIJ"),
        (65000, "H", 1, 7),
        (51123, "s", 0, '{"a": 12345}'),
    )
    out, said = written(data)
    assert said == ["image: holds Zeiss LSM data, ImageJ overlays and labels, tag 65000; left out"]
    assert tags(out)[51123] == {"a": 12345}


@pytest.mark.parametrize("data", [b"", b"II*\0", b"II*\0" + struct.pack("<IH", 8, 9000)])
def test_damaged_data_count_as_absent(data: bytes) -> None:
    assert tiff_tags.kept(data, turned=True) is None
    assert tiff_tags.of_pixels(data) is None
    assert tiff_tags.names(data) == tiff_tags.left_out(data, turned=True) == []
