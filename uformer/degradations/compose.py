"""Random degradations for training: one function per task."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pyvips
from numpy.random import Generator

from uformer.degradations.compression import jpeg
from uformer.degradations.exposures import BLUR_MARGIN, random_blur
from uformer.degradations.noise import camera_noise, gaussian_noise, hot_pixels
from uformer.degradations.showers import random_rain
from uformer.degradations.tables import responses
from uformer.image.image import Pixels


@dataclass(frozen=True)
class Degradation:
    """A random degradation of clean images, as training draws it."""

    apply: Callable[[Pixels, Generator], tuple[Pixels, Pixels]]
    """(clean, rng) -> (degraded, clean), both float32 (H, W, 3). The clean image is the network's target.

    Both are in [0, 1], except that noise may be left unclipped.
    """
    margin: int
    """Pixels around a patch that the degraded patch depends on; they are cut off both images afterwards."""


def random_noise(clean: Pixels, rng: Generator) -> Pixels:
    """Return an image with Gaussian or camera noise, half of the time each; one image in 25 stays clean.

    The input is (H, W, 3) float32 in [0, 1]. Two draws of Gaussian noise in five are left unclipped, so the
    output may exceed that range.
    """
    kind = rng.random()
    if kind < 0.04:
        return clean
    if kind < 0.5:
        return _random_gaussian_noise(clean, rng)
    return _random_camera_noise(clean, rng)


def _random_gaussian_noise(clean: Pixels, rng: Generator) -> Pixels:
    """Sigma 0 to 55. All channels have the same noise in one draw of five, and share some in one of ten."""
    kind = rng.random()
    shared = 1.0 if kind < 0.2 else rng.random() if kind < 0.3 else 0.0
    noisy = gaussian_noise(clean, rng, sigma=rng.uniform(0, 55), shared=shared)
    return noisy if rng.random() < 0.4 else np.clip(noisy, 0, 1)


def _random_camera_noise(clean: Pixels, rng: Generator) -> Pixels:
    """Return an image with camera noise: by ISO half of the time, otherwise of random strength.

    One draw in twelve has hot pixels, and half of the draws go through JPEG. One camera in six has a measured
    response curve, and one in six has a sensor with more pixels than the image. One camera in five removes
    all colour from its noise, and three in ten remove part of it.
    """
    kind, source, reduction = rng.random(), rng.random(), rng.random()
    scale = rng.uniform(1.1, 2) if source < 1 / 6 else 1.0
    shot, read = (
        _noise_of_iso(rng) if rng.random() < 0.5 else (10 ** rng.uniform(-4, -1.5), 10 ** rng.uniform(-5, -2))
    )
    noisy = camera_noise(
        fit(clean, round(clean.shape[0] * scale), round(clean.shape[1] * scale)),
        rng,
        shot=shot,
        read=read,
        red_gain=rng.uniform(1.2, 2.6),
        blue_gain=rng.uniform(1.2, 2.6),
        bayer=kind < 0.6,
        detail=1 - 0.6 * rng.random() ** 2,
        smooth=rng.uniform(0.3, 0.9) if 0.4 < kind < 0.85 else rng.uniform(0.9, 2.5) if kind > 0.95 else 0.0,
        camera=float(rng.choice([0.0, rng.uniform(0, 1.5), rng.uniform(1, 4)])),
        response=int(rng.integers(len(responses()))) if source > 5 / 6 else None,
        black=-read * rng.uniform(0, 0.5) if rng.random() < 0.5 else 0.0,
        chroma=0.0 if reduction < 0.2 else rng.random() if reduction < 0.5 else 1.0,
    )
    noisy = fit(noisy, clean.shape[0], clean.shape[1])
    if rng.random() < 1 / 12:
        noisy = hot_pixels(noisy, rng, share=10 ** rng.uniform(-4, -2))
    if rng.random() < 0.5:
        noisy = jpeg(noisy, quality=int(rng.integers(50, 98)), subsample=bool(rng.random() < 0.5))
    return noisy


def _noise_of_iso(rng: Generator) -> tuple[float, float]:
    """Return (shot, read) of a random camera at ISO 100 to 63,000, with an exposure pushed 1 to 32 times.

    The variance of normalised raw values is a x + b. A fit to 8,048 measured camera-ISO profiles gives
    log10 a = -7.19 + 0.84 log10 ISO (standard deviation 0.37) and log10 b = -1.49 + 1.23 log10 a (0.45).
    A push p turns a and b into p a and p^2 b. Capped at 0.03 and 0.02.
    """
    a = rng.normal(-7.19 + 0.84 * rng.uniform(2.0, 4.8), 0.37)
    b = rng.normal(-1.49 + 1.23 * a, 0.45)
    push = 10 ** rng.uniform(0, 1.5)
    return min(10**a * push, 0.03), min(10 ** (b / 2) * push, 0.02)


def fit(pixels: Pixels, height: int, width: int) -> Pixels:
    """Resize an image to (height, width, 3) by Lanczos filtering. The result is clipped to [0, 1]."""
    if pixels.shape[:2] == (height, width):
        return pixels
    picture = pyvips.Image.new_from_array(np.ascontiguousarray(pixels), interpretation="srgb")
    resized = picture.resize(width / pixels.shape[1], vscale=height / pixels.shape[0]).numpy()
    return np.clip(resized[:height, :width], 0, 1)


DEGRADATIONS: Mapping[str, Degradation] = MappingProxyType(
    {
        "noise": Degradation(lambda clean, rng: (random_noise(clean, rng), clean), margin=0),
        "blur": Degradation(random_blur, margin=BLUR_MARGIN),
        "rain": Degradation(random_rain, margin=0),
    }
)
"""Degradations by the names that recipes use."""
