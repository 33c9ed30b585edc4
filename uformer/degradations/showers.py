"""Random rain for training: many kinds of showers, from a benchmark's streaks to a downpour in mist.

A third of the draws follows the statistics of Rain100L (Yang et al., CVPR 2017), measured on pairs of its
images: gray light that is added and then clipped, one wind direction, many short thin streaks and a few long
ones. The others cover other synthetic rain and what photographs show beyond that: drops out of focus, gusts
from different directions, downpours in mist, single faint streaks.
"""

from typing import Any

import numpy as np
from numpy.random import Generator

from uformer.degradations.compression import jpeg
from uformer.degradations.rain import lay, rain, rain_streaks, veil
from uformer.image.image import Pixels

DRY = 0.04
"""Share of draws without rain."""


def random_rain(clean: Pixels, rng: Generator) -> tuple[Pixels, Pixels]:
    """Return (degraded, clean) in random weather.

    30% fine streaks, 18% stretched noise, 18% near drops, 20% downpours, 10% drizzle, 4% dry.

    Mist belongs to the weather, not to the streaks, so it covers both images. A network thus learns to remove
    streaks and to preserve contrast. One degraded image in five is compressed as JPEG.
    """
    kind = rng.random()
    if kind < DRY:
        return clean, clean
    wind = float(np.clip(rng.normal(0, 16), -55, 55))
    if kind < DRY + 0.30:
        wet = fine_streaks(clean, rng, wind=wind)
    elif kind < DRY + 0.48:
        wet = stretched_noise(clean, rng, wind=wind)
    elif kind < DRY + 0.66:
        wet = near_drops(clean, rng, wind=wind)
    elif kind < DRY + 0.86:
        clean = mist(clean, rng) if rng.random() < 0.6 else clean
        wet = downpour(clean, rng, wind=wind)
    else:
        wet = drizzle(clean, rng, wind=wind)
    wet = np.clip(wet, 0, 1)
    if rng.random() < 0.2:
        wet = jpeg(wet, quality=int(rng.integers(75, 98)), subsample=bool(rng.random() < 0.5))
    return wet, clean


def fine_streaks(clean: Pixels, rng: Generator, *, wind: float) -> Pixels:
    """Return an image with rain like Rain100L's, not clipped.

    Gray light is added, the streaks agree in direction within 1 to 2 degrees, and they cover a tenth to a
    third of the image. The median length of the streaks in an image lies between 14 and 35 pixels, the median
    width (full width at half maximum) between 1.0 and 2.1. One streak in ten is longer than 41 to 104 pixels.
    """
    light = rain_streaks(
        (clean.shape[0], clean.shape[1]),
        rng,
        density=10 ** rng.uniform(0.45, 1.0),
        length=10 ** rng.uniform(1.45, 2.0),
        width=rng.uniform(1.8, 4.0),
        angle=wind,
        spread=rng.uniform(0.3, 1.1),
        depth=rng.uniform(2.5, 7),
        strength=10 ** rng.uniform(-0.75, -0.12),
        clump=rng.uniform(0, 0.6),
    )
    return lay(clean, light, blend="add")


def stretched_noise(clean: Pixels, rng: Generator, *, wind: float) -> Pixels:
    """Return an image with one layer of sparse noise, stretched into streaks as photo editors do.

    Much published synthetic rain is made in this way (Fu et al., CVPR 2017).
    """
    return rain(
        clean,
        rng,
        density=10 ** rng.uniform(0, 1.3),
        length=rng.uniform(15, 90),
        width=rng.uniform(1.0, 4.0),
        angle=wind,
        spread=rng.uniform(0, 4),
        depth=rng.uniform(1, 5),
        strength=10 ** rng.uniform(-0.9, 0),
        blend="add" if rng.random() < 0.8 else "screen",
        streaks="noise",
    )


def near_drops(clean: Pixels, rng: Generator, *, wind: float) -> Pixels:
    """Return an image with drops close to the camera, over a few distant ones.

    Near drops are wide and often out of focus. With a fast shutter, their streaks are short.
    """
    shape = clean.shape[0], clean.shape[1]
    fast = rng.random() < 0.5
    width = rng.uniform(2, 10)
    near = rain_streaks(
        shape,
        rng,
        density=10 ** rng.uniform(-0.7, 0.5),
        length=width * rng.uniform(1.5, 6) if fast else rng.uniform(30, 140),
        width=width,
        angle=wind,
        spread=rng.uniform(1, 10),
        depth=rng.uniform(1, 4),
        strength=rng.uniform(0.1, 0.85 if fast else 0.55),  # a long exposure makes a moving drop fainter
        flatness=int(rng.integers(1, 4)),
    )
    far = rain_streaks(
        shape,
        rng,
        density=10 ** rng.uniform(-0.3, 0.8),
        length=rng.uniform(8, 50),
        width=rng.uniform(1, 3),
        angle=wind,
        spread=rng.uniform(1, 6),
        depth=rng.uniform(1.5, 4),
        strength=10 ** rng.uniform(-0.9, -0.1),
    )
    return lay(clean, near + far, **_light_of_the_sky(rng))


def downpour(clean: Pixels, rng: Generator, *, wind: float) -> Pixels:
    """Return an image in heavy rain: short faint streaks far away, then bright ones nearer.

    Each layer has its own wind.
    """
    shape = clean.shape[0], clean.shape[1]
    sky = _light_of_the_sky(rng)
    length, strength = rng.uniform(6, 40), 10 ** rng.uniform(-0.8, -0.1)
    far = rain_streaks(
        shape,
        rng,
        density=10 ** rng.uniform(0.8, 1.5),
        length=length,
        width=rng.uniform(1, 2.2),
        angle=wind,
        spread=rng.uniform(1, 7),
        depth=rng.uniform(1, 2.5),
        strength=strength,
        clump=rng.uniform(0, 0.5),
    )
    wet = lay(clean, far, **sky)
    near = rain_streaks(
        shape,
        rng,
        density=10 ** rng.uniform(-0.2, 0.7),
        length=length * rng.uniform(1, 3),
        width=rng.uniform(1.5, 5),
        angle=float(np.clip(wind + rng.normal(0, 6), -70, 70)),
        spread=rng.uniform(1, 8),
        depth=rng.uniform(1.5, 4),
        strength=min(strength * rng.uniform(1, 2.5), 1.0),
        flatness=int(rng.integers(1, 3)),
    )
    return lay(wet, near, **sky)


def drizzle(clean: Pixels, rng: Generator, *, wind: float) -> Pixels:
    """Return an image with few or faint streaks, as in most photographs taken in the rain."""
    light = rain_streaks(
        (clean.shape[0], clean.shape[1]),
        rng,
        density=10 ** rng.uniform(-0.8, 0.5),
        length=rng.uniform(8, 90),
        width=rng.uniform(1, 3),
        angle=wind,
        spread=rng.uniform(0.5, 4),
        depth=rng.uniform(1, 4),
        strength=10 ** rng.uniform(-1.2, -0.5),
    )
    return lay(clean, light, **_light_of_the_sky(rng))


def mist(clean: Pixels, rng: Generator) -> Pixels:
    """Return an image under the veil of distant rain, brighter and with less contrast, clipped to [0, 1]."""
    return np.clip(veil(clean, rng, haze=rng.uniform(0.1, 0.7)), 0, 1)


def _light_of_the_sky(rng: Generator) -> dict[str, Any]:
    """Return random blend parameters: blend mode, brightness, and in one draw of three a slight tint."""
    return {
        "blend": str(rng.choice(["add", "screen", "cover"], p=[0.35, 0.15, 0.5])),
        "glow": rng.uniform(0.65, 1.0),
        "warmth": rng.normal(0, 0.03) if rng.random() < 1 / 3 else 0.0,
    }
