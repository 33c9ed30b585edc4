"""Colour: sRGB and linear light, and luma as the benchmarks compute it."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from uformer.image.image import Pixels

Real = TypeVar("Real", np.float32, np.float64)


def srgb_to_linear(srgb: Pixels) -> Pixels:
    """Linear light for sRGB values (IEC 61966-2-1), both in [0, 1], any shape."""
    return np.where(
        srgb <= 0.04045, srgb / 12.92, ((np.maximum(srgb, 0.04045) + 0.055) / 1.055) ** 2.4
    ).astype(np.float32)


def linear_to_srgb(linear: Pixels) -> Pixels:
    """sRGB values for linear light (IEC 61966-2-1), both in [0, 1], any shape."""
    return np.where(
        linear <= 0.0031308, linear * 12.92, 1.055 * np.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055
    ).astype(np.float32)


def rgb_to_y(rgb: NDArray[Real]) -> NDArray[Real]:
    """Luma (H, W) in [16/255, 235/255] of RGB (H, W, 3) in [0, 1], with the same dtype.

    Computed like MATLAB's rgb2ycbcr (ITU-R BT.601).
    """
    return ((rgb @ np.array([65.481, 128.553, 24.966], rgb.dtype) + 16) / 255).astype(rgb.dtype)


def luma(red: Pixels, green: Pixels, blue: Pixels) -> Pixels:
    """Luma in [0, 1] of encoded RGB values (ITU-R BT.601); exact where the three are equal."""
    value, rest = red - green, blue - green
    value *= np.float32(0.299)
    value += green
    rest *= np.float32(0.114)
    value += rest
    return value


def luma_of(pixels: Pixels) -> Pixels:
    """Luma (h, w) of (C, h, w); the mean of the channels if there are not three of them."""
    if len(pixels) == 3:
        return luma(*pixels)
    mean: Pixels = pixels[0] if len(pixels) == 1 else pixels.mean(axis=0)
    return mean
