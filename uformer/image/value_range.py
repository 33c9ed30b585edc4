"""The range of values that is scaled to [0, 1] for a network: all of it, or the part that an image uses.

A network was trained on photos, which use most of the range. A 16-bit image with counts from 100 to 400 is
almost black to it. Such data is scaled so that the range in use becomes [0, 1], restored, and scaled back.
What lies outside the range (hot pixels, bright stars) is added again unchanged.

Values are pixels as `Image.values` has them: 1 is the largest value of an integer type, and float values are
as in the file. They are float32, or float64 for samples with more bits than float32 holds.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from uformer.errors import OptionError, PictureError
from uformer.image.image import Pixels
from uformer.image.samples import Samples, Values, depth_of, values_of
from uformer.notices import Notify, ignore

T = TypeVar("T")
Real = TypeVar("Real", np.float32, np.float64)

FULL_SHARE = 0.25
"""Data that uses less of the range than this (14 of 16 bits) is scaled; a photo uses more."""

MOST_OUTSIDE = 0.05
"""Share of float values that may lie outside [0, 1] in the full range; if there are more, white is not 1."""

OUTLIERS = 0.002
"""Share of float values outside [0, 1] that are kept as they are; if there are more (noise that was not
clipped, highlights), the network sees them."""

NOT_SAMPLED: Pixels = np.zeros((1, 1, 1), np.float32)
"""Stands for the values of an image whose range does not depend on them; see `depends_on_values`."""

MOST_PLANES = 64
"""Planes of a stack, evenly spread, from which their range is found."""

_DIGITS = 6  # of the width of a range, to which its limits are told
_TAIL = 1  # percent of the values on each side that do not decide about the range
_REACH = 0.5  # how far the range extends beyond the other values, as a share of their width
_SAMPLED = 2**20  # pixels from which a range is found


@dataclass(frozen=True)
class ValueRange:
    """The values from `low` to `high`, which a network sees as 0 to 1."""

    low: float = 0.0
    high: float = 1.0

    @property
    def width(self) -> float:
        return self.high - self.low

    def to_unit(self, values: NDArray[Real]) -> Pixels:
        """Return the values scaled to [0, 1] and clipped, as float32; the same array if nothing changes."""
        if self == FULL and values.min() >= 0 and values.max() <= 1:
            return values.astype(np.float32, copy=False)
        return np.clip((values - self.low) / self.width, 0, 1).astype(np.float32, copy=False)

    def from_unit(self, restored: Pixels, values: NDArray[Real]) -> NDArray[Real]:
        """Return restored pixels as values, plus what the values before had outside the range.

        Where a pixel is as it was, so is its value, to the last bit.
        """
        unit = self.to_unit(values)
        if unit is values:
            return restored.astype(values.dtype, copy=False)
        return values + ((restored - unit) * self.width).astype(values.dtype, copy=False)

    def samples(self, depth: int) -> tuple[float, float]:
        """Return low and high in the units of a file with this bit depth."""
        low, high = (value * peak(depth) for value in (self.low, self.high))
        if depth != 32:
            return round(low), round(high)
        places = _DIGITS - 1 - math.floor(math.log10(high - low))
        return round(low, places), round(high, places)

    def reported(self, depth: int) -> tuple[float, float] | None:
        """Return `samples` for what users are told: None for the full range."""
        return None if self == FULL else self.samples(depth)


FULL = ValueRange()


def peak(depth: int) -> float:
    """Return the value of a file's samples that is 1 in `Image.values`."""
    return 1 if depth == 32 else 2**depth - 1


def check(asked: str) -> str:
    """Return a range as a user writes it: auto, full or LOW:HIGH. Raises OptionError for another text."""
    if asked not in ("auto", "full"):
        _limits(asked)
    return asked


def choose(asked: str, sample: Values, depth: int) -> ValueRange:
    """Return the range for an image of which `sample` has some values; see `sampled`.

    `asked`: auto, full, or LOW:HIGH in the units of the file. auto is the full range for 8 bits, and for
    images that use more than FULL_SHARE of it and have at most OUTLIERS outside.
    """
    if asked == "full" or (asked == "auto" and depth == 8):
        return FULL
    if asked != "auto":
        low, high = _limits(asked)
        return ValueRange(low / peak(depth), high / peak(depth))
    used = used_range(sample)
    within = depth != 32 or share_outside(sample) <= OUTLIERS
    return FULL if used is None or (within and used.width > FULL_SHARE) else used


def choose_for(asked: str, sample: Values, depth: int, *, notify: Notify) -> ValueRange:
    """Return `choose`, and call `notify` if float values outside [0, 1] are kept as they are.

    Raises PictureError if the full range is requested for too many of them.
    """
    used = choose(asked, sample, depth)
    if used == FULL and depth == 32 and (share := share_outside(sample)):
        if asked == "full" and share > MOST_OUTSIDE:
            raise PictureError(
                f"the image has samples from {sample.min():g} to {sample.max():g}, {share:.0%} "
                "of them outside 0 to 1; use --range auto or LOW:HIGH, or scale them so that white is 1"
            )
        notify("the image has samples outside 0 to 1; the excess is kept unchanged")
    return used


def depends_on_values(asked: str, depth: int) -> bool:
    """Return whether `choose_for` looks at the values: for auto, and for types that have no white."""
    return depth == 32 or (asked == "auto" and depth != 8)


def range_of_samples(samples: Samples, asked: str) -> ValueRange:
    """Return the range of the samples (H, W, C) of an image, as restoring it finds it.

    Raises PictureError as `choose_for` does.
    """
    depth = depth_of(samples.dtype)
    return choose_for(asked, values_of(sampled(samples)), depth, notify=ignore)


def used_range(sample: Values) -> ValueRange | None:
    """Return the range that most values use, with some room for the others; None if all are the same.

    A percentile alone would cut off the peaks of small objects, and the extremes would let one hot pixel
    decide.
    """
    least, most = float(sample.min()), float(sample.max())
    low, high = (float(value) for value in np.percentile(sample, (_TAIL, 100 - _TAIL)))
    room = _REACH * (high - low)
    if room > 0:
        least, most = max(least, low - room), min(most, high + room)
    # A width near the precision of the values would divide by almost nothing.
    narrow = 8 * float(np.finfo(sample.dtype).eps) * max(abs(least), abs(most))
    return ValueRange(least, most) if most - least > narrow else None


def share_outside(sample: Values) -> float:
    """Return the share of the values outside [0, 1]."""
    return float(np.count_nonzero((sample < 0) | (sample > 1)) / sample.size)


def step(height: int, width: int) -> int:
    """Return n, if every n-th row and column of an image is enough to find its range."""
    return max(math.isqrt(height * width // _SAMPLED), 1)


def sampled(values: Values) -> Values:
    """Return the values (H, W, C) from which a range is found."""
    every = step(*values.shape[:2])
    return values[::every, ::every]


def sampled_planes(
    planes: Sequence[T],
    read: Callable[[T, int], Values],
    *,
    size: tuple[int, int],
    asked: str,
    depth: int,
) -> Values:
    """Return the values (N, 1, C) from which the range that all planes of a stack share is found.

    `read`: returns every n-th row and column of a plane, (h, w, C). It is not called if the range does not
    depend on the values.
    """
    if not depends_on_values(asked, depth):
        return NOT_SAMPLED
    chosen = evenly(planes, MOST_PLANES)
    every = step(size[0] * len(chosen), size[1])
    parts = [read(plane, every) for plane in chosen]
    return np.concatenate([part.reshape(-1, 1, part.shape[2]) for part in parts])


def evenly(items: Sequence[T], most: int) -> list[T]:
    """Return at most `most` of the items, evenly spread."""
    places = np.linspace(0, len(items) - 1, min(most, len(items)))
    return [items[int(place)] for place in places.round()]


def _limits(asked: str) -> tuple[float, float]:
    try:
        low, high = (float(part) for part in asked.split(":"))
        if math.isfinite(low) and low < high < math.inf:
            return low, high
    except ValueError:
        pass
    raise OptionError(f"range: {asked!r} must be auto, full or LOW:HIGH with LOW below HIGH, as in 100:400")
