"""Small Zarr images as microscopes and converters write them."""

from pathlib import Path
from typing import Any

import numpy as np
import zarr


def save_ome(
    path: Path, values: np.ndarray, axes: str, *, version: int = 3, levels: int = 2, **options: Any
) -> np.ndarray:
    """Write an OME-Zarr image whose levels halve y and x, with pixel sizes and channel names."""
    group = zarr.open_group(path, mode="w", zarr_format=3 if version == 3 else 2)
    size = dict.fromkeys("tc", 1.0) | {"z": 0.5, "y": 0.103, "x": 0.103}
    datasets = []
    for level in range(levels):
        factor = 2**level
        part = values[..., ::factor, ::factor]
        names = list(axes) if version == 3 else None
        array = group.create_array(
            str(level), shape=part.shape, dtype=part.dtype, dimension_names=names, **options
        )
        array[...] = part
        scale = [size[axis] * (factor if axis in "yx" else 1) for axis in axes]
        datasets.append(
            {"path": str(level), "coordinateTransformations": [{"type": "scale", "scale": scale}]}
        )
    kinds = {"t": "time", "c": "channel"}
    image = {
        "axes": [{"name": axis, "type": kinds.get(axis, "space")} for axis in axes],
        "datasets": datasets,
    }
    channels = {"channels": [{"label": "DAPI", "color": "0000FF", "window": {"start": 100, "end": 400}}]}
    metadata: dict[str, Any] = {"multiscales": [image], "omero": channels}
    group.attrs.update({"ome": {"version": "0.5", **metadata}} if version == 3 else metadata)
    return values
