"""Random blur for training: camera shake, moving objects, measured kernels, defocus, and sharp images.

The draws cover what GoPro's averaged frames and blurred photographs show. Most paths are short, and some are
60 pixels long. A hand drifts, trembles, or rests at both ends. People move before a background. Lamps leave
trails.
"""

import numpy as np
from numpy.random import Generator

from uformer.degradations.blur import convolve, defocus, defocus_kernel, levin
from uformer.degradations.compression import jpeg
from uformer.degradations.motion import Motion, moved, moved_before, random_motion, silhouette, still
from uformer.image.color import linear_to_srgb, srgb_to_linear
from uformer.image.image import Pixels

SHARP = 0.12
"""Share of draws that stay unchanged."""
SLIGHT = 0.06
"""Share of draws with barely visible blur and no noise."""
LONGEST = 60.0
"""Length of the longest path in pixels."""
REACH = 38.0
"""Largest distance in pixels that a point moves from its place."""
BLUR_MARGIN = 40
"""Largest distance in pixels over which `random_blur` mixes light."""


def random_blur(clean: Pixels, rng: Generator) -> tuple[Pixels, Pixels]:
    """Return (degraded, clean): 12% sharp, 6% slight, 37% shake, 25% moving object, 8% measured, 12% defocus.

    Images are (H, W, 3) float32 in [0, 1], in and out. Half of the moving objects show pixels from elsewhere,
    so they appear in the clean image too. The blur reaches at most BLUR_MARGIN pixels.
    """
    kind = rng.random()
    if kind < SHARP:
        return clean, clean
    if kind < SHARP + SLIGHT:
        return _slightly(clean, rng), clean
    if kind < 0.55:
        blurred = _develop(moved(_light(clean, rng), _camera(rng)), rng)
    elif kind < 0.8:
        clean, light = moving_thing(clean, rng)
        blurred = _develop(light, rng)
    elif kind < 0.88:
        blurred = levin(clean, rng, scale=rng.uniform(0.4, 1.2))
    else:
        blades = int(rng.choice([0, 5, 6, 8]))
        blurred = defocus(clean, rng, radius=5.0 ** rng.uniform(-0.3, 1), blades=blades)
    if rng.random() < 0.15:
        blurred = jpeg(blurred, quality=int(rng.integers(80, 98)), subsample=bool(rng.random() < 0.5))
    return blurred, clean


def _slightly(clean: Pixels, rng: Generator) -> Pixels:
    """Return a barely blurred image: by a path of 0.3 to 2 pixels, or a disc of up to 0.8 pixels."""
    light = srgb_to_linear(clean)
    if rng.random() < 0.5:
        return linear_to_srgb(np.clip(convolve(light, defocus_kernel(rng.uniform(0.2, 0.8))), 0, 1))
    length = rng.uniform(0.3, 2)
    motion = random_motion(rng, length=length, swing=0.0, anxiety=0.2, linger=0.0, frames=None, reach=REACH)
    return linear_to_srgb(np.clip(moved(light, motion), 0, 1))


def moving_thing(clean: Pixels, rng: Generator) -> tuple[Pixels, Pixels]:
    """Return (clean, blurred light) with an object that moves before a background.

    Half of the time the object is part of the image. Otherwise it shows pixels from elsewhere in the image
    and covers the clean image too. The camera rests in four draws of ten, the object in two of ten.
    """
    mask = silhouette((clean.shape[0], clean.shape[1]), rng)
    background = foreground = _light(clean, rng)
    if rng.random() < 0.5:
        foreground = np.flip(background, axis=(0, 1) if rng.random() < 0.5 else 1)
        clean = linear_to_srgb(np.clip(background + mask[..., None] * (foreground - background), 0, 1))
    resting = rng.random()
    camera = still() if resting < 0.4 else _camera(rng, uneven=0.2)
    thing = still() if 0.4 <= resting < 0.6 else _camera(rng, uneven=0.3)
    return clean, moved_before(background, camera, foreground, mask, thing)


def _camera(rng: Generator, *, uneven: float = 0.4) -> Motion:
    """Return a motion of 3 to 60 pixels, more often a short one. The share `uneven` also swings."""
    length = LONGEST ** rng.uniform(0.25, 1)
    return random_motion(
        rng,
        length=length,
        swing=min(length * rng.uniform(0.1, 0.6), 12.0) if rng.random() < uneven else 0.0,
        anxiety=0.3 * rng.random() ** 2 if rng.random() < 0.85 else rng.uniform(0.3, 1),
        linger=rng.uniform(0, 1) if rng.random() < 0.3 else 0.0,
        frames=2 * int(rng.integers(3, 16)) + 1 if rng.random() < 0.4 else None,
        reach=REACH,
    )


def _light(clean: Pixels, rng: Generator) -> Pixels:
    """Return the light of an image. In one draw of five, white becomes up to six times as bright.

    This undoes clipping. It applies only to pixels that are white in all channels, because others would lose
    their colour or shading.
    """
    light = srgb_to_linear(clean)
    if rng.random() < 0.8:
        return light
    white = np.clip(light.min(axis=2, keepdims=True) * 50 - 49, 0, 1)  # from 0.98 on
    return light * (1 + white * np.float32(6 ** rng.uniform(0, 1) - 1))


def _develop(light: Pixels, rng: Generator) -> Pixels:
    """Return pixel values of clipped light, half of the time with a little photon and sensor noise."""
    if rng.random() < 0.5:
        shot, read = 10 ** rng.uniform(-5.5, -3.5), 10 ** rng.uniform(-4.5, -3)
        noise = rng.standard_normal(light.shape, dtype=np.float32)
        light = light + noise * np.sqrt(np.float32(shot) * np.maximum(light, 0) + np.float32(read**2))
    return linear_to_srgb(np.clip(light, 0, 1))
