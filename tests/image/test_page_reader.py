"""Images of a dataset are read one by one, and stacks stay open between their pages."""

from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest
import tifffile

from tests.image.stacks import counts, save_imagej
from tests.image.zarrs import save_ome
from uformer.errors import PictureError
from uformer.image import page_reader
from uformer.image.any_stack import opened_stack
from uformer.image.page_reader import PageReader, is_data, page_count
from uformer.image.stack import Stack


def test_pages_and_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = save_imagej(tmp_path / "a.tif", counts(3, 8, 10), "TYX")
    tifffile.imwrite(tmp_path / "b.tif", counts(8, 10))
    opened: list[Path] = []

    def noticed(path: Path) -> AbstractContextManager[Stack]:
        opened.append(path)
        return opened_stack(path)

    monkeypatch.setattr(page_reader, "opened_stack", noticed)
    with PageReader() as reader:
        assert np.array_equal(reader.read(tmp_path / "a.tif", 2)[..., 0], values[2])
        assert np.array_equal(reader.read(tmp_path / "a.tif", 0)[..., 0], values[0])
        assert reader.read(tmp_path / "b.tif").shape == (8, 10, 1)
    assert opened == [tmp_path / "a.tif"]


def test_the_number_of_pages(tmp_path: Path) -> None:
    save_imagej(tmp_path / "a.tif", counts(3, 8, 10), "TYX")
    (tmp_path / "b.tif").write_bytes(b"")
    (tmp_path / "c.png").write_bytes(b"")
    assert [page_count(tmp_path / name) for name in ("a.tif", "b.tif", "c.png", "d.tif")] == [3, 1, 1, 1]


def test_planes_of_a_zarr(tmp_path: Path) -> None:
    values = save_ome(tmp_path / "a.zarr", counts(3, 8, 10), "zyx")
    (tmp_path / "b.zarr").mkdir()
    assert [page_count(tmp_path / name) for name in ("a.zarr", "b.zarr")] == [3, 1]
    with PageReader() as reader:
        assert np.array_equal(reader.read(tmp_path / "a.zarr", 2)[..., 0], values[2])
        with pytest.raises(PictureError, match="b.zarr: is not a Zarr"):
            reader.read(tmp_path / "b.zarr")


def test_floats_and_alpha(tmp_path: Path) -> None:
    values = np.linspace(0, 1, 160, dtype=np.float32).reshape(2, 8, 10)
    tifffile.imwrite(tmp_path / "counts.tif", values * 300 - 5, photometric="minisblack")
    tifffile.imwrite(
        tmp_path / "rgba.tif",
        np.zeros((2, 8, 10, 4), np.uint8),
        photometric="rgb",
        extrasamples=["unassalpha"],
    )
    with PageReader() as reader:
        assert np.array_equal(reader.read(tmp_path / "counts.tif", 1)[..., 0], values[1] * 300 - 5)
        assert reader.read(tmp_path / "rgba.tif", 1).shape == (8, 10, 3)


def test_samples_of_instruments(tmp_path: Path) -> None:
    values = np.array([[1000, 5], [7, 3000]])
    for kind in ("int16", "uint32", "float64"):
        tifffile.imwrite(tmp_path / f"{kind}.tif", values.astype(kind))
        with PageReader() as reader:
            found = reader.read(tmp_path / f"{kind}.tif")
        assert found.dtype == kind
        assert np.array_equal(found[..., 0], values)
        assert is_data(tmp_path / f"{kind}.tif")
    tifffile.imwrite(tmp_path / "photo.tif", values.astype(np.uint16))
    assert not any(is_data(tmp_path / name) for name in ("photo.tif", "none.tif"))
    for name, value in (("huge", 1e300), ("none", np.nan)):
        tifffile.imwrite(tmp_path / f"{name}.tif", np.full((8, 8), value))
    with PageReader() as reader:
        assert (reader.read(tmp_path / "huge.tif") == 1e300).all()
        with pytest.raises(PictureError, match=r"none.tif: page 1 has float samples that are not f"):
            reader.read(tmp_path / "none.tif")
