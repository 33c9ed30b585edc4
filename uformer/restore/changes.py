"""A warning for an image that deblurring left almost unchanged."""

import numpy as np

from uformer.image.image import Pixels
from uformer.image.value_range import ValueRange
from uformer.notices import Notify
from uformer.restore.options import RestoreOptions

LITTLE = 0.5
"""Mean absolute change in 8-bit levels below which no difference is visible."""


def note_little_change(
    before: Pixels, after: Pixels, used: ValueRange, options: RestoreOptions, notify: Notify
) -> None:
    """Call `notify` if the deblurring weights that ship left an image almost unchanged.

    `before` and `after`: (H, W, C), of which `used` is black to white.
    """
    if options.task_names != ("deblur",) or options.controls.idle:
        return
    levels = 255 / used.width * float(np.mean(np.abs(after[::2, ::2] - before[::2, ::2])))
    if levels < LITTLE:
        notify(
            f"changed by only {levels:.1f} of 255 levels on average;"
            " deblurring is experimental and sharpens slight blur only"
        )
