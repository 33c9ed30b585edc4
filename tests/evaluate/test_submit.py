"""Submissions hold every block and crop, in the place and form that the servers expect."""

import types
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from tests.evaluate.conftest import save_dnd, save_sidd
from tests.evaluate.test_run import tiny_restorer
from uformer.errors import OptionError
from uformer.evaluate import submit as submit_module
from uformer.evaluate.protocols import PROTOCOLS
from uformer.evaluate.submit import submission_files, submit

BOXES = [[(1, 1, 12, 14), (4, 3, 20, 30)], [(2, 2, 9, 9)]]


@pytest.mark.usefixtures("identity")
def test_sidds_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([5.0, 7.0])
    monkeypatch.setattr(submit_module, "time", types.SimpleNamespace(perf_counter=lambda: next(clock)))
    blocks = save_sidd(tmp_path / "BenchmarkNoisyBlocksSrgb.mat")
    steps: list[int] = []
    protocol = PROTOCOLS["sidd-benchmark"]
    assert submission_files(protocol, tmp_path) == ["SubmitSrgb.mat"]
    assert submit(tiny_restorer(), protocol, tmp_path, tmp_path, method="tiny", advance=lambda: steps.append(1)) == []
    found = scipy.io.loadmat(tmp_path / "SubmitSrgb.mat")
    restored = np.stack([np.stack(list(row)) for row in found["DenoisedBlocksSrgb"]])
    assert np.array_equal(np.rint(restored * 255), blocks)
    assert found["TimeMPSrgb"].item() == pytest.approx(2 / (6 * 16 * 20 / 2**20))
    assert len(steps) == 6


@pytest.mark.usefixtures("identity")
def test_dnds_files(tmp_path: Path) -> None:
    pictures = save_dnd(tmp_path, BOXES)
    assert submission_files(PROTOCOLS["dnd"], tmp_path) == ["0001.mat", "0002.mat"]
    assert submit(tiny_restorer(), PROTOCOLS["dnd"], tmp_path, tmp_path, method="tiny") == []
    crops = scipy.io.loadmat(tmp_path / "0001.mat")["Idenoised"]
    assert crops.shape == (1, 2)
    assert np.array_equal(crops[0, 1], pictures[0][3:20, 2:30])
    assert scipy.io.loadmat(tmp_path / "0002.mat")["Idenoised"][0, 0].shape == (8, 8, 3)


@pytest.mark.usefixtures("identity")
def test_a_bad_picture_does_not_stop_the_others(tmp_path: Path) -> None:
    save_dnd(tmp_path, [*BOXES, [(1, 1, 21, 5)]])
    (tmp_path / "images_srgb/0001.mat").write_bytes(b"damaged")
    failures = submit(tiny_restorer(), PROTOCOLS["dnd"], tmp_path, tmp_path, method="tiny")
    assert [failure.name for failure in failures] == ["0001.mat", "0003.mat"]
    assert "crop 1 lies outside of the picture of 30 x 20" in failures[1].reason
    assert not (tmp_path / "0001.mat").exists()
    assert (tmp_path / "0002.mat").exists()


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="BenchmarkNoisyBlocksSrgb.mat missing; .*sidd"):
        submission_files(PROTOCOLS["sidd-benchmark"], tmp_path)
    with pytest.raises(OptionError, match="info.mat missing; .*darmstadt"):
        submission_files(PROTOCOLS["dnd"], tmp_path)
    save_dnd(tmp_path, BOXES)
    (tmp_path / "images_srgb/0002.mat").unlink()
    with pytest.raises(OptionError, match="images_srgb/0002.mat missing"):
        submission_files(PROTOCOLS["dnd"], tmp_path)
