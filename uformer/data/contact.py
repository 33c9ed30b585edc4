"""Contact sheets: many small images in one, with labels, to look at before or during training."""

from collections.abc import Sequence

import numpy as np
import pyvips

from uformer.data.captions import HEIGHT, draw_line
from uformer.image.image import Pixels

_GAP = 4  # pixels
_PAPER = 0.5
_NARROWEST = 150
"""The smallest width of a labelled image in pixels, so that its label can be read."""


def lay_out(rows: Sequence[Sequence[Pixels]], labels: Sequence[Sequence[str]] = ()) -> Pixels:
    """Return one image (H, W, 3) with rows of images (h, w, C) in [0, 1], separated by gray gaps.

    With `labels`, one for each image, each image has its label above it.
    """
    strips = []
    for place, row in enumerate(rows):
        images = [to_rgb(image) for image in row]
        if labels:
            images = [_labelled(image, label) for image, label in zip(images, labels[place], strict=True)]
        strips.append(_beside(images))
    width = max(strip.shape[1] for strip in strips)
    total = sum(strip.shape[0] for strip in strips) + _GAP * (len(strips) - 1)
    page = np.full((total, width, 3), _PAPER, np.float32)
    top = 0
    for strip in strips:
        page[top : top + strip.shape[0], : strip.shape[1]] = strip
        top += strip.shape[0] + _GAP
    return page


def thumbnail(picture: Pixels, side: int) -> Pixels:
    """Return an image (H, W, C) reduced to fit into side x side. A smaller image is returned unchanged."""
    height, width = picture.shape[:2]
    if max(height, width) <= side:
        return picture
    image = pyvips.Image.new_from_array(np.ascontiguousarray(picture))
    small = image.resize(side / max(height, width), kernel="linear")
    reduced: Pixels = small.numpy().reshape(small.height, small.width, -1).astype(np.float32)
    return np.clip(reduced, 0, 1)


def to_rgb(picture: Pixels) -> Pixels:
    """Return an image with any number of channels as (H, W, 3).

    With three or more channels, the first three are kept; with one or two, the first is repeated.
    """
    channels = picture.shape[2]
    return picture[..., :3] if channels >= 3 else np.repeat(picture[..., :1], 3, axis=2)


def _labelled(image: Pixels, label: str) -> Pixels:
    """Return an RGB image below its label, on gray paper if the label is wider."""
    height, width = image.shape[:2]
    cell = np.full((HEIGHT + height, max(width, _NARROWEST), 3), _PAPER, np.float32)
    cell[:HEIGHT] = draw_line(label, cell.shape[1])
    cell[HEIGHT:, :width] = image
    return cell


def _beside(pictures: Sequence[Pixels]) -> Pixels:
    height = max(picture.shape[0] for picture in pictures)
    width = sum(picture.shape[1] for picture in pictures) + _GAP * (len(pictures) - 1)
    strip = np.full((height, width, 3), _PAPER, np.float32)
    left = 0
    for picture in pictures:
        strip[: picture.shape[0], left : left + picture.shape[1]] = picture
        left += picture.shape[1] + _GAP
    return strip
