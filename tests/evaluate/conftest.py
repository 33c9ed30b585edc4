"""Small datasets in their published layouts, and a network that changes nothing."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import PIL.Image
import pytest
import scipy.io

from uformer.image.value_range import FULL, ValueRange
from uformer.restore.restorer import Restorer


@pytest.fixture
def identity(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every restorer return its input, clipped, in one tile."""

    def restore(
        _self: Restorer,
        pixels: np.ndarray,
        *,
        used: ValueRange = FULL,
        progress: Callable[[int, int], None] | None = None,
        **_: object,
    ) -> np.ndarray:
        if progress:
            progress(1, 1)
        return np.clip(pixels, 0, 1) if used == FULL else pixels

    monkeypatch.setattr(Restorer, "restore_pixels", restore)


def save_picture(
    path: Path, *, level: int | None = None, seed: int = 0, size: tuple[int, int] = (24, 32)
) -> np.ndarray:
    """Write an RGB image, random or of one level, and return its uint8 values (H, W, 3)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    if level is not None:
        values[:] = level
    PIL.Image.fromarray(values).save(path)
    return values


def save_pairs(
    folder: Path, levels: dict[str, tuple[int, int]], *, names: tuple[str, str] = ("degraded", "clean")
) -> None:
    """Write flat images: for each name, the levels of the degraded and the clean one."""
    for name, pair in levels.items():
        for sub, level in zip(names, pair, strict=True):
            save_picture(folder / sub / f"{name}.png", level=level)


def save_sidd(path: Path, *, seed: int = 0, shape: tuple[int, ...] = (2, 3, 16, 20, 3)) -> np.ndarray:
    """Write random blocks in the format of SIDD's .mat files, in a variable named after the file."""
    blocks = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    scipy.io.savemat(path, {path.stem: blocks})
    return blocks


def save_dnd(
    folder: Path, boxes: list[list[tuple[int, int, int, int]]], *, size: tuple[int, int] = (20, 30)
) -> list[np.ndarray]:
    """Write DND's info.mat and images, with the transposed arrays of MATLAB 7.3; return the images."""
    (folder / "images_srgb").mkdir(parents=True)
    images = []
    with h5py.File(folder / "info.mat", "w") as file:
        info = file.create_group("info")
        references = info.create_dataset("boundingboxes", (1, len(boxes)), h5py.ref_dtype)
        for index, each in enumerate(boxes):
            held = file.create_dataset(f"#refs#/{index}", data=np.array(each, float).T)
            references[0, index] = held.ref
    for index in range(len(boxes)):
        images.append(np.random.default_rng(index).random((*size, 3), dtype=np.float32))
        with h5py.File(folder / "images_srgb" / f"{index + 1:04}.mat", "w") as file:
            file["InoisySRGB"] = images[-1].T
    return images
