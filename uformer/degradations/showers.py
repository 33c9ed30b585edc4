"""The rain that training draws: showers of many kinds, from a benchmark's streaks to a downpour in mist.

Half of the draws follow the statistics of Rain100L (Yang et al., CVPR 2017), measured on pairs of its images: gray light
that is added and then clipped, one wind, many short thin streaks and a few long ones. The other half covers what
photographs show beyond that: drops out of focus, gusts from differing directions, downpours in mist, single faint streaks.
"""

from typing import Any

import numpy as np
from numpy.random import Generator

from uformer.degradations.compression import jpeg
from uformer.degradations.rain import lay, rain_streaks, veil
from uformer.image.image import Pixels

DRY = 0.04
"""Share of draws without rain."""


def random_rain(clean: Pixels, rng: Generator) -> tuple[Pixels, Pixels]:
    """(degraded, clean): 48% like Rain100L, 18% near drops, 20% downpours, 10% drizzle, 4% dry.

    A veil of mist belongs to the weather, not to the streaks: where there is one it lies over both images, so that a network
    learns to take streaks away and to leave contrast alone. One degraded image in five goes through JPEG.
    """
    kind = rng.random()
    if kind < DRY:
        return clean, clean
    wind = float(np.clip(rng.normal(0, 16), -55, 55))
    if kind < DRY + 0.48:
        wet = fine_streaks(clean, rng, wind=wind)
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
    """Rain100L: gray light added, one direction within 1 to 2 degrees, a tenth to a third of the image covered.

    Half of the streaks of an image are shorter than 14 to 35 pixels and thinner than 1.0 to 2.1 (full width at half of
    the light); one in ten is longer than 41 to 104 pixels. Not clipped.
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


def near_drops(clean: Pixels, rng: Generator, *, wind: float) -> Pixels:
    """Drops close to the camera: wide, often out of focus, short where the shutter was fast, over a few distant ones."""
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
        strength=rng.uniform(
            0.1, 0.85 if fast else 0.55
        ),  # the faster a drop crosses a pixel, the less it hides
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
    """Heavy rain: a texture of short faint streaks far away, then bright ones nearer, each layer with a wind of its own."""
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
    """Few or faint streaks, as most photographs taken in the rain show them."""
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
    """The veil of distant rain, which brightens an image and takes contrast away; clipped to [0, 1]."""
    return np.clip(veil(clean, rng, haze=rng.uniform(0.1, 0.7)), 0, 1)


def _light_of_the_sky(rng: Generator) -> dict[str, Any]:
    """How streaks mix with what lies behind them, their brightness, and a slight tint in one draw of three."""
    return {
        "blend": str(rng.choice(["add", "screen", "cover"], p=[0.35, 0.15, 0.5])),
        "glow": rng.uniform(0.65, 1.0),
        "warmth": rng.normal(0, 0.03) if rng.random() < 1 / 3 else 0.0,
    }
