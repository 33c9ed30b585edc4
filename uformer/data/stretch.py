"""Make dark and flat images visible on a contact sheet."""

from collections.abc import Sequence

import numpy as np

from uformer.image.image import Pixels
from uformer.image.value_range import ValueRange

NOTE = " (tone stretched)"
"""What labels say about a stretched image."""
_SHARE = 0.5
"""Percent of the values at either end that may be clipped."""
_ENOUGH = 0.4
"""Images that use at least this much of the range between black and white are shown as they are."""


def stretched(images: Sequence[Pixels]) -> tuple[list[Pixels], bool]:
    """Return images of one scene with their tone stretched alike, and whether it was.

    The stretch maps the range that nearly all values of the images use to the range from black to white.
    """
    ends = [np.percentile(image, (_SHARE, 100 - _SHARE)) for image in images]
    low, high = min(float(end[0]) for end in ends), max(float(end[1]) for end in ends)
    if high - low >= _ENOUGH or high == low:
        return list(images), False
    used = ValueRange(low, high)
    return [used.to_unit(image) for image in images], True
