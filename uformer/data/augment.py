"""Augmentation: flips and quarter turns, smooth drawings, gray patches, and mirrored image borders."""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from uformer.image.image import Pixels


def turn(patch: Pixels, *, quarters: int, flip: bool) -> Pixels:
    """Return a view of a patch (H, W, C), flipped if `flip`, then turned by `quarters` quarter turns.

    This is the paper's augmentation (CVPR 2022, section 4.1).
    """
    return np.rot90(patch[:, ::-1] if flip else patch, quarters)


def draw_gradient(rng: Generator, side: int) -> Pixels:
    """Return a smooth image (side, side, 3) of 8-bit levels in [0, 1], flat half of the time.

    Photographs seldom show smooth areas like these, but drawings and scans are full of them.
    """
    flat, slope = rng.random(3), rng.uniform(-0.5, 0.5, (2, 3)) * (rng.random() < 0.5)
    at = np.linspace(-0.5, 0.5, side)
    image = flat + at[:, None, None] * slope[0] + at[:, None] * slope[1]
    return (np.rint(np.clip(image * rng.uniform(1, 1.5), 0, 1) * 255) / 255).astype(np.float32)


def to_gray(patch: Pixels) -> Pixels:
    """Return the patch with every channel replaced by the mean of the channels."""
    return np.repeat(patch.mean(axis=2, keepdims=True), patch.shape[2], axis=2)


def border(rng: Generator, side: int) -> NDArray[np.intp]:
    """Return row or column indices, (side,), that make a patch end at an image border and continue mirrored.

    `uformer restore` pads images in the same way. The first pixels are mirrored in a third of the draws, the
    last ones in another third, and none in the rest. 8 pixels are mirrored in six draws of ten and 8 to 24 in
    the others, but never more than a quarter of the patch.
    """
    at = np.arange(side)
    mirrored = np.abs(at - min(8 if rng.random() < 0.6 else int(rng.integers(8, 25)), side // 4))
    return (mirrored, side - 1 - mirrored[::-1], at)[int(rng.integers(3))]
