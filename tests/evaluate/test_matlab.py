"""MATLAB files of SIDD and DND: they can be read back, and damaged ones cause one-line errors."""

import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io

from tests.evaluate.conftest import save_dnd, save_sidd
from uformer.errors import OptionError, PictureError
from uformer.evaluate import matlab

NOISY = "ValidationNoisyBlocksSrgb"


def test_blocks(tmp_path: Path) -> None:
    blocks = save_sidd(tmp_path / f"{NOISY}.mat")
    assert np.array_equal(matlab.read_blocks(tmp_path / f"{NOISY}.mat", NOISY), blocks)


def test_the_shape_of_blocks_is_known_before_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_sidd(tmp_path / f"{NOISY}.mat")
    monkeypatch.setattr(scipy.io, "loadmat", lambda *_, **__: pytest.fail("not needed"))
    assert matlab.shape_of_blocks(tmp_path / f"{NOISY}.mat", NOISY) == (2, 3, 16, 20)


def test_dnd(tmp_path: Path) -> None:
    boxes = [[(1, 1, 8, 9), (3, 2, 20, 30)], [(5, 6, 7, 8), (1, 1, 1, 1)]]
    images = save_dnd(tmp_path, boxes)
    assert [each.tolist() for each in matlab.read_boxes(tmp_path / "info.mat")] == [
        [list(box) for box in each] for each in boxes
    ]
    found = matlab.read_dnd(tmp_path / "images_srgb/0002.mat")
    assert found.dtype == np.float32
    assert np.array_equal(found, images[1])


def _hdf5(path: Path, **values: object) -> None:
    with h5py.File(path, "w") as file:
        for name, value in values.items():
            file[name] = value


def test_what_is_no_such_file_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    readers: dict[str, Callable[[], object]] = {
        "shape": lambda: matlab.shape_of_blocks(path, NOISY),
        "blocks": lambda: matlab.read_blocks(path, NOISY),
        "boxes": lambda: matlab.read_boxes(path),
        "image": lambda: matlab.read_dnd(path),
    }
    save_sidd(tmp_path / f"{NOISY}.mat")
    good = (tmp_path / f"{NOISY}.mat").read_bytes()
    for content in (None, b"", b"not a MATLAB file" * 20, good[: len(good) // 2]):
        if content is not None:
            path.write_bytes(content)
        cut_off = content == good[: len(good) // 2]
        for name, reader in readers.items():
            if cut_off and name == "shape":
                continue  # the header is complete
            with pytest.raises(PictureError) as caught:
                reader()
            assert str(path) in str(caught.value)
            assert "\n" not in str(caught.value)


def test_other_content_is_refused(tmp_path: Path) -> None:
    scipy.io.savemat(tmp_path / "a.mat", {NOISY: np.zeros((2, 2))})
    with pytest.raises(PictureError, match="is float64 \\(2, 2\\), expected uint8"):
        matlab.read_blocks(tmp_path / "a.mat", NOISY)
    with pytest.raises(PictureError, match="Other is missing"):
        matlab.read_blocks(tmp_path / "a.mat", "Other")
    with pytest.raises(PictureError, match="is double \\(2, 2\\), expected uint8"):
        matlab.shape_of_blocks(tmp_path / "a.mat", NOISY)
    with pytest.raises(PictureError, match="Other is missing"):
        matlab.shape_of_blocks(tmp_path / "a.mat", "Other")
    _hdf5(tmp_path / "b.mat", InoisySRGB=np.zeros((4, 5)))
    with pytest.raises(PictureError, match="InoisySRGB is \\(5, 4\\)"):
        matlab.read_dnd(tmp_path / "b.mat")
    _hdf5(tmp_path / "c.mat", InoisySRGB=np.full((3, 4, 5), np.nan))
    with pytest.raises(PictureError, match="finite"):
        matlab.read_dnd(tmp_path / "c.mat")
    with pytest.raises(PictureError, match="DND's info.mat"):
        matlab.read_boxes(tmp_path / "c.mat")
    _hdf5(tmp_path / "d.mat", **{"info/boundingboxes": np.zeros((1, 2))})
    with pytest.raises(PictureError, match="DND's info.mat"):
        matlab.read_boxes(tmp_path / "d.mat")


def test_sidds_submission_is_a_cell_of_blocks(tmp_path: Path) -> None:
    blocks = np.random.default_rng(0).random((2, 3, 8, 9, 3), dtype=np.float32)
    matlab.write_sidd(
        tmp_path / "SubmitSrgb.mat", [list(each) for each in blocks], seconds_per_megapixel=1.5, method="mine"
    )
    found = scipy.io.loadmat(tmp_path / "SubmitSrgb.mat")
    cell = found["DenoisedBlocksSrgb"]
    assert cell.shape == (2, 3)
    assert cell[1, 2].dtype == np.float32
    assert np.array_equal(cell[1, 2], blocks[1, 2])
    assert found["TimeMPSrgb"].item() == 1.5
    assert found["OptionalData"]["MethodName"].item().item() == "mine"


def test_blocks_of_one_image_stay_a_cell(tmp_path: Path) -> None:
    matlab.write_sidd(
        tmp_path / "a.mat", [[np.zeros((4, 4, 3), np.float32)]], seconds_per_megapixel=1, method=""
    )
    assert scipy.io.loadmat(tmp_path / "a.mat")["DenoisedBlocksSrgb"].shape == (1, 1)


def test_dnds_submission_is_a_cell_of_crops_of_any_size(tmp_path: Path) -> None:
    crops = [np.full((2, 3, 3), 0.25, np.float32), np.full((4, 5, 3), 0.5, np.float32)]
    matlab.write_dnd(tmp_path / "0001.mat", crops)
    found = scipy.io.loadmat(tmp_path / "0001.mat")
    assert [found["Idenoised"][0, index].shape for index in (0, 1)] == [(2, 3, 3), (4, 5, 3)]
    assert np.array_equal(found["Idenoised"][0, 1], crops[1])
    assert not found["israw"].item()
    assert found["eval_version"].item() == "1.0"


def test_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match="cannot be written: No such file"):
        matlab.write_dnd(tmp_path / "nowhere/0001.mat", [np.zeros((2, 2, 3), np.float32)])


def test_a_missing_extra_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(OptionError, match='pip install "uformer\\[eval\\]"'):
        matlab.read_dnd(tmp_path / "a.mat")
