"""How close a restored picture is to the clean one: PSNR and SSIM, in each of the forms in which numbers are published.

Pictures are (H, W, C) float in [0, 1]; the restored one is clipped. All sums are in float64.
"""

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from uformer.image.color import rgb_to_y

Array = NDArray[np.float64]
Window = Literal["gaussian", "uniform", "matlab"]

GAUSSIAN_RADIUS = 5
_UNIFORM_RADIUS = 3


def psnr(
    restored: NDArray[Any],
    clean: NDArray[Any],
    *,
    luma: bool = False,
    luma_rounded: bool = False,
    border: int = 0,
    rounded: bool = True,
) -> float:
    """Peak signal-to-noise ratio in dB, of a peak of 1; infinite where the pictures are equal. Arguments and errors as of `comparable`."""
    a, b = comparable(restored, clean, luma=luma, luma_rounded=luma_rounded, border=border, rounded=rounded)
    error = float(np.mean((a - b) ** 2))
    return -10 * math.log10(error) if error else math.inf


def ssim(
    restored: NDArray[Any],
    clean: NDArray[Any],
    *,
    window: Window = "gaussian",
    data_range: float = 1.0,
    luma: bool = False,
    luma_rounded: bool = False,
    border: int = 0,
    rounded: bool = True,
) -> float:
    """Structural similarity (Wang et al., IEEE TIP 13(4), 2004, equation 13, K1 = 0.01, K2 = 0.03), 1 where the pictures are equal.

    - `window` "gaussian": 11 x 11 weights of standard deviation 1.5, at the positions where the window lies within the picture, the mean
      over the channels; the authors' own ssim_index.m, and scikit-image's with gaussian_weights and without use_sample_covariance.
    - "uniform": 7 x 7 equal weights and unbiased covariances, else alike: what scikit-image computes when it is told nothing.
    - "matlab": MATLAB's ssim of an RGB array, which takes the channels for a third dimension: Gaussian weights over 11 x 11 x 11, the
      picture repeated beyond its edges, the mean over every position.

    `data_range`: L of the paper, 1 for pictures in [0, 1]; scikit-image before 0.20 took 2 for float pictures unless told.
    Other arguments and errors as of `comparable`; ValueError too for a picture smaller than the window.
    """
    a, b = comparable(restored, clean, luma=luma, luma_rounded=luma_rounded, border=border, rounded=rounded)
    return float(ssim_map(a, b, window=window, data_range=data_range).mean())


def comparable(
    restored: NDArray[Any], clean: NDArray[Any], *, luma: bool, luma_rounded: bool, border: int, rounded: bool
) -> tuple[Array, Array]:
    """The two as a protocol compares them, (H, W, C) each; C is 1 with `luma`.

    - `rounded`: round the restored picture to 8-bit levels first, as a picture file would.
    - `luma`: Y alone, as MATLAB's rgb2ycbcr computes it (deraining). `luma_rounded`: to 8-bit levels, as rgb2ycbcr gives for uint8.
    - `border`: pixels left out on every side.

    Raises ValueError where the shapes differ or the border leaves nothing.
    """
    if restored.shape != clean.shape:
        raise ValueError(f"pictures of different shapes: {restored.shape} and {clean.shape}")
    if border < 0 or 2 * border >= min(clean.shape[:2]):
        raise ValueError(
            f"border: {border} leaves nothing of a picture of {clean.shape[0]} x {clean.shape[1]}"
        )
    shown = np.clip(restored, 0, 1)
    if rounded:
        shown = np.rint(shown * 255) / 255
    inside = np.s_[border : clean.shape[0] - border, border : clean.shape[1] - border]
    a, b = (picture[inside].astype(np.float64) for picture in (shown, clean))
    if luma:
        a, b = (rgb_to_y(picture)[..., None] for picture in (a, b))
        if luma_rounded:
            a, b = (np.rint(picture * 255) / 255 for picture in (a, b))
    return a, b


def ssim_map(a: Array, b: Array, *, window: Window, data_range: float) -> Array:
    """SSIM at each position of the window: (H - 10, W - 10, C) for "gaussian", (H - 6, W - 6, C) for "uniform", (H, W, C) for "matlab"."""
    scale, mix = 1.0, None
    if window == "uniform":
        weights = np.full(2 * _UNIFORM_RADIUS + 1, 1 / (2 * _UNIFORM_RADIUS + 1))
        scale = len(weights) ** 2 / (len(weights) ** 2 - 1)
    else:
        at = np.arange(-GAUSSIAN_RADIUS, GAUSSIAN_RADIUS + 1)
        weights = np.exp(-0.5 * (at / 1.5) ** 2)
        weights /= weights.sum()
    if window == "matlab":
        mix = _across_channels(weights, a.shape[2])
        a, b = (
            np.pad(picture, ((GAUSSIAN_RADIUS,) * 2, (GAUSSIAN_RADIUS,) * 2, (0, 0)), mode="edge")
            for picture in (a, b)
        )
    if min(a.shape[:2]) < len(weights):
        raise ValueError(
            f"a picture of {a.shape[0]} x {a.shape[1]} is smaller than the window of SSIM, {len(weights)} x {len(weights)}"
        )
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    mean_a, mean_b = _filter(a, weights, mix), _filter(b, weights, mix)
    variance = scale * (
        _filter(a * a + b * b, weights, mix) - mean_a**2 - mean_b**2
    )  # of both pictures together
    covariance = scale * (_filter(a * b, weights, mix) - mean_a * mean_b)
    return ((2 * mean_a * mean_b + c1) * (2 * covariance + c2)) / (
        (mean_a**2 + mean_b**2 + c1) * (variance + c2)
    )


def _filter(picture: Array, weights: Array, mix: Array | None) -> Array:
    """Correlate rows and columns with the weights, where they lie within the picture; then `mix` the channels."""
    for axis in (0, 1):
        length = picture.shape[axis] - len(weights) + 1
        slices = [
            picture[start : start + length] if axis == 0 else picture[:, start : start + length]
            for start in range(len(weights))
        ]
        picture = sum(
            (weight * each for weight, each in zip(weights, slices, strict=True)), np.zeros_like(slices[0])
        )
    return picture if mix is None else picture @ mix.T


def _across_channels(weights: Array, channels: int) -> Array:
    """The matrix (C, C) that correlates channels with the weights, the first and last channel repeated beyond them."""
    matrix = np.zeros((channels, channels))
    for channel in range(channels):
        at = np.clip(np.arange(len(weights)) + channel - len(weights) // 2, 0, channels - 1)
        np.add.at(matrix[channel], at, weights)
    return matrix
