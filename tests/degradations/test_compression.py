"""JPEG compression loses as much as its quality suggests."""

import numpy as np

from uformer.degradations.compression import jpeg


def test_jpeg_keeps_shape_and_range() -> None:
    image = np.random.default_rng(0).random((9, 14, 3), dtype=np.float32)
    through = jpeg(image, quality=80, subsample=True)
    assert through.shape == (9, 14, 3)
    assert through.dtype == np.float32
    assert through.min() >= 0
    assert through.max() <= 1
