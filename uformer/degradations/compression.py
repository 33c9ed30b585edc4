"""What saving an image to a file does to it: JPEG compression."""

import numpy as np
import pyvips
from numpy.typing import NDArray

from uformer.image.image import Pixels


def jpeg(pixels: Pixels, *, quality: int, subsample: bool) -> Pixels:
    """Through a JPEG file and back: quality 1-100, chroma at half resolution where `subsample`."""
    levels: NDArray[np.uint8] = np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
    picture = pyvips.Image.new_from_array(np.ascontiguousarray(levels), interpretation="srgb")
    data = picture.jpegsave_buffer(Q=quality, subsample_mode="on" if subsample else "off", keep="none")
    return pyvips.Image.new_from_buffer(data, "").numpy().astype(np.float32) / 255
