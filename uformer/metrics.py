"""How close a restored picture is to the clean one."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uformer.image.color import rgb_to_y


def psnr(restored: NDArray[Any], clean: NDArray[Any], *, luma: bool = False, border: int = 0, rounded: bool = True) -> float:
    """Peak signal-to-noise ratio in dB of pictures (H, W, C), float in [0, 1]; infinite where they are equal.

    `luma`: on Y alone, as MATLAB's rgb2ycbcr computes it (deraining), else over all channels at once. `border`: pixels left
    out on every side. `rounded`: round the restored picture to 8-bit levels first, as a picture file would. Raises ValueError
    where the shapes differ or the border leaves nothing.
    """
    if restored.shape != clean.shape:
        raise ValueError(f"pictures of different shapes: {restored.shape} and {clean.shape}")
    if border < 0 or 2 * border >= min(clean.shape[:2]):
        raise ValueError(f"border: {border} leaves nothing of a picture of {clean.shape[0]} x {clean.shape[1]}")
    shown = np.clip(restored, 0, 1)
    if rounded:
        shown = np.rint(shown * 255) / 255
    inside = np.s_[border : clean.shape[0] - border, border : clean.shape[1] - border]
    a, b = ((rgb_to_y(picture) if luma else picture)[inside].astype(np.float64) for picture in (shown, clean))
    error = float(np.mean((a - b) ** 2))
    return -10 * math.log10(error) if error else math.inf
