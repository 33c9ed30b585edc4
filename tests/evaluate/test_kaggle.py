"""The table for Kaggle, read back as in the example of the dataset's owners."""

import base64
import csv
from pathlib import Path

import numpy as np
import pytest

from uformer.errors import PictureError
from uformer.evaluate import kaggle


def read_back(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """Return the blocks of a table, (n, H, W, 3) uint8, and check that they are numbered 0, 1, 2, ..."""
    csv.field_size_limit(2**22)
    with path.open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["ID", "BLOCK"]
    assert [number for number, _ in rows] == [str(index) for index in range(len(rows))]
    return np.stack(
        [np.frombuffer(base64.b64decode(text, validate=True), np.uint8).reshape(shape) for _, text in rows]
    )


def test_blocks_are_numbered_image_by_image_and_can_be_read_back(tmp_path: Path) -> None:
    blocks = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 5, 3), dtype=np.uint8)
    kaggle.write_sidd(
        tmp_path / "a.csv", [list(image.astype(np.float32) / np.float32(255)) for image in blocks]
    )
    assert np.array_equal(read_back(tmp_path / "a.csv", (4, 5, 3)), blocks.reshape(6, 4, 5, 3))
    assert (tmp_path / "a.csv").read_bytes().startswith(b"ID,BLOCK\n0,")


def test_values_are_rounded_and_clipped_for_any_memory_layout(tmp_path: Path) -> None:
    block = np.array(
        [[[0.4, 0.6, 254.4], [-3, 300, 1]], [[1.6, 2.4, 2.6], [9, 8, 7]]], np.float32
    ) / np.float32(255)
    kaggle.write_sidd(tmp_path / "a.csv", [[np.asfortranarray(block)]])
    expected = [[[0, 1, 254], [0, 255, 1]], [[2, 2, 3], [9, 8, 7]]]
    assert read_back(tmp_path / "a.csv", (2, 2, 3))[0].tolist() == expected


def test_it_is_written_completely_or_not_at_all(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match="a.csv: cannot be written: No such file"):
        kaggle.write_sidd(tmp_path / "nowhere/a.csv", [])
    (tmp_path / "a.csv").write_text("old")
    with pytest.raises((TypeError, AttributeError)):
        kaggle.write_sidd(tmp_path / "a.csv", [[np.zeros((2, 2, 3), np.float32), None]])  # type: ignore[list-item]
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]
    assert (tmp_path / "a.csv").read_text() == "old"
