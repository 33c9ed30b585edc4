"""The blur that training draws: shaken cameras, moving things, measured kernels, defocus; much is sharp.

The draws cover what GoPro's averaged frames and blurred photographs show: most strokes are short, some are as
long as 60 pixels; a hand drifts, trembles or rests at both ends; people move before a background; lamps
leave trails.
"""

import numpy as np
from numpy.random import Generator

from uformer.degradations.blur import convolve, defocus, defocus_kernel, levin
from uformer.degradations.compression import jpeg
from uformer.degradations.motion import Motion, moved, moved_before, random_motion, silhouette, still
from uformer.image.color import linear_to_srgb, srgb_to_linear
from uformer.image.image import Pixels

SHARP = 0.12
"""Share of draws that stay exactly as they are."""
SLIGHT = 0.06
"""Share of draws whose blur is hardly seen, without noise."""
LONGEST = 60.0
"""Pixels of path."""
REACH = 38.0
"""Pixels: no point is drawn out farther than this from its place."""
BLUR_MARGIN = 40
"""Pixels that `random_blur` reaches."""


def random_blur(clean: Pixels, rng: Generator) -> tuple[Pixels, Pixels]:
    """(degraded, clean): 12% sharp, 6% slight, 37% shaken, 25% moving things, 8% measured, 12% defocus.

    (H, W, 3) float32 in [0, 1], in and out. Half of the moving things bring pixels of their own, so that the
    clean image shows them too. The blur reaches BLUR_MARGIN pixels at the most.
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
    """Blur that is hardly seen: a path of 0.3 to 2 pixels, or a disc of up to 0.8."""
    light = srgb_to_linear(clean)
    if rng.random() < 0.5:
        return linear_to_srgb(np.clip(convolve(light, defocus_kernel(rng.uniform(0.2, 0.8))), 0, 1))
    length = rng.uniform(0.3, 2)
    motion = random_motion(rng, length=length, swing=0.0, anxiety=0.2, linger=0.0, frames=None, reach=REACH)
    return linear_to_srgb(np.clip(moved(light, motion), 0, 1))


def moving_thing(clean: Pixels, rng: Generator) -> tuple[Pixels, Pixels]:
    """(clean, blurred light): a thing that moves before a background.

    Half of the time the thing is a part of the image, else it shows what the image shows elsewhere, and lies
    over the clean image too. The camera rests in four draws of ten, the thing in two of ten.
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
    """A motion of 3 to 60 pixels, short ones more often; most are steady, the share `uneven` swings."""
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
    """The light of an image; in one draw of five, white was up to six times as bright before it was clipped.

    Only what is white in all channels: what still has colour or shading would lose it for good.
    """
    light = srgb_to_linear(clean)
    if rng.random() < 0.8:
        return light
    white = np.clip(light.min(axis=2, keepdims=True) * 50 - 49, 0, 1)  # from 0.98 on
    return light * (1 + white * np.float32(6 ** rng.uniform(0, 1) - 1))


def _develop(light: Pixels, rng: Generator) -> Pixels:
    """Clipped light as pixel values; half of the time with a little noise of photons and of the sensor."""
    if rng.random() < 0.5:
        shot, read = 10 ** rng.uniform(-5.5, -3.5), 10 ** rng.uniform(-4.5, -3)
        noise = rng.standard_normal(light.shape, dtype=np.float32)
        light = light + noise * np.sqrt(np.float32(shot) * np.maximum(light, 0) + np.float32(read**2))
    return linear_to_srgb(np.clip(light, 0, 1))
