"""PSNR and SSIM of a restored image against the clean one, in each variant that published results use.

Images are (H, W, C) float, with 1 for the largest value of an integer type. All sums are in float64.
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
    data_range: float = 1.0,
    luma: bool = False,
    luma_rounded: bool = False,
    border: int = 0,
    rounded: bool = True,
    depth: int = 8,
) -> float:
    """Peak signal-to-noise ratio in dB; infinite if the images are equal.

    `data_range`: the peak, 1 for images in [0, 1]. For the other arguments and errors, see `comparable`.
    """
    a, b = comparable(
        restored, clean, luma=luma, luma_rounded=luma_rounded, border=border, rounded=rounded, depth=depth
    )
    error = float(np.mean((a - b) ** 2))
    return -10 * math.log10(error / data_range**2) if error else math.inf


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
    depth: int = 8,
) -> float:
    """Structural similarity (Wang et al., IEEE TIP 13(4), 2004, equation 13, K1 = 0.01, K2 = 0.03).

    It is 1 if the images are equal.

    - `window` "gaussian": 11 x 11 weights with a standard deviation of 1.5, at the positions where the window
      lies inside the image; mean over positions and channels. Same as the authors' ssim_index.m, and as
      scikit-image with gaussian_weights and without use_sample_covariance.
    - "uniform": 7 x 7 equal weights and unbiased covariances, otherwise the same. The default of
      scikit-image.
    - "matlab": MATLAB's ssim of an RGB array, which treats the channels as a third dimension: Gaussian
      weights over 11 x 11 x 11, edges replicated, mean over every position.

    `data_range`: L in the paper, 1 for images in [0, 1]. Before 0.20, scikit-image took 2 for float
    images by default.

    For the other arguments and errors, see `comparable`. Also raises ValueError for an image smaller than the
    window.
    """
    a, b = comparable(
        restored, clean, luma=luma, luma_rounded=luma_rounded, border=border, rounded=rounded, depth=depth
    )
    return float(ssim_map(a, b, window=window, data_range=data_range).mean())


def comparable(
    restored: NDArray[Any],
    clean: NDArray[Any],
    *,
    luma: bool,
    luma_rounded: bool,
    border: int,
    rounded: bool,
    depth: int,
) -> tuple[Array, Array]:
    """Both images as a protocol compares them, (H, W, C) each; C is 1 with `luma`.

    - `depth`: bits per sample of the restored image's file: 8, 16, or 32 for float. The restored image is
      clipped to [0, 1], as an integer file would; with 32 bits it is neither clipped nor rounded.
    - `rounded`: first round the restored image to the levels of that depth.
    - `luma`: compare Y alone, as MATLAB's rgb2ycbcr computes it (deraining).
    - `luma_rounded`: round Y to 8-bit levels, as rgb2ycbcr does for uint8.
    - `border`: pixels to leave out on every side.

    Raises ValueError if the shapes differ or if the border leaves nothing.
    """
    if restored.shape != clean.shape:
        raise ValueError(f"images of different shapes: {restored.shape} and {clean.shape}")
    if border < 0 or 2 * border >= min(clean.shape[:2]):
        raise ValueError(
            f"border: {border} leaves nothing of an image of {clean.shape[0]} x {clean.shape[1]} pixels"
        )
    shown = restored if depth == 32 else np.clip(restored, 0, 1)
    if rounded and depth != 32:
        levels = 2**depth - 1
        shown = np.rint(shown * levels) / levels
    inside = np.s_[border : clean.shape[0] - border, border : clean.shape[1] - border]
    a, b = (image[inside].astype(np.float64) for image in (shown, clean))
    if luma:
        a, b = (rgb_to_y(image)[..., None] for image in (a, b))
        if luma_rounded:
            a, b = (np.rint(image * 255) / 255 for image in (a, b))
    return a, b


def ssim_map(a: Array, b: Array, *, window: Window, data_range: float) -> Array:
    """SSIM at each position of the window.

    The shape is (H - 10, W - 10, C) for "gaussian", (H - 6, W - 6, C) for "uniform" and (H, W, C) for
    "matlab".
    """
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
            np.pad(image, ((GAUSSIAN_RADIUS,) * 2, (GAUSSIAN_RADIUS,) * 2, (0, 0)), mode="edge")
            for image in (a, b)
        )
    if min(a.shape[:2]) < len(weights):
        raise ValueError(
            f"an image of {a.shape[0]} x {a.shape[1]} pixels is smaller than the window of SSIM, "
            f"{len(weights)} x {len(weights)}"
        )
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    middle = b.mean()
    a, b = a - middle, b - middle  # else the squares of large counts would leave no digits for the variance
    mean_a, mean_b = _filter(a, weights, mix), _filter(b, weights, mix)
    # The sum of the variances of both images.
    variance = scale * (_filter(a * a + b * b, weights, mix) - mean_a**2 - mean_b**2)
    covariance = scale * (_filter(a * b, weights, mix) - mean_a * mean_b)
    mean_a, mean_b = mean_a + middle, mean_b + middle
    return ((2 * mean_a * mean_b + c1) * (2 * covariance + c2)) / (
        (mean_a**2 + mean_b**2 + c1) * (variance + c2)
    )


def _filter(image: Array, weights: Array, mix: Array | None) -> Array:
    """Correlate rows and columns with the weights where they lie inside the image; then `mix` channels."""
    for axis in (0, 1):
        length = image.shape[axis] - len(weights) + 1
        slices = [
            image[start : start + length] if axis == 0 else image[:, start : start + length]
            for start in range(len(weights))
        ]
        image = sum(
            (weight * each for weight, each in zip(weights, slices, strict=True)), np.zeros_like(slices[0])
        )
    return image if mix is None else image @ mix.T


def _across_channels(weights: Array, channels: int) -> Array:
    """The (C, C) matrix that correlates the channels with the weights, replicating the outer channels."""
    matrix = np.zeros((channels, channels))
    for channel in range(channels):
        at = np.clip(np.arange(len(weights)) + channel - len(weights) // 2, 0, channels - 1)
        np.add.at(matrix[channel], at, weights)
    return matrix
