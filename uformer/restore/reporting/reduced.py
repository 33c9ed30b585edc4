"""A small copy of an image whose rows arrive from top to bottom."""

import math

import numpy as np

from uformer.image.image import Pixels

SIDE = 800
"""Most pixels of the longer side of a reduced image."""


class Reduced:
    """Sums over square blocks of an image of height x width, or one pixel out of each block.

    `factor`: the side of a block; 1 for an image that is small enough.
    """

    def __init__(self, height: int, width: int, channels: int) -> None:
        self.factor = math.ceil(max(height, width) / SIDE)
        self._rows, self._columns = (
            np.diff(np.append(np.arange(0, side, self.factor), side)) for side in (height, width)
        )
        self.values: Pixels = np.zeros((len(self._rows), len(self._columns), channels), np.float32)

    def add(self, first: int, rows: Pixels) -> None:
        """Add rows (n, W, C), the first of which is row `first` of the image, to the sums."""
        blocks = np.arange(first, first + len(rows)) // self.factor
        starts = np.flatnonzero(np.diff(blocks, prepend=-1))
        lines = np.add.reduceat(rows, starts, axis=0)
        across = np.arange(0, rows.shape[1], self.factor)
        self.values[blocks[starts]] += np.add.reduceat(lines, across, axis=1)

    def mean(self) -> Pixels:
        """Return the mean of each block (h, w, C), from the sums."""
        pixels = self._rows[:, None, None] * self._columns[None, :, None]
        return (self.values / pixels).astype(np.float32)

    def sample(self, first: int, rows: Pixels) -> None:
        """Keep the first pixel of each block instead of a sum."""
        places = np.arange(-first % self.factor, len(rows), self.factor)
        self.values[(first + places) // self.factor] = rows[places, :: self.factor]
