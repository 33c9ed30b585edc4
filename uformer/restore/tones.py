"""The tone lock: takes slow changes of brightness out of a residual.

The image is divided into cells of 8 x 8 pixels. The lock subtracts the mean luma of the residual in each
cell, smoothed over about 32 pixels. Clipped noise has a wrong mean, which the network rightly corrects, so
the lock opens where the input is clipped.
"""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from uformer.image.color import luma_of
from uformer.image.image import Pixels
from uformer.restore.options import Controls, RestoreOptions
from uformer.weights import registry

LOCKED = ("denoise",)
"""Tasks whose weights are used with locked tones by default: it scores better (docs/controls.md)."""
CELL = 8
"""Side of a cell in pixels."""
REACH = 3
"""Cells on each side of a pixel that influence it: two through smoothing, one through interpolation."""
OPEN = 0.02
"""Share of clipped pixels nearby at which the lock is open."""

_EDGE = 0.5 / 255  # pixels nearer to black or white are clipped


def decided(options: RestoreOptions) -> Controls:
    """Return the controls of the options, with `auto` tones decided."""
    controls = options.controls
    if controls.tones != "auto":
        return controls
    task = options.task
    if options.weights is not None:
        task = registry.WEIGHTS[options.weights].task if options.weights in registry.WEIGHTS else ""
    return dataclasses.replace(controls, tones="lock" if task in LOCKED else "free")


def measured(original: Pixels, residual: Pixels) -> Pixels:
    """Return mean luma of the residual and share of clipped pixels for the cells of a window (C, h, w).

    Their shape is (2, rows, columns).
    """
    clipped = np.any((original < _EDGE) | (original > 1 - _EDGE), axis=0, keepdims=True)
    return np.stack([_cell_means(luma_of(residual)), _cell_means(clipped[0].astype(np.float32))])


def shifts(cells: Pixels) -> Pixels:
    """Return the brightness (rows, columns) to subtract, for cells that `measured` returned."""
    means, clipped = (_smoothed(plane) for plane in cells)
    shifts: Pixels = means * np.maximum(1 - clipped / np.float32(OPEN), 0)
    return shifts


def spread(shifts: Pixels, rows: range, columns: range, *, skipped: int = 0) -> Pixels:
    """Return the shifts of pixels, interpolated between the centres of cells.

    `skipped`: number of rows of cells above the first one in `shifts`. Beyond the first and the last row, the
    values are repeated.
    """
    above, under, below = _between(rows, skipped, len(shifts))
    first, second, beside = _between(columns, 0, shifts.shape[1])
    few = shifts[above[0] : under[-1] + 1]  # columns first, because there are few rows of cells
    start, end = few[:, first], few[:, second]
    lines = start + (end - start) * beside
    steps = np.diff(lines, axis=0, append=lines[-1:])
    pixels: Pixels = np.take(steps, above - above[0], axis=0)
    pixels *= below[:, None]
    pixels += np.take(lines, above - above[0], axis=0)
    return pixels


def _between(pixels: range, skipped: int, cells: int) -> tuple[NDArray[np.intp], NDArray[np.intp], Pixels]:
    """Return, for each pixel, the two cells between whose centres it lies, and its place there."""
    places = (np.arange(pixels.start, pixels.stop) + 0.5) / CELL - 0.5
    places = np.clip(places - skipped, 0, cells - 1)
    low = places.astype(np.intp)
    return low, np.minimum(low + 1, cells - 1), (places - low).astype(np.float32)


def _cell_means(plane: Pixels) -> Pixels:
    """Return the mean of each cell; cells at the bottom and right repeat the border.

    It adds shifted copies, so that each sum has the same rounding wherever the cell lies in a window.
    """
    height, width = plane.shape
    if height % CELL or width % CELL:
        plane = np.pad(plane, ((0, -height % CELL), (0, -width % CELL)), mode="edge")
    lines = plane[::CELL].copy()
    for row in range(1, CELL):
        lines += plane[row::CELL]
    means = lines[:, ::CELL].copy()
    for column in range(1, CELL):
        means += lines[:, column::CELL]
    means *= np.float32(1 / CELL**2)
    return means


def _smoothed(plane: Pixels) -> Pixels:
    """Return binomial means over five cells in both directions; the border is repeated outside."""
    sums = np.pad(plane, 2, mode="edge")
    for _ in range(4):
        sums = sums[:-1] + sums[1:]
        sums = sums[:, :-1] + sums[:, 1:]
    sums *= np.float32(1 / 256)
    return sums
