"""Small TIFF stacks as microscopes and ImageJ write them."""

from pathlib import Path
from typing import Any

import numpy as np
import tifffile


def counts(*shape: int, low: int = 100, high: int = 400, seed: int = 0) -> np.ndarray:
    """Return random 16-bit counts."""
    return np.random.default_rng(seed).integers(low, high, shape).astype(np.uint16)


def save_imagej(path: Path, values: np.ndarray, axes: str, **options: Any) -> np.ndarray:
    """Write a hyperstack with a pixel size of 0.103 micrometres and labels, and return its values."""
    labels = [f"slice {number}" for number in range(int(np.prod(values.shape[:-2])))]
    tifffile.imwrite(
        path,
        values,
        imagej=True,
        resolution=(1 / 0.103, 1 / 0.103),
        metadata={"axes": axes, "unit": "micron", "finterval": 2.5, "Labels": labels},
        **options,
    )
    return values


def save_ome(path: Path, values: np.ndarray, axes: str, **options: Any) -> np.ndarray:
    """Write an OME-TIFF with pixel sizes in its XML, and return its values."""
    tifffile.imwrite(
        path,
        values,
        ome=True,
        metadata={"axes": axes, "PhysicalSizeX": 0.103, "PhysicalSizeXUnit": "µm"},
        **options,
    )
    return values
