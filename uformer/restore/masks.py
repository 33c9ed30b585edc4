"""Masks: gray images that say how much of the change each pixel receives."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uformer.errors import PictureError
from uformer.image.color import luma
from uformer.image.image import Pixels
from uformer.image.read import read
from uformer.notices import Notify, warn
from uformer.restore import forms

_ROWS = 64  # rows of a strip


class Mask:
    """A gray image, stretched to the size of the image to restore: white restores, black leaves as it is.

    Raises PictureError if its width and height do not have the ratio of the image's.
    """

    def __init__(self, values: Pixels, height: int, width: int) -> None:
        rows, columns = values.shape
        check_ratio((rows, columns), (height, width))
        self._values = values
        self._rows, self._columns = _between(rows, height), _between(columns, width)
        self._exact = (rows, columns) == (height, width)

    @property
    def white(self) -> bool:
        """Whether every pixel is restored."""
        return bool((self._values == 1).all())

    def window(self, top: int, bottom: int, left: int, right: int) -> Pixels:
        """Return the shares (bottom - top, right - left) in [0, 1] of a part of the image."""
        if self._exact:
            return self._values[top:bottom, left:right]
        (low, high, below), (first, second, beside) = self._rows, self._columns
        low, high, below = low[top:bottom], high[top:bottom], below[top:bottom, None]
        across = slice(left, right)
        lines = self._values[low] + (self._values[high] - self._values[low]) * below
        start, end = lines[:, first[across]], lines[:, second[across]]
        shares: Pixels = start + (end - start) * beside[across]
        return shares


def check_ratio(mask: tuple[int, int], image: tuple[int, int]) -> None:
    """Raise PictureError unless height and width of a mask have the ratio of those of the image."""
    (rows, columns), (height, width) = mask, image
    # A mask that was reduced or enlarged is off by at most half a pixel on each side.
    if abs(columns * height - rows * width) > max(height + width, rows + columns) / 2:
        raise PictureError(
            f"mask: {columns} x {rows} does not fit an image of {width} x {height};"
            " use a mask with the same width and height, or the same ratio of them"
        )


def mask_values(mask: Any, *, notify: Notify = warn) -> Pixels:
    """Return a mask as (H, W) float32 in [0, 1].

    `mask`: the path or the bytes of an image file, a Pillow image, an array (H, W) or (H, W, C), or a tensor
    (H, W) or (C, H, W), also of bool; floats are in [0, 1]. Colours count by their luma; alpha is ignored.
    `notify`: see `read`. Raises PictureError for anything else.
    """
    try:
        if isinstance(mask, str | os.PathLike):
            return _gray(read(mask, notify=notify).pixels)
        if isinstance(mask, bytes | bytearray | memoryview):
            return _gray(read(bytes(mask), notify=notify).pixels)
        if isinstance(mask, np.ndarray):
            return _of_array(mask)
        if forms.is_pil(mask):
            return _of_array(forms.array_of_pil(mask))
        if forms.is_tensor(mask):
            array = forms.array_of_tensor(mask)
            return _of_array(array.transpose(1, 2, 0) if array.ndim == 3 else array)  # from (C, H, W)
    except PictureError as error:
        raise PictureError(f"mask: {str(error).removeprefix('image: ')}") from None
    raise PictureError(f"mask: expected a path, bytes, an array or an image, not {type(mask).__name__}")


def _of_array(array: NDArray[Any]) -> Pixels:
    array = np.asarray(array)  # not a subclass, as in `through_array`
    if (
        array.ndim not in (2, 3)
        or 0 in array.shape
        or (array.ndim == 3 and array.shape[2] not in (1, 2, 3, 4))
    ):
        raise PictureError(f"an array of shape {array.shape} is not an image; expected (H, W) or (H, W, C)")
    values = array.astype(np.uint8) * np.uint8(255) if array.dtype == bool else array
    colours = values.reshape(*values.shape[:2], -1)
    shares = forms.to_values(colours[..., : 1 if colours.shape[2] < 3 else 3])
    if shares.min() < 0 or shares.max() > 1:
        raise PictureError(
            f"values range from {shares.min():g} to {shares.max():g}; expected 0 to 1 (divide by 255?)"
        )
    shares = shares.astype(np.float32, copy=False)
    return shares[..., 0] if shares.shape[2] == 1 else _gray(shares)


def _gray(pixels: Pixels) -> Pixels:
    """Return the luma of pixels (H, W, C), computed in strips, to bound the memory."""
    gray = np.empty(pixels.shape[:2], np.float32)
    for top in range(0, len(gray), _ROWS):
        part = pixels[top : top + _ROWS]
        light = part[..., 0] if part.shape[2] == 1 else luma(*part.transpose(2, 0, 1))
        np.clip(light, 0, 1, out=gray[top : top + _ROWS])
    return gray


def _between(length: int, wanted: int) -> tuple[NDArray[np.intp], NDArray[np.intp], Pixels]:
    """Return, for each pixel of the wanted length, the two pixels it lies between and its place there."""
    places = np.clip((np.arange(wanted) + 0.5) * (length / wanted) - 0.5, 0, length - 1)
    low = places.astype(np.intp)
    return low, np.minimum(low + 1, length - 1), (places - low).astype(np.float32)
