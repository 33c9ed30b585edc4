"""Cuts an image into overlapping tiles of one size, and blends the restored tiles. Pure geometry.

Images and tiles are (C, H, W) float32. The sides of a tile are multiples of the network's own
(`UformerConfig.multiple`). The image is padded by reflection: by `margin` pixels at the top and left, and by
at least as many at the bottom and right. Without the margin, a flat image would not stay flat near its
border, because the network pads its features with zeros.

Tiles start where the attention windows of all but the two lowest levels lie as they would in the whole image.
Otherwise the tiled result and the untiled one would differ by more than rounding.

Both `cut` and `blend` work from top to bottom and hold one row of tiles, so an image need not be in memory.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from uformer.errors import OptionError
from uformer.image.image import Pixels

Rows = Callable[[int, int], Pixels]
"""`rows(first, last)` returns the rows of an image from `first` up to but not including `last`, (C, n, W)."""

Bands = Iterator[tuple[int, Pixels]]
"""The number of the first row, and the rows (C, n, W), from top to bottom."""

SpreadTo = Callable[[int, Pixels], None]
"""Called with the number of the first row, and the spread of the network's answers in the rows (n, W)."""

_SIDE_STEP = 128
"""Pixels between the tile sides that `plan_freely` tries: each pair of sides is another graph to compile."""

LARGE = 2**22
"""Pixels of an image whose tiles take far longer than another graph: `plan_freely` tries all sides."""

_SMALL_SIDES = (64, 128, 192)
"""Sides of the square tiles for images that fit in one of them. Few sizes, because compiling the network for
another size takes as long as restoring dozens of small images."""

_SQUARE_SIDES = (288, 544)
"""Sides of the square tiles for larger images: 256 and 512, plus 32 for the margins or an overlap."""


@dataclass(frozen=True)
class Axis:
    """How tiles of `tile` pixels cover one axis of an image, `length` pixels long.

    `starts` count from the start of the padded image, `margin` pixels before the image.
    """

    length: int
    tile: int
    starts: tuple[int, ...]
    margin: int = 0

    @property
    def padded(self) -> int:
        """The length that the tiles cover: at least margin + length + margin."""
        return self.starts[-1] + self.tile

    def weights(self) -> list[NDArray[np.float32]]:
        """Return (tile,) weights for each tile: cosine slopes in overlaps, adding up to 1 at every pixel."""
        slopes = np.ones((len(self.starts), self.tile))
        for left, (start, following) in enumerate(zip(self.starts, self.starts[1:], strict=False)):
            overlap = start + self.tile - following
            # rise + reversed rise is 1
            rise = np.sin(0.5 * np.pi * (np.arange(overlap) + 0.5) / overlap) ** 2
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
        """Return (tile,) indices: the pixel of the image behind each pixel of a tile.

        Outside the image, indices are reflected, as often as needed if the image is smaller than the padding.
        """
        period = max(2 * self.length - 2, 1)
        at = np.arange(start - self.margin, start - self.margin + self.tile) % period
        return np.where(at < self.length, at, period - at)

    def inside(self, start: int) -> tuple[slice, slice]:
        """Return the part of the image that a tile holds, without padding, and its place within the tile."""
        first = min(max(start - self.margin, 0), self.length)
        last = max(min(start - self.margin + self.tile, self.length), first)
        return slice(first, last), slice(first + self.margin - start, last + self.margin - start)


@dataclass(frozen=True)
class TilePlan:
    """The tiles of an image: every combination of a row and a column."""

    rows: Axis
    columns: Axis

    @property
    def count(self) -> int:
        return len(self.rows.starts) * len(self.columns.starts)

    @property
    def tile(self) -> tuple[int, int]:
        """Height and width of a tile."""
        return self.rows.tile, self.columns.tile


def plan_axis(
    length: int, *, tile: int, overlap: int, multiple: int, align: int = 1, margin: int = 0
) -> Axis:
    """Cover `length` pixels and their margins with overlapping tiles of at most `tile` pixels.

    Neighbouring tiles overlap by `overlap` pixels or more. An axis that fits in one tile gets one tile, no
    longer than needed. Tiles are rounded up to a multiple of `multiple`, and start at multiples of `align`,
    which divides `multiple`. Raises OptionError for a length or tile below 1, or for an overlap that leaves
    no new pixels in a tile.
    """
    if length < 1 or tile < 1 or overlap < 0:
        raise OptionError(
            f"tile {tile}, overlap {overlap}, length {length}:"
            " tile and length must be at least 1, overlap at least 0"
        )
    tile = _up(tile, multiple)
    step = (tile - overlap) // align * align
    if step < 1:
        raise OptionError(
            f"overlap: {overlap} is too large for a tile of {tile} pixels; use at most {tile - align}"
        )
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
    """Return the tiles for an image of height x width pixels. Arguments and errors: see `plan_axis`."""
    return TilePlan(
        *(
            plan_axis(side, tile=tile, overlap=overlap, multiple=multiple, align=align, margin=margin)
            for side in (height, width)
        )
    )


def plan_freely(
    height: int, width: int, *, largest: int, overlap: int, multiple: int, align: int = 1, margin: int = 0
) -> TilePlan:
    """Return the tiles with the fewest pixels to compute.

    Their sides are between half of `largest` and `largest`, all of them for a large image and few for a small
    one, so that images of different sizes share graphs. Each axis is chosen on its own, and the larger tile
    wins a tie. For example, 1080 pixels are covered by two tiles of 640 (1280 pixels) rather than three
    of 512 (1536). An image that fits in a square of one of `_SMALL_SIDES` is padded to it. Arguments and
    errors: see `plan_axis`.
    """
    step = multiple if height * width > LARGE else _up(_SIDE_STEP, multiple)

    def axis(length: int) -> Axis:
        least = max(largest // 2, min(overlap + align, largest) - 1)
        sides = range(_up(largest, multiple), least, -step)
        axes = [
            plan_axis(length, tile=side, overlap=overlap, multiple=multiple, align=align, margin=margin)
            for side in sides
        ]
        return min(axes, key=lambda axis: len(axis.starts) * axis.tile)

    plan = TilePlan(axis(height), axis(width))
    if plan.count == 1:
        for side in (_up(small, multiple) for small in _SMALL_SIDES):
            if max(plan.tile) <= side <= largest:
                return TilePlan(*(replace(each, tile=side) for each in (plan.rows, plan.columns)))
    return plan


def plan_squares(
    height: int, width: int, *, largest: int, overlap: int, multiple: int, align: int = 1, margin: int = 0
) -> TilePlan:
    """Return square tiles of one of few sizes, which images of any size share.

    They have the smallest side with which one tile covers the image. If none does, they have the one of
    `_SQUARE_SIDES` that leaves the fewest pixels to compute, and the larger one wins a tie. Arguments and
    errors: see `plan_axis`.
    """

    def squares(side: int) -> TilePlan:
        plan = plan_tiles(
            height, width, tile=side, overlap=overlap, multiple=multiple, align=align, margin=margin
        )
        return TilePlan(*(replace(axis, tile=side) for axis in (plan.rows, plan.columns)))

    sides = [_up(side, multiple) for side in (*_SMALL_SIDES, *_SQUARE_SIDES)]
    fitting = [side for side in sides if overlap + align <= side <= largest] or [_up(largest, multiple)]
    for side in fitting:
        if max(height, width) + 2 * margin <= side:
            return squares(side)
    plans = [squares(side) for side in reversed(fitting[-len(_SQUARE_SIDES) :])]
    return min(plans, key=lambda plan: plan.count * plan.rows.tile**2)


def cut(read: Rows, plan: TilePlan) -> Iterator[Pixels]:
    """Yield the tiles (C, h, w) of an image, row by row. `read` is called once for each row of tiles."""
    columns = [plan.columns.source(left) for left in plan.columns.starts]
    for top in plan.rows.starts:
        rows = plan.rows.source(top)
        first = int(rows.min())
        band = read(first, int(rows.max()) + 1)
        for across in columns:
            yield _taken(band, rows - first, across)


def _taken(band: Pixels, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Pixels:
    """Return a copy of these rows and columns, by slices where they are neighbours, as inside an image."""
    if len(rows) == rows[-1] - rows[0] + 1 and len(columns) == columns[-1] - columns[0] + 1:
        return band[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].copy()
    return band[:, rows[:, None], columns]


def blend(tiles: Iterator[Pixels], plan: TilePlan) -> Iterator[tuple[int, Pixels]]:
    """Blend restored tiles (C, h, w), which come in the order of `cut`, to the image.

    Yields the number of the first row and the rows (C, n, W), from top to bottom without a gap. Their buffer
    is reused by the next iteration.
    """
    rows, columns = plan.rows, plan.columns
    ends = [*rows.starts[1:], rows.padded]
    slopes = columns.weights()
    band: Pixels = np.empty((0, 0, 0), np.float32)  # one row of tiles; allocated with the first tile
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
