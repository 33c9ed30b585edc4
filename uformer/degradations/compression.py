"""JPEG compression."""

import numpy as np
import pyvips
from numpy.typing import NDArray

from uformer.image.image import Pixels


def jpeg(pixels: Pixels, *, quality: int, subsample: bool) -> Pixels:
    """Return an image after JPEG compression at `quality` 1 to 100; `subsample` halves chroma resolution."""
    levels: NDArray[np.uint8] = np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
    image = pyvips.Image.new_from_array(np.ascontiguousarray(levels), interpretation="srgb")
    data = image.jpegsave_buffer(Q=quality, subsample_mode="on" if subsample else "off", keep="none")
    return pyvips.Image.new_from_buffer(data, "").numpy().astype(np.float32) / 255
