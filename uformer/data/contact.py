"""Contact sheets: many small pictures in one, to look at before (or while) a network learns from them."""

from collections.abc import Sequence

import numpy as np
import pyvips

from uformer.image.image import Pixels

_GAP = 4  # pixels
_PAPER = 0.5


def lay_out(rows: Sequence[Sequence[Pixels]]) -> Pixels:
    """Rows of pictures (h, w, C) in [0, 1] in one (H, W, 3): each row's side by side, rows below each other, gray between."""
    strips = [_beside([to_rgb(picture) for picture in row]) for row in rows]
    width = max(strip.shape[1] for strip in strips)
    total = sum(strip.shape[0] for strip in strips) + _GAP * (len(strips) - 1)
    page = np.full((total, width, 3), _PAPER, np.float32)
    top = 0
    for strip in strips:
        page[top : top + strip.shape[0], : strip.shape[1]] = strip
        top += strip.shape[0] + _GAP
    return page


def thumbnail(picture: Pixels, side: int) -> Pixels:
    """A picture (H, W, C) reduced to fit side x side; smaller ones stay."""
    height, width = picture.shape[:2]
    if max(height, width) <= side:
        return picture
    image = pyvips.Image.new_from_array(np.ascontiguousarray(picture))
    small = image.resize(side / max(height, width), kernel="linear")
    reduced: Pixels = small.numpy().reshape(small.height, small.width, -1).astype(np.float32)
    return np.clip(reduced, 0, 1)


def to_rgb(picture: Pixels) -> Pixels:
    """(H, W, 3) of a picture of any number of channels: gray repeated, of many the first three, of two the first."""
    channels = picture.shape[2]
    return picture[..., :3] if channels >= 3 else np.repeat(picture[..., :1], 3, axis=2)


def _beside(pictures: Sequence[Pixels]) -> Pixels:
    height = max(picture.shape[0] for picture in pictures)
    width = sum(picture.shape[1] for picture in pictures) + _GAP * (len(pictures) - 1)
    strip = np.full((height, width, 3), _PAPER, np.float32)
    left = 0
    for picture in pictures:
        strip[: picture.shape[0], left : left + picture.shape[1]] = picture
        left += picture.shape[1] + _GAP
    return strip
