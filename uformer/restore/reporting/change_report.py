"""Measures what a restoration changed: tones, clipping, and how far each pixel moved.

All figures are in levels: 255 levels from black to white, whatever the bit depth. Rows are added from top to
bottom, so an image need not be in memory.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uformer.image.image import Image, Pixels
from uformer.image.value_range import ValueRange, peak
from uformer.restore.reporting.reduced import Reduced

LEVELS = 255
STEPS = (1, 4, 16)
"""The report says how many pixels changed by more than these numbers of levels."""

_EDGE = 0.5  # values nearer to black or white than this are clipped, in levels
_ROWS = 64
_FINE = 16  # bins per level, for shares and percentiles of the change


@dataclass(frozen=True, kw_only=True)
class ChannelChange:
    """What happened to one channel. Shares are from 0 to 1."""

    name: str
    mean_before: float
    mean_after: float
    histogram_shift: float
    """How far the values have to move, on average, to turn one histogram into the other."""
    black_before: float
    """Share of clipped pixels."""
    black_after: float
    white_before: float
    white_after: float
    histogram_before: tuple[int, ...]
    """Number of pixels for each of the levels 0 to 255."""
    histogram_after: tuple[int, ...]

    def as_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "mean": shift(self.mean_before, self.mean_after),
            "histogram_shift": rounded(self.histogram_shift),
            "clipped_black": shift(self.black_before, self.black_after),
            "clipped_white": shift(self.white_before, self.white_after),
            "histogram": {"before": list(self.histogram_before), "after": list(self.histogram_after)},
        }


@dataclass(frozen=True, kw_only=True, eq=False)
class ChangeReport:
    """What a restoration changed. `draw` in `report_image` makes an image of it."""

    width: int
    height: int
    channels: tuple[ChannelChange, ...]
    changed: dict[int, float]
    """Share of pixels of which a channel changed by more than so many levels."""
    largest: float
    """The largest change of a value."""
    usual: float
    """The change that 99% of the pixels do not exceed."""
    views: int | None
    """Number of views whose spread is the trust map; None if there is none."""
    spread: dict[str, float] | None
    """Mean, largest and usual spread, and the share of pixels that exceed each of STEPS."""
    before: Pixels
    """The images that `draw` shows: (h, w, C) in [0, 1], reduced if the image is large."""
    after: Pixels
    difference: Pixels
    """After minus before: of a reduced image, one pixel out of each block rather than their mean."""
    trust: Pixels | None
    """The spread (h, w) as root mean square of each block; None if it was not measured."""
    reduced: int
    """Pixels of the image for one of these, in each direction."""

    def as_dict(self) -> dict[str, Any]:
        """Return the figures, as the JSON file of a report holds them."""
        return {
            "width": self.width,
            "height": self.height,
            "levels": LEVELS,
            "channels": [channel.as_dict() for channel in self.channels],
            "changed_by_more_than": {str(step): rounded(share) for step, share in self.changed.items()},
            "largest_change": rounded(self.largest),
            "trust": None if self.spread is None else {"views": self.views, **self.spread},
        }


class Recorder:
    """Collects the rows of an image before and after a restoration, and makes the report.

    `views`: the number of views whose spread is measured.
    """

    def __init__(self, *, views: int) -> None:
        self._views = views

    def begin(self, height: int, width: int, channels: int) -> None:
        """Set the size of the image, before anything is added."""
        self._shape = height, width, channels
        self._forget_rows()
        self._forget_spread()

    def _forget_rows(self) -> None:
        height, width, channels = self._shape
        self._before, self._after, self._difference = (Reduced(height, width, channels) for _ in range(3))
        self._histograms = np.zeros((2, channels, LEVELS + 1), np.int64)
        self._sums, self._clipped = np.zeros((2, channels)), np.zeros((2, 2, channels), np.int64)
        self._moved = _Fine()

    def _forget_spread(self) -> None:
        height, width, _ = self._shape
        self._trust, self._spreads, self._rows_of_spread = Reduced(height, width, 1), _Fine(), 0

    def add(self, first: int, before: Pixels, after: Pixels) -> None:
        """Add rows (n, W, C) in [0, 1], the first of which is row `first`. Row 0 starts anew."""
        if first == 0:
            self._forget_rows()
        self._before.add(first, before)
        self._after.add(first, after)
        change = after - before
        self._difference.sample(first, change)
        self._moved.add(np.abs(change).max(axis=2))
        for which, rows in enumerate((before, after)):
            levels = rows * np.float32(LEVELS)
            self._sums[which] += levels.sum(axis=(0, 1), dtype=np.float64)
            self._clipped[which, 0] += np.count_nonzero(levels < _EDGE, axis=(0, 1))
            self._clipped[which, 1] += np.count_nonzero(levels > LEVELS - _EDGE, axis=(0, 1))
            whole = np.clip(np.rint(levels), 0, LEVELS).astype(np.intp)
            for channel in range(whole.shape[2]):
                counts = np.bincount(whole[..., channel].ravel(), minlength=LEVELS + 1)
                self._histograms[which, channel] += counts

    def add_image(self, before: Image, after: Image, used: ValueRange) -> None:
        """Add all rows of an image."""
        self.add_values(0, before.values, after.values, before.depth, used)

    def add_values(self, first: int, before: Pixels, after: Pixels, depth: int, used: ValueRange) -> None:
        """Add rows (n, W, C) of values as an image holds them, a few at a time.

        Values of 8 and 16 bits are rounded as in a file. `used`: the values that count as black to white.
        """
        top = np.float32(peak(depth))
        for start in range(0, len(before), _ROWS):
            old, new = before[start : start + _ROWS], after[start : start + _ROWS]
            if depth != 32:
                new = np.rint(np.clip(new, 0, 1) * top) / top
            self.add(first + start, used.to_unit(old), used.to_unit(new))

    def add_spread(self, first: int, spread: Pixels) -> None:
        """Add rows (n, W) of the spread, in [0, 1]. Row 0 starts anew."""
        if first == 0:
            self._forget_spread()
        self._rows_of_spread += len(spread)
        self._spreads.add(spread)
        self._trust.add(first, (spread * spread)[..., None])

    def report(self) -> ChangeReport:
        """Return the report on the rows that were added."""
        height, width, channels = self._shape
        names = ("red", "green", "blue") if channels == 3 else ("gray",)
        measured = self._rows_of_spread == height
        return ChangeReport(
            width=width,
            height=height,
            channels=tuple(self._channel(number, name) for number, name in enumerate(names)),
            changed={step: self._moved.share_above(step) for step in STEPS},
            largest=self._moved.largest,
            usual=self._moved.percentile(99),
            views=self._views if measured else None,
            spread=self._spreads.as_dict() if measured else None,
            before=self._before.mean(),
            after=self._after.mean(),
            difference=self._difference.values,
            trust=np.sqrt(self._trust.mean()[..., 0]) if measured else None,
            reduced=self._before.factor,
        )

    def _channel(self, number: int, name: str) -> ChannelChange:
        pixels = self._shape[0] * self._shape[1]
        before, after = self._histograms[:, number]
        shares = self._clipped[:, :, number] / pixels
        return ChannelChange(
            name=name,
            mean_before=float(self._sums[0, number] / pixels),
            mean_after=float(self._sums[1, number] / pixels),
            histogram_shift=float(np.abs(np.cumsum(before - after)).sum() / pixels),
            black_before=float(shares[0, 0]),
            black_after=float(shares[1, 0]),
            white_before=float(shares[0, 1]),
            white_after=float(shares[1, 1]),
            histogram_before=tuple(before.tolist()),
            histogram_after=tuple(after.tolist()),
        )


class _Fine:
    """A fine histogram of values in [0, 1], whose figures are in levels."""

    def __init__(self) -> None:
        self._counts = np.zeros(LEVELS * _FINE + 2, np.int64)
        self._above = dict.fromkeys(STEPS, 0)
        self._sum, self.largest = 0.0, 0.0

    def add(self, values: Pixels) -> None:
        levels = values * np.float32(LEVELS)
        bins = np.ceil(np.clip(levels, 0, LEVELS) * _FINE).astype(np.intp)
        self._counts += np.bincount(bins.ravel(), minlength=len(self._counts))
        self._sum += float(levels.sum(dtype=np.float64))
        self.largest = max(self.largest, float(levels.max()))
        for step in STEPS:
            self._above[step] += int(np.count_nonzero(levels > step + 1e-3))  # rounding is not a change

    def share_above(self, step: int) -> float:
        return self._above[step] / max(int(self._counts.sum()), 1)

    def percentile(self, percent: float) -> float:
        """Return the value that `percent` of the values do not exceed, rounded up to 1/16 of a level."""
        reached: NDArray[np.bool_] = np.cumsum(self._counts) >= percent / 100 * self._counts.sum()
        return float(np.argmax(reached) / _FINE)

    def as_dict(self) -> dict[str, Any]:
        return {
            "mean": rounded(self._sum / max(int(self._counts.sum()), 1)),
            "99_percent": rounded(self.percentile(99)),
            "largest": rounded(self.largest),
            "more_than": {str(step): rounded(self.share_above(step)) for step in STEPS},
        }


def shift(before: float, after: float) -> dict[str, float]:
    """Return both values and their difference, as a report shows them."""
    return {"before": rounded(before), "after": rounded(after), "shift": rounded(after - before)}


def rounded(value: float) -> float:
    """Return a value with six decimals, without a negative zero."""
    return round(value, 6) + 0.0 if math.isfinite(value) else value
