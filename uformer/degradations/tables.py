"""Measured tables: response curves and colour matrices of cameras, and blur kernels of hand-held cameras."""

import functools
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from uformer.image.image import Pixels

NODES = np.linspace(0, 1, 65) ** 2
"""Irradiances, as a share of saturation, at which the response curves are sampled."""

_XYZ_TO_CAMERA = (  # four cameras, from the code of Brooks et al. (CVPR 2019)
    ((1.0234, -0.2969, -0.2266), (-0.5625, 1.6328, -0.0469), (-0.0703, 0.2188, 0.6406)),
    ((0.4913, -0.0541, -0.0202), (-0.613, 1.3513, 0.2906), (-0.1564, 0.2151, 0.7183)),
    ((0.838, -0.263, -0.0639), (-0.2887, 1.0725, 0.2496), (-0.0627, 0.1427, 0.5438)),
    ((0.6596, -0.2079, -0.0562), (-0.4782, 1.3016, 0.1933), (-0.097, 0.1581, 0.5181)),
)
_SRGB_TO_XYZ = (
    (0.4124564, 0.3575761, 0.1804375),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339, 0.1191920, 0.9503041),
)  # IEC 61966-2-1


@functools.cache
def _tables() -> dict[str, NDArray[np.float32]]:
    with (
        resources.files("uformer.degradations").joinpath("tables.npz").open("rb") as file,
        np.load(file) as tables,
    ):
        return {
            "responses": (tables["responses"] / np.float32(65535)).astype(np.float32),
            "levin": tables["levin"],
        }


def responses() -> NDArray[np.float32]:
    """Return the response curves of 201 cameras and films, (201, 65) (Grossberg & Nayar, CVPR 2003).

    Each row holds pixel values in [0, 1] at the irradiances NODES.
    """
    return _tables()["responses"]


def levin_kernels() -> NDArray[np.float32]:
    """Return the measured blur kernels of hand-held cameras, (8, 27, 27) (Levin et al., CVPR 2009).

    Each sums to 1.
    """
    return _tables()["levin"]


@functools.cache
def camera_matrices() -> NDArray[np.float64]:
    """Return matrices from linear sRGB to sensor colours, (5, 3, 3): the identity, then four cameras'.

    White stays white, because rows sum to 1.
    """
    matrices = np.array(_XYZ_TO_CAMERA) @ np.array(_SRGB_TO_XYZ)
    return np.concatenate([np.eye(3)[None], matrices / matrices.sum(axis=2, keepdims=True)])


def expose(irradiance: Pixels, response: int) -> Pixels:
    """Map irradiances in [0, 1], of any shape, to pixel values in [0, 1] by response curve `response`."""
    return np.interp(irradiance, NODES, responses()[response]).astype(np.float32)


def unexpose(pixels: Pixels, response: int) -> Pixels:
    """Map pixel values in [0, 1] back to irradiances in [0, 1]: the inverse of `expose`."""
    return np.interp(pixels, responses()[response], NODES).astype(np.float32)
