"""Applies the controls to what the network changed. docs/controls.md has the formulas.

The residual is the network's output minus its input. Bands and windows of an image are (C, h, w) float32.
An image is worked through in small blocks whose temporary values stay in the processor's cache. Every output
pixel is the same whatever the bands, blocks and tiles, because it depends on its neighbourhood only.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from uformer.image.color import luma_of
from uformer.image.image import Pixels
from uformer.restore import tones
from uformer.restore.masks import Mask
from uformer.restore.options import Controls

REACH = 3
"""Pixels on each side of a pixel that influence it, through `detail`."""
CHUNK = 64
"""Rows of a block: a multiple of the cells of the tone lock, as are the columns, and at least its reach."""
COLUMNS = 1536
"""Columns of a block. With fewer, threads wait for each other, because each step holds Python's lock for a
moment; with more, a block outgrows the processor's cache."""

GRAIN = 10 / 255
"""Standard deviation of the grain in the middle tones, for `grain` 1."""
_SEED = 2022
_TONES_REACH = tones.REACH * tones.CELL  # pixels
_NOISE = 2**20  # samples of noise, of which each row of an image takes a piece
_ROWS = 2**16  # rows after which the pieces repeat


@dataclass(frozen=True)
class Window:
    """A rectangle of an image, in pixels; bottom and right lie outside."""

    top: int
    bottom: int
    left: int
    right: int

    def grown(self, height: int, width: int, reach: int = REACH) -> "Window":
        """Return the window with more pixels on each side, as far as the image has them."""
        return Window(
            max(self.top - reach, 0),
            min(self.bottom + reach, height),
            max(self.left - reach, 0),
            min(self.right + reach, width),
        )

    def inside(self, outer: "Window") -> tuple[slice, slice]:
        """Return the rows and columns of this window in an array that holds `outer`."""
        return (
            slice(self.top - outer.top, self.bottom - outer.top),
            slice(self.left - outer.left, self.right - outer.left),
        )

    def missing(self, outer: "Window") -> tuple[tuple[int, int], tuple[int, int]]:
        """Return how many of REACH rows above and below, and columns left and right, `outer` lacks."""
        return (
            (REACH - (self.top - outer.top), REACH - (outer.bottom - self.bottom)),
            (REACH - (self.left - outer.left), REACH - (outer.right - self.right)),
        )

    def ranges(self, whole: "Window") -> tuple[range, range]:
        """Return the rows and columns in a larger image, in which `whole` is the image of this window."""
        return (
            range(whole.top + self.top, whole.top + self.bottom),
            range(whole.left + self.left, whole.left + self.right),
        )


Read = Callable[[Window], tuple[Pixels, Pixels]]
"""Returns the original and the residual in a window; the caller may change the residual."""


def blend_blocks(
    read: Read,
    shape: tuple[int, int, int],
    controls: Controls,
    mask: Mask | None,
    *,
    at: Window | None = None,
    shifts: Pixels | None = None,
    tops: Iterable[int] | None = None,
) -> Iterator[tuple[Window, Pixels]]:
    """Yield each block of an image and its pixels (C, h, w) with the controls applied.

    `read` is called for an image of `shape` (C, H, W), from top to bottom and from left to right. `at`: the
    place of the image in a larger one, on which grain, mask and tones depend. `shifts`: what `tone_shifts`
    returned for the larger one; default: they are computed on the way. `tops`: the first rows of the blocks,
    by default of all of them; see `block_tops`.
    """
    channels, height, width = shape
    controls = controls.for_channels(channels)
    whole = at or Window(0, height, 0, width)
    reach = REACH if controls.detail else 0
    measured = _Cells(read, shape)
    for top in block_tops(height) if tops is None else tops:
        bottom = min(top + CHUNK, height)
        place = Window(whole.top + top, whole.top + bottom, whole.left, whole.right)
        share = None if mask is None else mask.window(place.top, place.bottom, place.left, place.right)
        grain = _grain(place) if controls.grain else None
        locked, skipped = shifts, 0
        if controls.tones == "lock" and shifts is None:
            locked, skipped = measured.shifts(top, bottom)
        for left in range(0, width, COLUMNS):
            block = Window(top, bottom, left, min(left + COLUMNS, width))
            around = block.grown(height, width, reach)
            columns = slice(block.left, block.right)
            original, residual = read(around)
            if controls.tones == "lock" and locked is not None:
                rows_of, columns_of = around.ranges(whole)
                residual -= tones.spread(locked, rows_of, columns_of, skipped=skipped)
            yield (
                block,
                _applied(
                    original,
                    residual,
                    controls,
                    block,
                    around,
                    None if share is None else share[:, columns],
                    None if grain is None else grain[:, columns],
                ),
            )


def block_tops(height: int) -> range:
    """Return the first rows of the blocks of an image."""
    return range(0, height, CHUNK)


def tone_shifts(read: Read, shape: tuple[int, int, int]) -> Pixels:
    """Return what the tone lock subtracts from an image of `shape` (C, H, W), for each of its cells."""
    _, height, _ = shape
    rows = [_cells(read, shape, top, min(top + CHUNK, height)) for top in block_tops(height)]
    return tones.shifts(np.concatenate(rows, axis=1))


class _Cells:
    """The cells of the tone lock, each of which is measured once if the blocks come from top to bottom."""

    def __init__(self, read: Read, shape: tuple[int, int, int]) -> None:
        self._read, self._shape = read, shape
        self._first = 0  # number of the first row of cells in `_held`
        self._held: Pixels = np.empty((2, 0, -(-shape[2] // tones.CELL)), np.float32)

    def shifts(self, top: int, bottom: int) -> tuple[Pixels, int]:
        """Return the shifts of the cells that some rows need, and the number of rows of cells above them."""
        height = self._shape[1]
        first, last = max(top - _TONES_REACH, 0), min(bottom + _TONES_REACH, height)
        shifts = tones.shifts(self._measured(first, last))
        above = 2 if first else 0  # smoothed with a border that is not that of the image
        below = len(shifts) - (2 if last < height else 0)
        return shifts[above:below], first // tones.CELL + above

    def _measured(self, top: int, bottom: int) -> Pixels:
        first = top // tones.CELL
        held = self._held[:, first - self._first :] if first >= self._first else self._held[:, :0]
        start = (first + held.shape[1]) * tones.CELL
        if start < bottom:
            held = np.concatenate([held, _cells(self._read, self._shape, start, bottom)], axis=1)
        self._first, self._held = first, held
        return held


def _cells(read: Read, shape: tuple[int, int, int], top: int, bottom: int) -> Pixels:
    width = shape[2]
    windows = [Window(top, bottom, left, min(left + COLUMNS, width)) for left in range(0, width, COLUMNS)]
    return np.concatenate([tones.measured(*read(window)) for window in windows], axis=2)


def blend_rows(
    read: Read, shape: tuple[int, int, int], controls: Controls, mask: Mask | None
) -> Iterator[tuple[int, Pixels]]:
    """Yield the number of the first row and the rows (C, n, W) of what `blend_blocks` returns.

    The buffer of the rows is reused by the next iteration.
    """
    channels, _, width = shape
    rows = np.empty((channels, CHUNK, width), np.float32)
    for block, pixels in blend_blocks(read, shape, controls, mask):
        rows[:, : block.bottom - block.top, block.left : block.right] = pixels
        if block.right == width:
            yield block.top, rows[:, : block.bottom - block.top]


class Stream:
    """Rows of an original and its residual, which arrive from top to bottom, as a `Read`.

    `bands` yields the number of the first row and the restored rows (C, n, W), whose buffer may be reused;
    `original(first, last)` returns the rows of the original. Rows are dropped once they lie so far
    above the last window that no later one needs them.
    """

    def __init__(self, bands: Iterator[tuple[int, Pixels]], original: Callable[[int, int], Pixels]) -> None:
        self._pieces = self._cut(bands, original)
        self._first = 0
        self._held: list[tuple[Pixels, Pixels]] = []

    @staticmethod
    def _cut(
        bands: Iterator[tuple[int, Pixels]], original: Callable[[int, int], Pixels]
    ) -> Iterator[tuple[Pixels, Pixels]]:
        """Yield copies of a few rows at a time."""
        for first, rows in bands:
            for start in range(0, rows.shape[1], CHUNK):
                piece = rows[:, start : start + CHUNK]
                before = original(first + start, first + start + piece.shape[1])
                yield before, piece - before

    def __call__(self, window: Window) -> tuple[Pixels, Pixels]:
        oldest = window.top - _TONES_REACH - REACH
        while self._held and self._first + self._held[0][0].shape[1] <= oldest:
            self._first += self._held.pop(0)[0].shape[1]
        while self._first + sum(before.shape[1] for before, _ in self._held) < window.bottom:
            self._held.append(next(self._pieces))
        rows = slice(window.top - self._first, window.bottom - self._first)
        columns = slice(window.left, window.right)
        before, residual = (
            np.concatenate([piece[:, :, columns] for piece in pieces], axis=1)[:, rows]
            for pieces in zip(*self._held, strict=True)
        )
        return before, residual


def _applied(
    original: Pixels,
    residual: Pixels,
    controls: Controls,
    block: Window,
    around: Window,
    share: Pixels | None,
    grain: Pixels | None,
) -> Pixels:
    """Return a block, of which `original` and `residual` hold what is `around` it.

    `share` (h, w): the mask; `grain` (h, w): noise of deviation 1.
    """
    returned = _detail(original, residual, block, around) if controls.detail else None
    inner = block.inside(around)
    original, residual = original[:, *inner], residual[:, *inner]
    if returned is not None:
        returned *= np.float32(controls.detail)
        residual -= returned
    if controls.shadows:
        spared = _spared(luma_of(original + residual), controls.shadows)
        share = spared if share is None else np.multiply(spared, share, out=spared)
    if share is not None:
        residual *= share
    out = _mixed(original, residual, controls)
    if grain is not None:
        light = luma_of(out)
        noise = light * np.float32(4 * GRAIN * controls.grain)
        noise *= 1 - light
        noise *= grain
        if share is not None:
            noise *= share
        out += noise
    return np.clip(out, 0, 1, out=out)


def _spared(light: Pixels, shadows: float) -> Pixels:
    """Return the share of the change that pixels with this luma receive."""
    darkness = 1 - np.clip(light, 0, 1)
    darkness *= darkness
    lost = np.subtract(1, darkness, out=darkness)
    lost *= np.float32(shadows)
    return np.subtract(1, lost, out=lost)


def _mixed(original: Pixels, residual: Pixels, controls: Controls) -> Pixels:
    """Return the original with both parts of the residual, each by its own strength, in [0, 1].

    The part that both strengths share comes first; the rest of the stronger one comes on top. The rest of the
    colours is reduced where it leaves [0, 1], because clipping it would change the luma.
    """
    bright, colour = controls.strength * controls.luma, controls.strength * controls.chroma
    out = residual * np.float32(min(bright, colour))
    out += original
    np.clip(out, 0, 1, out=out)
    if bright > colour:
        out += np.float32(bright - colour) * luma_of(residual)
    elif colour > bright:
        rest = residual - luma_of(residual)
        rest *= np.float32(colour - bright)
        return _moved_within(out, rest)
    return out


def _moved_within(pixels: Pixels, change: Pixels) -> Pixels:
    """Return pixels plus the largest share of a change with which all their channels stay in [0, 1]."""
    moved = pixels + change
    places = np.flatnonzero((moved.min(axis=0) < 0) | (moved.max(axis=0) > 1))
    if len(places):
        start, step = (values.reshape(len(values), -1)[:, places] for values in (pixels, change))
        room = np.where(step > 0, 1 - start, start)
        shares = np.divide(room, np.abs(step), out=np.ones_like(step), where=np.abs(step) > room)
        moved.reshape(len(moved), -1)[:, places] = start + step * shares.min(axis=0)
    return moved


def _detail(original: Pixels, residual: Pixels, block: Window, around: Window) -> Pixels:
    """Return the fine texture (h, w) in the luma of the residual of a block; see `_applied`.

    It is the part that a local mean over 7 x 7 pixels removes, weighted by the share that the restored image
    has of the local variance of both. In flat parts the restored image has none, so the noise stays away.
    """
    removed = luma_of(residual)
    planes = np.stack([removed, removed + luma_of(original)])
    if any(map(any, missing := block.missing(around))):  # at the border of the image, which is repeated
        planes = np.pad(planes, ((0, 0), *missing), mode="edge")
    width = planes.shape[2]
    lines = planes.reshape(2, -1)
    means = _local_mean(lines, width)
    centre = REACH * width + REACH
    texture = lines[0, centre : centre + means.shape[1]] - means[0]
    variances = _local_mean(lines * lines, width)
    means *= means
    variances -= means
    noise, structure = np.clip(variances, 0, np.inf, out=variances)  # `maximum` is slower
    noise += structure
    noise += np.float32(1e-8)
    structure /= noise
    texture *= structure
    step = texture.itemsize
    shape = block.bottom - block.top, block.right - block.left
    return np.ndarray(shape, np.float32, texture, strides=(width * step, step))


def _local_mean(lines: Pixels, width: int) -> Pixels:
    """Return means over 7 x 7 pixels with triangular weights, from the pixel at the top left of them.

    `lines` (n, l): planes of this width as one line each. It adds copies of the lines, shifted by rows, then
    by columns. So each sum has the same rounding wherever the pixel lies in a block. Means of pixels at the
    end of a row mix both borders and are of no use.
    """
    for step in (width, 2 * width, width, 2 * width, 1, 2, 1, 2):  # four neighbours, twice in each direction
        lines = lines[:, :-step] + lines[:, step:]
    lines *= np.float32(1 / 256)
    return lines


def _grain(place: Window) -> Pixels:
    """Return noise of deviation 1 that depends only on the place in the image.

    Each row takes its piece of the same samples of noise. Drawing new ones takes longer than all the rest.
    """
    noise, starts = _noise(-(-place.right // _ROWS) * _ROWS)
    rows = [starts[row % _ROWS] for row in range(place.top, place.bottom)]
    return np.stack([noise[start + place.left : start + place.right] for start in rows])


@cache
def _noise(longest: int) -> tuple[Pixels, NDArray[np.intp]]:
    """Return samples of noise of deviation 1, and the start of each row's piece of at most `longest` samples.

    The start of the noise is repeated behind its end, as far as a row may need it.
    """
    rng = np.random.Generator(np.random.PCG64(_SEED))
    starts = rng.integers(0, _NOISE, _ROWS, dtype=np.intp)
    return np.resize(rng.standard_normal(_NOISE, np.float32), _NOISE + longest), starts
