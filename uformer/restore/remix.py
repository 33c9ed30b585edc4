"""Applies the controls to the samples of an image and the network's answer, with several threads.

The work is done in blocks, each of which is converted on its own: that takes less time and memory than
converting the whole image first.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from uformer.image.image import Pixels
from uformer.image.samples import Samples, has_white, values_of
from uformer.image.value_range import FULL, ValueRange, peak
from uformer.processors import available_processors
from uformer.restore import forms
from uformer.restore.controls import Read, Window, blend_blocks, block_tops
from uformer.restore.masks import Mask
from uformer.restore.options import Controls

Residual = NDArray[np.float16]
"""The network's output minus its input, (C, H, W)."""

MOST_THREADS = 4
"""Blocks are small, so more threads would mostly wait for Python's lock."""


def residual_of(bands: Iterable[tuple[int, Pixels]], planar: Pixels) -> Residual:
    """Return the change of an image (C, H, W) from the restored rows (C, n, W) and their first row."""
    most = float(np.finfo(np.float16).max)
    residual: Residual = np.empty(planar.shape, np.float16)
    for first, rows in bands:
        last = first + rows.shape[1]
        residual[:, first:last] = np.clip(rows - planar[:, first:last], -most, most)
    return residual


def blend_samples(
    samples: Samples,
    residual: Residual,
    controls: Controls,
    mask: Mask | None,
    *,
    at: Window,
    shifts: Pixels,
    used: ValueRange = FULL,
    depth: int,
    as_floats: bool = False,
    threads: int | None = None,
    check: Callable[[], None] | None = None,
) -> Samples:
    """Return samples (H, W, C) with the controls applied to a residual, of the same type.

    `at`, `shifts`: see `blend_blocks`. `used`: the range of values that the network saw as [0, 1]. `depth`:
    bits per sample; 32 without a white. `as_floats`: return values in float32, not rounded to samples.
    `threads`: by default one for each processor. `check`: see `Restoration.blend`.
    """
    out = np.empty(samples.shape, np.float32 if as_floats else samples.dtype)
    read, simple = reader(samples, residual, used, depth), _simple(samples, used)

    def do(top: int) -> None:
        """Blend a row of blocks."""
        blocks = blend_blocks(read, residual.shape, controls, mask, at=at, shifts=shifts, tops=(top,))
        for block, pixels in blocks:
            if check is not None:
                check()
            place = slice(block.top, block.bottom), slice(block.left, block.right)
            for channel, plane in enumerate(pixels):  # faster than a transposed copy
                old = samples[*place, channel]
                values = plane if simple else used.from_unit(plane, values_of(old, depth))
                if as_floats:
                    out[*place, channel] = values
                elif simple:  # `plane` is of no further use
                    np.multiply(plane, np.float32(peak(depth)), out=plane)
                    out[*place, channel] = np.rint(plane, out=plane)
                else:
                    out[*place, channel] = forms.from_values(values, old)

    tops = block_tops(len(samples))
    workers = min(threads or available_processors(), MOST_THREADS, len(tops))
    with ThreadPoolExecutor(workers) as pool:
        for _ in pool.map(do, tops):
            pass
    return out


def reader(samples: Samples, residual: Residual, used: ValueRange, depth: int) -> Read:
    """Return a function that reads windows of samples (H, W, C) and of a residual (C, H, W).

    The samples become pixels in [0, 1], where `used` is the range of values from 0 to 1. `depth`: bits per
    sample; 32 for float.
    """
    simple = _simple(samples, used)

    def read_window(window: Window) -> tuple[Pixels, Pixels]:
        rows, columns = slice(window.top, window.bottom), slice(window.left, window.right)
        part = samples[rows, columns]
        values = part if simple else used.to_unit(values_of(part, depth))
        planar = np.empty((part.shape[2], *part.shape[:2]), np.float32)
        for channel, plane in enumerate(planar):  # faster than a transposed copy
            plane[:] = values[:, :, channel]
        if simple:
            planar /= np.float32(peak(depth))
        return planar, widened(residual[:, rows, columns])

    return read_window


def widened(half: NDArray[np.float16]) -> Pixels:
    """Return finite float16 values as float32, four times as fast as `astype`.

    The exponent and fraction of a float16 move to their place in a float32, whose exponent has another bias.
    """
    bits = half.view(np.int16).astype(np.int32)
    bits <<= 13
    bits &= np.int32(-0x70002000)  # the sign, the lowest five bits of the exponent, the fraction
    values = bits.view(np.float32)
    values *= np.float32(2.0**112)
    return values


def _simple(samples: Samples, used: ValueRange) -> bool:
    """Return whether the values are in [0, 1] as they are."""
    return used == FULL and has_white(samples.dtype)
