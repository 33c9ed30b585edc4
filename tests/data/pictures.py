"""Small image files in several formats, for tests."""

import os
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import pyvips


def photo(height: int = 40, width: int = 48, *, seed: int = 0) -> np.ndarray:
    """Return a smooth, structured image, (H, W, 3) uint8, in which no two neighbourhoods are the same."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (height // 8 + 2, width // 8 + 2, 3), np.uint8)
    return np.asarray(PIL.Image.fromarray(coarse).resize((width, height), PIL.Image.Resampling.BICUBIC))


def save(path: Path, pixels: np.ndarray) -> Path:
    """Write uint8 or uint16 (H, W) or (H, W, C) in the format of the suffix, whatever C is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = pyvips.Image.new_from_array(np.ascontiguousarray(pixels))
    if pixels.ndim == 3 and pixels.shape[2] == 3:
        image = image.copy(interpretation="rgb16" if pixels.dtype == np.uint16 else "srgb")
    elif pixels.ndim == 2 and pixels.dtype == np.uint16:
        image = image.copy(interpretation="grey16")
    elif pixels.ndim == 3 and pixels.shape[2] > 1:
        image = image.copy(interpretation="multiband")
    image.write_to_file(str(path))
    return path


def noisy(pixels: np.ndarray, *, seed: int = 0, sigma: float = 10) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal(pixels.shape) * sigma
    return np.rint(np.clip(pixels + noise, 0, 255)).astype(np.uint8)


def make_pairs(folder: Path, count: int = 3, *, height: int = 40, width: int = 48) -> Path:
    """Write `count` pairs of noisy and clean images into degraded/ and clean/."""
    for index in range(count):
        clean = photo(height, width, seed=index)
        save(folder / "clean" / f"{index}.png", clean)
        save(folder / "degraded" / f"{index}.png", noisy(clean, seed=index))
    return folder


def lock(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Refuse to list folders with these names. Permissions would not stop root."""
    scandir = os.scandir

    def refuse(path: Path) -> object:
        if Path(path).name in names:
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
