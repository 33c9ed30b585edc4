"""Tiles: cut a picture into overlapping pieces of one size, and blend the restored pieces into one. Pure geometry.

Pictures and tiles are (C, H, W) float32. A tile's sides are multiples of the network's own (`UformerConfig.multiple`), and
the picture is extended by reflection to fit. Tiles start where the attention windows of all but the two lowest levels lie as
they would in the whole picture, or tiles and whole would differ by more than rounding.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uformer.errors import OptionError

Pixels = NDArray[np.float32]


@dataclass(frozen=True)
class Axis:
    """How one side of a picture, `length` pixels, is covered by tiles of `tile` pixels beginning at `starts`."""

    length: int
    tile: int
    starts: tuple[int, ...]

    @property
    def padded(self) -> int:
        """Length that the tiles cover, at least `length`."""
        return self.starts[-1] + self.tile

    def weights(self) -> list[NDArray[np.float32]]:
        """For each tile, (tile,) weights that add up to one at every pixel: cosine slopes where neighbours overlap."""
        slopes = np.ones((len(self.starts), self.tile))
        for left, (start, following) in enumerate(zip(self.starts, self.starts[1:], strict=False)):
            overlap = start + self.tile - following
            rise = np.sin(0.5 * np.pi * (np.arange(overlap) + 0.5) / overlap) ** 2  # rise + reversed rise is one
            slopes[left + 1, :overlap] *= rise
            slopes[left, self.tile - overlap :] *= rise[::-1]
        total = np.zeros(self.padded)
        for start, slope in zip(self.starts, slopes, strict=True):
            total[start : start + self.tile] += slope
        return [(slope / total[start : start + self.tile]).astype(np.float32) for start, slope in zip(self.starts, slopes, strict=True)]


@dataclass(frozen=True)
class Plan:
    """The tiles of a picture: every pair of a row and a column of tiles."""

    rows: Axis
    columns: Axis

    @property
    def count(self) -> int:
        return len(self.rows.starts) * len(self.columns.starts)


def plan_axis(length: int, *, tile: int, overlap: int, multiple: int, align: int = 1) -> Axis:
    """Cover `length` pixels with tiles of at most `tile`, each sharing at least `overlap` with the next.

    A side that fits in one tile gets one, no longer than needed. Tiles are rounded up to a multiple of `multiple`, and start
    at multiples of `align`, which divides it. Raises OptionError for a length or tile below 1, or an overlap that leaves nothing
    new in a tile.
    """
    if length < 1 or tile < 1 or overlap < 0:
        raise OptionError(f"tile {tile}, overlap {overlap}, length {length}: tile and length must be at least 1, overlap at least 0")
    tile = _up(tile, multiple)
    step = (tile - overlap) // align * align
    if step < 1:
        raise OptionError(f"overlap: {overlap} is too much for a tile of {tile}; at most {tile - align} here")
    if length <= tile:
        return Axis(length, _up(length, multiple), (0,))
    last = _up(length - tile, align)
    count = math.ceil(last / step) + 1
    even = [last * k / (count - 1) / align for k in range(count)]
    return Axis(length, tile, tuple(round(start) * align for start in even))


def plan(height: int, width: int, *, tile: int, overlap: int, multiple: int, align: int = 1) -> Plan:
    """Tiles for a picture of height x width pixels; arguments and errors as of `plan_axis`."""
    return Plan(*(plan_axis(side, tile=tile, overlap=overlap, multiple=multiple, align=align) for side in (height, width)))


def cut(picture: Pixels, plan: Plan) -> Iterator[Pixels]:
    """The tiles (C, h, w) of a picture (C, H, W), row by row, extended by reflection at the bottom and right."""
    rows, columns = plan.rows, plan.columns
    at_rows, at_columns = _reflected(rows), _reflected(columns)
    for top in rows.starts:
        for left in columns.starts:
            yield picture[:, at_rows[top : top + rows.tile, None], at_columns[left : left + columns.tile]]


def blend(tiles: Iterator[Pixels], plan: Plan) -> Pixels:
    """The picture (C, H, W) that restored tiles (C, h, w), in the order of `cut`, make together."""
    rows, columns = plan.rows, plan.columns
    out: Pixels | None = None
    for top, row_weights in zip(rows.starts, rows.weights(), strict=True):
        for left, column_weights in zip(columns.starts, columns.weights(), strict=True):
            tile = next(tiles)
            if out is None:
                out = np.zeros((tile.shape[0], rows.length, columns.length), np.float32)
            height = min(rows.tile, rows.length - top)
            width = min(columns.tile, columns.length - left)
            weights = row_weights[:height, None] * column_weights[:width]
            out[:, top : top + height, left : left + width] += tile[:, :height, :width] * weights
    assert out is not None  # a plan has at least one tile
    return out


def _up(length: int, multiple: int) -> int:
    return math.ceil(length / multiple) * multiple


def _reflected(axis: Axis) -> NDArray[np.intp]:
    """Indices that extend an axis to its padded length by reflection, repeated where the picture is smaller."""
    period = max(2 * axis.length - 2, 1)
    at = np.arange(axis.padded) % period
    return np.where(at < axis.length, at, period - at)
