"""Measured tables: camera response curves, and the motion of cameras held by hand."""

import functools
from importlib import resources

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.float32]
NODES = np.linspace(0, 1, 65) ** 2
"""Irradiances, of saturation 1, at which the response curves are kept."""


@functools.cache
def _tables() -> dict[str, NDArray[np.float32]]:
    with resources.files("uformer.degradations").joinpath("tables.npz").open("rb") as file, np.load(file) as tables:
        return {"responses": (tables["responses"] / np.float32(65535)).astype(np.float32), "levin": tables["levin"]}


def responses() -> NDArray[np.float32]:
    """(201, 65): the pixel value in [0, 1] of each of 201 cameras and films at the irradiances NODES (Grossberg & Nayar, CVPR 2003)."""
    return _tables()["responses"]


def levin_kernels() -> NDArray[np.float32]:
    """(8, 27, 27), each summing to one: the blur of a camera held by hand, measured (Levin et al., CVPR 2009)."""
    return _tables()["levin"]


def expose(irradiance: Pixels, response: int) -> Pixels:
    """Pixel values in [0, 1] of irradiances in [0, 1], any shape, by response curve number `response`."""
    return np.interp(irradiance, NODES, responses()[response]).astype(np.float32)


def unexpose(pixels: Pixels, response: int) -> Pixels:
    """The irradiances in [0, 1] that `expose` gave these pixel values."""
    return np.interp(pixels, responses()[response], NODES).astype(np.float32)
