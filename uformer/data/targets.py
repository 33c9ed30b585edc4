"""Inputs and targets for learning without clean images, drawn from noisy patches.

Each function makes what a network sees and what it should predict from a pair of patches (H, W, C) in [0, 1]:
two noisy takes of the same scene, or twice the same noisy patch. Where NaN stands in a target, the network's
prediction does not count. `uformer.train.objectives` has the losses that go with them.
"""

import types
from collections.abc import Callable, Mapping

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from uformer.image.image import Pixels

CELL = 8
"""Side of the square cells that have one blind spot each, in pixels."""

_OTHERS = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1) if (down, right) != (0, 0)]


def noise2noise(first: Pixels, second: Pixels, rng: Generator) -> tuple[Pixels, Pixels]:
    """Return two noisy takes of the same scene as (input, target), in either order.

    Noise2Noise (Lehtinen et al., ICML 2018, section 2, equation 6) minimises the sum of L(f(x_i), y_i) over
    pairs in which the target y_i is noisy too. With L the squared difference, the result is the same as with
    clean targets, if the noise of y_i has zero mean and does not depend on the noise of x_i.
    """
    return (first, second) if rng.random() < 0.5 else (second, first)


def noise2void(noisy: Pixels, _same: Pixels, rng: Generator) -> tuple[Pixels, Pixels]:
    """Return (noisy patch with blind spots, target). The target has values at the blind spots only.

    Noise2Void (Krull et al., CVPR 2019, sections 3.4 and 3.5) minimises the sum of (f(x~)_i - x_i)^2 over
    the blind spots i. The input x~ is the noisy image x with other values at the blind spots, so f cannot see
    the value x_i that it should predict. As in section 3.5, one blind spot is drawn in each cell of a grid
    (stratified sampling), 64 in a patch of 64 x 64 pixels.

    The median of the eight neighbours replaces a blind spot; the pixel itself is left out of it, and so are
    neighbours that are blind spots too. N2V2 (Hoeck et al., ECCV workshops 2022) found this replacement
    better than a random neighbour. All channels of a blind spot are replaced, because the channels of a
    photograph share noise.
    """
    at = draw_blind_spots(noisy.shape[0], noisy.shape[1], rng)
    seen = noisy.copy()
    seen[at] = np.nan
    seen[at] = median_of_neighbors(seen, *at)
    target = np.full_like(noisy, np.nan)
    target[at] = noisy[at]
    return seen, target


def neighbor2neighbor(noisy: Pixels, _same: Pixels, rng: Generator) -> tuple[Pixels, Pixels]:
    """Return (noisy patch of even sides, picks of the neighbour sub-sampler).

    Neighbor2Neighbor (Huang et al., CVPR 2021, section 4.1) divides an image into cells of 2 x 2 pixels. The
    sub-sampler picks two neighbours in each cell at random: the first goes to the sub-image g1, the second to
    g2. The picks, (H / 2, W / 2, 2), are positions in a cell: 0 1 above, 2 3 below.
    """
    height, width = (length - length % 2 for length in noisy.shape[:2])
    first = rng.integers(0, 4, (height // 2, width // 2))
    # The neighbour of a pixel beside it differs in the lower bit, the one above or below in the upper bit.
    second = first ^ rng.integers(1, 3, first.shape)
    return noisy[:height, :width], np.stack([first, second], axis=2).astype(np.float32)


Make = Callable[[Pixels, Pixels, Generator], tuple[Pixels, Pixels]]
TARGETS: Mapping[str, Make] = types.MappingProxyType(
    {make.__name__: make for make in (noise2noise, noise2void, neighbor2neighbor)}
)
"""The functions by name."""


def draw_blind_spots(height: int, width: int, rng: Generator) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return (rows, columns) of one random pixel in each whole cell of CELL x CELL pixels.

    An image without a whole cell has one blind spot.
    """
    rows, columns = max(height // CELL, 1), max(width // CELL, 1)
    down, right = rng.integers(0, (min(CELL, height), min(CELL, width)), (rows, columns, 2)).transpose(
        2, 0, 1
    )
    at = CELL * np.arange(rows)[:, None] + down, CELL * np.arange(columns) + right
    return at[0].ravel(), at[1].ravel()


def median_of_neighbors(image: Pixels, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Pixels:
    """Return the median of the eight pixels around each of n pixels, for each channel: (n, C).

    Neighbours that are NaN do not count. Beyond its border, the image is reflected without repeating the
    pixels of the border.
    """
    width = [(1, 1), (1, 1), (0, 0)]
    padded = np.pad(image, width, mode="reflect" if min(image.shape[:2]) > 1 else "edge")
    around = np.stack([padded[rows + 1 + down, columns + 1 + right] for down, right in _OTHERS])
    median: Pixels = np.nanmedian(around, axis=0).astype(np.float32)
    return median
