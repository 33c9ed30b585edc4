"""A line for an image that deblurring left almost as it was."""

import numpy as np
from numpy.typing import NDArray

from uformer.notices import Notify
from uformer.restore.options import RestoreOptions

Pixels = NDArray[np.float32]

LITTLE = 0.5
"""Mean absolute change, in 8-bit levels, below which nobody sees a difference."""


def note_little_change(before: Pixels, after: Pixels, options: RestoreOptions, notify: Notify) -> None:
    """Tell `notify` where the weights that ship for deblurring changed next to nothing: they sharpen slight blur only.

    `before` and `after`: (H, W, C) in [0, 1].
    """
    if options.task != "deblur" or options.weights is not None or options.strength == 0:
        return
    levels = 255 * float(np.mean(np.abs(after[::2, ::2] - before[::2, ::2])))
    if levels < LITTLE:
        notify(
            f"changed {levels:.1f} levels of 255 on average; deblurring is experimental and sharpens slight blur only"
        )
