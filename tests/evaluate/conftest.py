"""Small data sets in their owners' layouts, and a network that changes nothing, for numbers computed by hand."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import PIL.Image
import pytest
import scipy.io

from uformer.restore.restorer import Restorer


@pytest.fixture
def identity(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every restorer gives the picture back as it is, in one tile."""

    def restore(
        _self: Restorer,
        pixels: np.ndarray,
        *,
        progress: Callable[[int, int], None] | None = None,
        **_: object,
    ) -> np.ndarray:
        if progress:
            progress(1, 1)
        return np.clip(pixels, 0, 1)

    monkeypatch.setattr(Restorer, "restore_pixels", restore)


def save_picture(
    path: Path, *, level: int | None = None, seed: int = 0, size: tuple[int, int] = (24, 32)
) -> np.ndarray:
    """Write an RGB picture, of one level or random, and give back its uint8 values (H, W, 3)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    if level is not None:
        values[:] = level
    PIL.Image.fromarray(values).save(path)
    return values


def save_pairs(
    folder: Path, levels: dict[str, tuple[int, int]], *, names: tuple[str, str] = ("degraded", "clean")
) -> None:
    """Flat pictures: for each name the levels of the degraded and of the clean one."""
    for name, pair in levels.items():
        for sub, level in zip(names, pair, strict=True):
            save_picture(folder / sub / f"{name}.png", level=level)


def save_sidd(path: Path, *, seed: int = 0, shape: tuple[int, ...] = (2, 3, 16, 20, 3)) -> np.ndarray:
    """Blocks as SIDD's .mat files hold them, under the file's own name."""
    blocks = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    scipy.io.savemat(path, {path.stem: blocks})
    return blocks


def save_dnd(
    folder: Path, boxes: list[list[tuple[int, int, int, int]]], *, size: tuple[int, int] = (20, 30)
) -> list[np.ndarray]:
    """DND's info.mat and pictures, as MATLAB 7.3 lays arrays out: transposed."""
    (folder / "images_srgb").mkdir(parents=True)
    pictures = []
    with h5py.File(folder / "info.mat", "w") as file:
        info = file.create_group("info")
        references = info.create_dataset("boundingboxes", (1, len(boxes)), h5py.ref_dtype)
        for index, each in enumerate(boxes):
            held = file.create_dataset(f"#refs#/{index}", data=np.array(each, float).T)
            references[0, index] = held.ref
    for index in range(len(boxes)):
        pictures.append(np.random.default_rng(index).random((*size, 3), dtype=np.float32))
        with h5py.File(folder / "images_srgb" / f"{index + 1:04}.mat", "w") as file:
            file["InoisySRGB"] = pictures[-1].T
    return pictures
