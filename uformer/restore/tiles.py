"""Tiles: cut a picture into overlapping pieces of one size, and blend the restored pieces into one. Pure geometry.

Pictures and tiles are (C, H, W) float32. A tile's sides are multiples of the network's own (`UformerConfig.multiple`), and
the picture is extended by reflection to fit: by `margin` pixels at the top and left and at least so many at the bottom and right,
since the network pads its features with zeros, and so a flat picture would not come back flat near its border.

Tiles start where the attention windows of all but the two lowest levels lie as they would in the whole picture, or tiles and whole
would differ by more than rounding.

Both `cut` and `blend` go from top to bottom and hold one row of tiles, so that a picture need not be in memory.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uformer.errors import OptionError

Pixels = NDArray[np.float32]
Rows = Callable[[int, int], Pixels]
"""Gives the rows of a picture from the first to before the last: (C, last - first, W)."""

_FEW = (
    128  # pixels between the sides that a free plan picks from, as each pair of sides is a graph to compile
)


@dataclass(frozen=True)
class Axis:
    """How one side of a picture, `length` pixels, is covered by tiles of `tile` pixels.

    `starts` count from where the extended picture begins, `margin` pixels before the picture.
    """

    length: int
    tile: int
    starts: tuple[int, ...]
    margin: int = 0

    @property
    def padded(self) -> int:
        """Length that the tiles cover, at least margin + length + margin."""
        return self.starts[-1] + self.tile

    def weights(self) -> list[NDArray[np.float32]]:
        """For each tile, (tile,) weights that add up to one at every pixel: cosine slopes where neighbours overlap."""
        slopes = np.ones((len(self.starts), self.tile))
        for left, (start, following) in enumerate(zip(self.starts, self.starts[1:], strict=False)):
            overlap = start + self.tile - following
            rise = (
                np.sin(0.5 * np.pi * (np.arange(overlap) + 0.5) / overlap) ** 2
            )  # rise + reversed rise is one
            slopes[left + 1, :overlap] *= rise
            slopes[left, self.tile - overlap :] *= rise[::-1]
        total = np.zeros(self.padded)
        for start, slope in zip(self.starts, slopes, strict=True):
            total[start : start + self.tile] += slope
        return [
            (slope / total[start : start + self.tile]).astype(np.float32)
            for start, slope in zip(self.starts, slopes, strict=True)
        ]

    def source(self, start: int) -> NDArray[np.intp]:
        """(tile,) which pixel of the picture each of a tile's is: extended by reflection, repeated where the picture is smaller."""
        period = max(2 * self.length - 2, 1)
        at = np.arange(start - self.margin, start - self.margin + self.tile) % period
        return np.where(at < self.length, at, period - at)

    def inside(self, start: int) -> tuple[slice, slice]:
        """The part of the picture that a tile holds without extension, and the part of the tile where it lies."""
        first = min(max(start - self.margin, 0), self.length)
        last = max(min(start - self.margin + self.tile, self.length), first)
        return slice(first, last), slice(first + self.margin - start, last + self.margin - start)


@dataclass(frozen=True)
class TilePlan:
    """The tiles of a picture: every pair of a row and a column of tiles."""

    rows: Axis
    columns: Axis

    @property
    def count(self) -> int:
        return len(self.rows.starts) * len(self.columns.starts)

    @property
    def tile(self) -> tuple[int, int]:
        """Height and width of the tiles."""
        return self.rows.tile, self.columns.tile


def plan_axis(
    length: int, *, tile: int, overlap: int, multiple: int, align: int = 1, margin: int = 0
) -> Axis:
    """Cover `length` pixels and their margins with tiles of at most `tile`, each sharing at least `overlap` with the next.

    A side that fits in one tile gets one, no longer than needed. Tiles are rounded up to a multiple of `multiple`, and start
    at multiples of `align`, which divides it. Raises OptionError for a length or tile below 1, or an overlap that leaves nothing
    new in a tile.
    """
    if length < 1 or tile < 1 or overlap < 0:
        raise OptionError(
            f"tile {tile}, overlap {overlap}, length {length}: tile and length must be at least 1, overlap at least 0"
        )
    tile = _up(tile, multiple)
    step = (tile - overlap) // align * align
    if step < 1:
        raise OptionError(f"overlap: {overlap} is too much for a tile of {tile}; at most {tile - align} here")
    extended = length + 2 * margin
    if extended <= tile:
        return Axis(length, _up(extended, multiple), (0,), margin)
    last = _up(extended - tile, align)
    count = math.ceil(last / step) + 1
    even = [last * k / (count - 1) / align for k in range(count)]
    return Axis(length, tile, tuple(round(start) * align for start in even), margin)


def plan_tiles(
    height: int, width: int, *, tile: int, overlap: int, multiple: int, align: int = 1, margin: int = 0
) -> TilePlan:
    """Tiles for a picture of height x width pixels; arguments and errors as of `plan_axis`."""
    return TilePlan(
        *(
            plan_axis(side, tile=tile, overlap=overlap, multiple=multiple, align=align, margin=margin)
            for side in (height, width)
        )
    )


def plan_freely(
    height: int, width: int, *, largest: int, overlap: int, multiple: int, align: int = 1, margin: int = 0
) -> TilePlan:
    """As `plan_tiles`, with the sides of tiles, from half of `largest` to `largest`, that leave the fewest pixels to compute.

    Of equals the larger, on each axis for itself: 1080 pixels take two tiles of 640 (1280) rather than three of 512 (1536).
    """

    def axis(length: int) -> Axis:
        sides = range(
            _up(largest, multiple), max(largest // 2, min(overlap + align, largest) - 1), -_up(_FEW, multiple)
        )
        axes = [
            plan_axis(length, tile=side, overlap=overlap, multiple=multiple, align=align, margin=margin)
            for side in sides
        ]
        return min(axes, key=lambda axis: len(axis.starts) * axis.tile)

    return TilePlan(axis(height), axis(width))


def cut(read: Rows, plan: TilePlan) -> Iterator[Pixels]:
    """The tiles (C, h, w) of a picture, row by row; `read` is asked for the rows of a row of tiles at a time."""
    columns = [plan.columns.source(left) for left in plan.columns.starts]
    for top in plan.rows.starts:
        rows = plan.rows.source(top)
        first = int(rows.min())
        band = read(first, int(rows.max()) + 1)
        for across in columns:
            yield band[:, (rows - first)[:, None], across]


def blend(tiles: Iterator[Pixels], plan: TilePlan) -> Iterator[tuple[int, Pixels]]:
    """The picture that restored tiles (C, h, w), in the order of `cut`, make together, as soon as its rows are finished.

    Yields the number of the first row and the rows (C, n, W), from top to bottom without a gap; they are good until the next are
    asked for.
    """
    rows, columns = plan.rows, plan.columns
    ends = [*rows.starts[1:], rows.padded]
    slopes = columns.weights()
    band: Pixels = np.empty((0, 0, 0), np.float32)  # of the height of a tile, once the first has come
    for top, end, row_weights in zip(rows.starts, ends, rows.weights(), strict=True):
        for left, column_weights in zip(columns.starts, slopes, strict=True):
            tile = next(tiles)
            if not band.size:
                band = np.zeros((tile.shape[0], rows.tile, columns.length), np.float32)
            at, of = columns.inside(left)
            band[:, :, at] += tile[:, :, of] * (row_weights[:, None] * column_weights[of])
        at, _ = rows.inside(top)
        finished = band[:, max(rows.margin - top, 0) : max(min(end, rows.margin + rows.length) - top, 0)]
        if finished.shape[1]:
            yield at.start, finished
        kept = rows.tile - (end - top)  # rows that later tiles add to
        band[:, :kept] = band[:, end - top :].copy()
        band[:, kept:] = 0


def _up(length: int, multiple: int) -> int:
    return math.ceil(length / multiple) * multiple
