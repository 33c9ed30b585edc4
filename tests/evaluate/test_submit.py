"""Submissions hold every block and crop in the order and format that the servers expect."""

import dataclasses
import types
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from tests.evaluate.conftest import save_dnd, save_sidd
from tests.evaluate.test_evaluation import tiny_restorer
from tests.evaluate.test_kaggle import read_back
from uformer.errors import OptionError
from uformer.evaluate import submit as submit_module
from uformer.evaluate.protocols import PROTOCOLS
from uformer.evaluate.submit import plan_submission, submit

BOXES = [[(1, 1, 12, 14), (4, 3, 20, 30)], [(2, 2, 9, 9)]]


@pytest.mark.usefixtures("identity")
def test_sidds_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([5.0, 7.0])
    monkeypatch.setattr(submit_module, "time", types.SimpleNamespace(perf_counter=lambda: next(clock)))
    blocks = save_sidd(tmp_path / "BenchmarkNoisyBlocksSrgb.mat")
    steps: list[int] = []
    protocol = PROTOCOLS["sidd-benchmark"]
    planned = plan_submission(protocol, tmp_path)
    assert (planned.files, planned.upload, planned.crops) == (
        ("SubmitSrgb.csv", "SubmitSrgb.mat"),
        "SubmitSrgb.csv",
        6,
    )
    assert (
        submit(tiny_restorer(), protocol, tmp_path, tmp_path, method="tiny", advance=lambda: steps.append(1))
        == []
    )
    found = scipy.io.loadmat(tmp_path / "SubmitSrgb.mat")
    restored = np.stack([np.stack(list(row)) for row in found["DenoisedBlocksSrgb"]])
    assert np.array_equal(np.rint(restored * 255), blocks)
    assert found["TimeMPSrgb"].item() == pytest.approx(2 / (6 * 16 * 20 / 2**20))
    assert len(steps) == 6
    table = read_back(tmp_path / "SubmitSrgb.csv", (16, 20, 3))
    assert np.array_equal(table, blocks.reshape(6, 16, 20, 3))


@pytest.mark.usefixtures("identity")
def test_one_of_sidds_files_that_cannot_be_written_does_not_stop_the_other(tmp_path: Path) -> None:
    save_sidd(tmp_path / "BenchmarkNoisyBlocksSrgb.mat")
    (tmp_path / "SubmitSrgb.csv").mkdir()
    failures = submit(tiny_restorer(), PROTOCOLS["sidd-benchmark"], tmp_path, tmp_path, method="tiny")
    assert [failure.name for failure in failures] == ["SubmitSrgb.csv"]
    assert (tmp_path / "SubmitSrgb.mat").is_file()
    (tmp_path / "BenchmarkNoisyBlocksSrgb.mat").write_bytes(b"damaged")
    failures = submit(tiny_restorer(), PROTOCOLS["sidd-benchmark"], tmp_path, tmp_path, method="tiny")
    assert [failure.name for failure in failures] == ["SubmitSrgb.csv"]
    assert "cannot be read" in failures[0].reason


SIDD = (
    "found 2 images with 6 crops of {}; SIDD's benchmark has 40 images with 1280 crops of 256 x 256: "
    "incomplete submission"
)


@pytest.mark.parametrize(
    ("shape", "whole", "lacks"),
    [
        ((2, 3, 16, 20, 3), None, SIDD.format("20 x 16")),
        ((2, 3, 16, 16, 3), (2, 3, 16), ""),
        (
            (2, 3, 16, 20, 3),
            (2, 3, 16),
            "found 2 images with 6 crops of 20 x 16; SIDD's benchmark has 2 images with 6 crops of 16 x 16",
        ),
        (
            (3, 2, 16, 16, 3),
            (2, 3, 16),
            "found 3 images with 6 crops of 16 x 16; SIDD's benchmark has 2 images with 6 crops of 16 x 16",
        ),
    ],
)
def test_what_sidds_file_lacks(
    tmp_path: Path, shape: tuple[int, ...], whole: tuple[int, int, int] | None, lacks: str
) -> None:
    save_sidd(tmp_path / "BenchmarkNoisyBlocksSrgb.mat", shape=shape)
    protocol = PROTOCOLS["sidd-benchmark"]
    found = plan_submission(dataclasses.replace(protocol, shape=whole or protocol.shape), tmp_path).lacks
    assert bool(found) == bool(lacks)
    assert found.startswith(lacks)


def test_what_dnds_bundle_lacks(tmp_path: Path) -> None:
    save_dnd(tmp_path, BOXES)
    assert plan_submission(PROTOCOLS["dnd"], tmp_path).lacks == (
        "found 2 images with 3 crops of several sizes; DND has 50 images with 1000 crops of 512 x 512: "
        "incomplete submission"
    )
    save_dnd(tmp_path / "even", [[(1, 1, 12, 12), (2, 3, 13, 14)]] * 3)
    small = dataclasses.replace(PROTOCOLS["dnd"], shape=(3, 2, 12))
    assert plan_submission(small, tmp_path / "even").lacks == ""
    assert plan_submission(dataclasses.replace(small, shape=(3, 2, 13)), tmp_path / "even").lacks.startswith(
        "found 3 images with 6 crops of 12 x 12; "
    )
    assert plan_submission(dataclasses.replace(small, shape=(4, 2, 12)), tmp_path / "even").lacks


@pytest.mark.usefixtures("identity")
def test_dnds_files(tmp_path: Path) -> None:
    images = save_dnd(tmp_path, BOXES)
    planned = plan_submission(PROTOCOLS["dnd"], tmp_path)
    assert (planned.files, planned.upload, planned.crops) == (("0001.mat", "0002.mat"), "them", 3)
    assert submit(tiny_restorer(), PROTOCOLS["dnd"], tmp_path, tmp_path, method="tiny") == []
    crops = scipy.io.loadmat(tmp_path / "0001.mat")["Idenoised"]
    assert crops.shape == (1, 2)
    assert np.array_equal(crops[0, 1], images[0][3:20, 2:30])
    assert scipy.io.loadmat(tmp_path / "0002.mat")["Idenoised"][0, 0].shape == (8, 8, 3)


@pytest.mark.usefixtures("identity")
def test_a_bad_image_does_not_stop_the_others(tmp_path: Path) -> None:
    save_dnd(tmp_path, [*BOXES, [(1, 1, 21, 5)]])
    (tmp_path / "images_srgb/0001.mat").write_bytes(b"damaged")
    failures = submit(tiny_restorer(), PROTOCOLS["dnd"], tmp_path, tmp_path, method="tiny")
    assert [failure.name for failure in failures] == ["0001.mat", "0003.mat"]
    assert "crop 1 lies outside the image of 30 x 20" in failures[1].reason
    assert not (tmp_path / "0001.mat").exists()
    assert (tmp_path / "0002.mat").exists()


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="missing BenchmarkNoisyBlocksSrgb.mat; .*sidd"):
        plan_submission(PROTOCOLS["sidd-benchmark"], tmp_path)
    with pytest.raises(OptionError, match="missing info.mat; .*darmstadt"):
        plan_submission(PROTOCOLS["dnd"], tmp_path)
    save_dnd(tmp_path, BOXES)
    (tmp_path / "images_srgb/0002.mat").unlink()
    with pytest.raises(OptionError, match="missing images_srgb/0002.mat"):
        plan_submission(PROTOCOLS["dnd"], tmp_path)
