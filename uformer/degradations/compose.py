"""What training draws from: one random degradation of a clean picture for a task."""

import numpy as np
import pyvips
from numpy.random import Generator
from numpy.typing import NDArray

from uformer.degradations.noise import Pixels, camera_noise, gaussian_noise


def random_noise(clean: Pixels, rng: Generator) -> Pixels:
    """Half of the time Gaussian noise of sigma 0-50, else camera noise of random strength and correlation, then JPEG half of the time.

    (H, W, 3) float32 in [0, 1], in and out; clipped, as any picture file is.
    """
    if rng.random() < 0.5:
        return np.clip(gaussian_noise(clean, rng, sigma=rng.uniform(0, 50)), 0, 1)
    kind = rng.random()
    noisy = camera_noise(
        clean,
        rng,
        shot=10 ** rng.uniform(-4, -1.5),
        read=10 ** rng.uniform(-5, -2),
        red_gain=rng.uniform(1.2, 2.4),
        blue_gain=rng.uniform(1.2, 2.4),
        bayer=kind < 0.6,
        detail=rng.uniform(0, 1),
        smooth=rng.uniform(0.3, 0.9) if 0.4 < kind < 0.9 else 0.0,
        mix=rng.uniform(0, 0.35) if rng.random() < 0.5 else 0.0,
    )
    if rng.random() < 0.5:
        noisy = jpeg(noisy, quality=int(rng.integers(70, 98)), subsample=bool(rng.random() < 0.5))
    return noisy


def jpeg(pixels: Pixels, *, quality: int, subsample: bool) -> Pixels:
    """Through a JPEG file and back: quality 1-100, chroma at half resolution where `subsample`."""
    levels: NDArray[np.uint8] = np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
    picture = pyvips.Image.new_from_array(np.ascontiguousarray(levels), interpretation="srgb")
    data = picture.jpegsave_buffer(Q=quality, subsample_mode="on" if subsample else "off", keep="none")
    return pyvips.Image.new_from_buffer(data, "").numpy().astype(np.float32) / 255
