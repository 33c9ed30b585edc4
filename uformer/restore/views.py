"""The eight views of a tile: the flips and rotations of the square. An ensemble averages over them."""

from dataclasses import dataclass

import numpy as np

from uformer.image.image import Pixels


@dataclass(frozen=True)
class View:
    """A flip from left to right, followed by quarter turns."""

    flipped: bool
    quarters: int

    def of(self, tile: Pixels) -> Pixels:
        """Return a tile (..., h, w) as this view shows it."""
        return np.rot90(tile[..., ::-1] if self.flipped else tile, self.quarters, axes=(-2, -1))

    def undo(self, tile: Pixels) -> Pixels:
        """Return the tile of which this is the view."""
        turned = np.rot90(tile, -self.quarters, axes=(-2, -1))
        return turned[..., ::-1] if self.flipped else turned


VIEWS = tuple(View(flipped, quarters) for quarters in (0, 2, 1, 3) for flipped in (False, True))
"""All views; the tile itself is the first. The first FEW have its height and width."""
FEW = 4


def views_of(*, ensemble: bool) -> int:
    """Return the number of views whose spread is measured."""
    return len(VIEWS) if ensemble else FEW


class Moments:
    """Mean and spread of the answers (..., C, h, w) to several views, which are added one by one."""

    def __init__(self, first: Pixels) -> None:
        self.first = first
        """The answer to the tile itself."""
        self._count = 1
        self._sum = np.zeros_like(first)
        self._squares = np.zeros_like(first)

    def add(self, answer: Pixels) -> None:
        """Add the answer to another view, turned back."""
        change = answer - self.first  # small, so that its squares keep their precision
        self._count += 1
        self._sum += change
        self._squares += change * change

    @property
    def mean(self) -> Pixels:
        return self.first + self._sum / np.float32(self._count)

    @property
    def spread(self) -> Pixels:
        """The standard deviation (..., 1, h, w), as root mean square of the channels."""
        mean = self._sum / np.float32(self._count)
        variances = self._squares / np.float32(self._count) - mean * mean
        spread: Pixels = np.sqrt(np.maximum(variances.mean(axis=-3, keepdims=True), 0))
        return spread
