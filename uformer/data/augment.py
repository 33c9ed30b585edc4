"""What is done to patches: flips and quarter turns, patches that photographs seldom show, the border of a picture."""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from uformer.image.image import Pixels


def turn(patch: Pixels, *, quarters: int, flip: bool) -> Pixels:
    """A view of a patch (H, W, C), flipped or not, then turned by quarters: the paper's augmentation (CVPR 2022, section 4.1)."""
    return np.rot90(patch[:, ::-1] if flip else patch, quarters)


def draw_gradient(rng: Generator, side: int) -> Pixels:
    """A smooth picture (side, side, 3) of 8-bit levels in [0, 1], flat half of the time.

    Photographs seldom show such; drawings and scans are full of it.
    """
    flat, slope = rng.random(3), rng.uniform(-0.5, 0.5, (2, 3)) * (rng.random() < 0.5)
    at = np.linspace(-0.5, 0.5, side)
    picture = flat + at[:, None, None] * slope[0] + at[:, None] * slope[1]
    return (np.rint(np.clip(picture * rng.uniform(1, 1.5), 0, 1) * 255) / 255).astype(np.float32)


def to_gray(patch: Pixels) -> Pixels:
    """The mean of the channels, in all of them."""
    return np.repeat(patch.mean(axis=2, keepdims=True), patch.shape[2], axis=2)


def border(rng: Generator, side: int) -> NDArray[np.intp]:
    """(side,) rows, or columns, of a patch that ends at the border of a picture, which goes on mirrored as `uformer restore` extends it.

    A third each: before the border, behind it, and as it is. 8 pixels are mirrored, at times up to 24, at most a quarter of the patch.
    """
    at = np.arange(side)
    mirrored = np.abs(at - min(8 if rng.random() < 0.6 else int(rng.integers(8, 25)), side // 4))
    return (mirrored, side - 1 - mirrored[::-1], at)[int(rng.integers(3))]
