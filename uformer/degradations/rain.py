"""Rain: streaks of light, each with a direction, length, width and depth of its own, and the veil of haze between them.

Pictures are float32 (H, W, 3), sRGB in [0, 1], in and out. Every function is pure and seeded by its `rng`. A streak is what a
falling drop draws while the shutter is open (Garg & Nayar, IJCV 2007, section 4); a rainy picture is the clean one with layers
of streaks and a veil (Yang et al., CVPR 2017, equations 1 and 2).
"""

from typing import Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from uformer.degradations.blur import fast_length
from uformer.degradations.noise import Pixels, check_ranges


def rain(
    clean: Pixels,
    rng: Generator,
    *,
    density: float = 3.0,
    length: float = 40.0,
    width: float = 2.5,
    angle: float = 0.0,
    spread: float = 3.0,
    depth: float = 3.0,
    strength: float = 0.4,
    blend: Literal["add", "screen"] = "add",
    haze: float = 0.0,
    streaks: Literal["drops", "noise"] = "drops",
) -> Pixels:
    """Let it rain on a picture; clipped to [0, 1].

    - `density`: streaks that begin in an area of 1000 pixels, 0 to 50: 1 is light, 20 a downpour.
    - `length`, `width`: of the nearest streaks, in pixels: 1 to 1000, 0.1 to 100.
    - `angle`, `spread`: mean and standard deviation of the direction in degrees, -90 to 90 and 0 to 45; 0 falls straight down,
      positive to the right.
    - `depth`: how many times farther the farthest streak is than the nearest; far ones are shorter, thinner and fainter. 1 to 100.
    - `strength`: light of the nearest streaks, 0 to 1.
    - `blend`: "add" adds it (Rain100L), "screen" lets it hide what lies behind.
    - `haze`: how much of the light, that of the streaks too, the veil takes at the most: 0 to 0.9. Its own light is a bright gray.
    - `streaks`: "drops" draws each by itself (`rain_streaks`); "noise" draws out sparse noise (`noise_streaks`), which looks
      like Rain100L.

    Raises ValueError for a value out of its range.
    """
    if blend not in ("add", "screen"):
        raise ValueError(f"rain: blend={blend!r} must be 'add' or 'screen'")
    check_ranges("rain", haze=(haze, 0, 0.9))
    if streaks not in ("drops", "noise"):
        raise ValueError(f"rain: streaks={streaks!r} must be 'drops' or 'noise'")
    light = (rain_streaks if streaks == "drops" else noise_streaks)(
        (clean.shape[0], clean.shape[1]),
        rng,
        density=density,
        length=length,
        width=width,
        angle=angle,
        spread=spread,
        depth=depth,
        strength=strength,
    )[..., None]
    wet = clean + light if blend == "add" else 1 - (1 - clean) * (1 - np.minimum(light, 1))
    return np.clip(veil(wet, rng, haze=haze) if haze else wet, 0, 1).astype(np.float32)


def rain_streaks(
    shape: tuple[int, int],
    rng: Generator,
    *,
    density: float,
    length: float,
    width: float,
    angle: float,
    spread: float,
    depth: float,
    strength: float,
) -> NDArray[np.float32]:
    """The light of the streaks alone, (H, W), at least 0; where streaks cross it adds up. Parameters and errors are those of `rain`."""
    check_ranges("rain", density=(density, 0, 50), length=(length, 1, 1000), width=(width, 0.1, 100), strength=(strength, 0, 1))
    check_ranges("rain", angle=(angle, -90, 90), spread=(spread, 0, 45), depth=(depth, 1, 100))
    height, columns = shape
    light = np.zeros(shape, np.float32)
    count = rng.poisson(density / 1000 * (height + length) * (columns + length))
    near = depth ** -rng.random(count)  # 1 / distance, evenly spread on a logarithmic scale: most streaks are far
    ys = rng.uniform(-length / 2, height + length / 2, count)
    xs = rng.uniform(-length / 2, columns + length / 2, count)
    directions = np.deg2rad(angle + spread * rng.standard_normal(count))
    lengths = length * near * rng.uniform(0.5, 1.0, count)
    widths = np.maximum(width * near * rng.uniform(0.6, 1.0, count), 0.7)
    lights = strength * near * rng.uniform(0.05, 1.0, count)
    slopes = rng.uniform(-0.6, 0.6, count)  # brighter towards one end, as a drop that swings is
    for y, x, direction, long, wide, bright, slope in zip(ys, xs, directions, lengths, widths, lights, slopes, strict=True):
        _draw(light, y, x, direction, long, wide, bright, slope)
    return light


def noise_streaks(
    shape: tuple[int, int],
    rng: Generator,
    *,
    density: float,
    length: float,
    width: float,
    angle: float,
    spread: float,
    depth: float,
    strength: float,
) -> NDArray[np.float32]:
    """Sparse noise drawn out by motion, (H, W), at least 0: streaks that crowd and overlap into bands, most of them faint.

    Parameters and errors are those of `rain`. Three layers stand for three distances, each with one direction. In a layer the dots of
    light have an exponential distribution, one in twenty brighter than `strength`, and come in gusts: their density varies smoothly
    by a factor of up to e either way.
    """
    check_ranges("rain", density=(density, 0, 50), length=(length, 1, 1000), width=(width, 0.1, 100), strength=(strength, 0, 1))
    check_ranges("rain", angle=(angle, -90, 90), spread=(spread, 0, 45), depth=(depth, 1, 100))
    margin = int(length / 2 + 2 * width) + 2
    height, columns = (fast_length(side + 2 * margin) for side in shape)
    down = np.fft.fftfreq(height).astype(np.float32)[:, None]  # cycles a pixel
    right = np.fft.rfftfreq(columns).astype(np.float32)
    smooth = np.exp(-((2 * length) ** 2) * (down**2 + right**2))
    gusts = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((height, columns), np.float32)) * smooth, (height, columns))
    gusts = np.exp(np.float32(rng.uniform(0, 1) / max(float(np.abs(gusts).max()), 1e-9)) * gusts)
    spectrum = np.zeros((height, len(right)), np.complex64)
    for near in depth ** -np.array([0, 0.5, 1]):
        falls = rng.random((height, columns), np.float32) < np.float32(density / 3000) * gusts
        dots = falls * rng.standard_exponential((height, columns), np.float32) * np.float32(strength * near / 3)
        direction = np.deg2rad(angle + spread * rng.standard_normal())
        long, wide = max(length * near * rng.uniform(0.75, 1), 1.0), max(width * near, 0.7)
        along = down * np.float32(np.cos(direction)) + right * np.float32(np.sin(direction))
        across = right * np.float32(np.cos(direction)) - down * np.float32(np.sin(direction))
        sigma = np.float32(wide / np.sqrt(8 * np.log(2)))
        line = np.sinc(along * np.float32(long)) * np.exp(
            -np.float32(2 * (np.pi * 0.1 * long) ** 2) * along**2
        )  # even light with soft ends
        wide_line = line * np.exp(-np.float32(2 * (np.pi * sigma) ** 2) * across**2)
        spectrum += np.fft.rfft2(dots) * (wide_line * np.float32(long * sigma * np.sqrt(2 * np.pi)))
    drawn = np.fft.irfft2(spectrum, (height, columns))[margin : margin + shape[0], margin : margin + shape[1]]
    return np.maximum(drawn, 0).astype(np.float32)


def _draw(light: NDArray[np.float32], y: float, x: float, direction: float, long: float, wide: float, bright: float, slope: float) -> None:
    """Add one streak: a Gaussian of full width `wide` at half its height across, soft ends along."""
    down, right = np.cos(direction), np.sin(direction)
    reach_y, reach_x = (abs(part) * long / 2 + 1.5 * wide + 1 for part in (down, right))
    top, bottom = max(0, int(y - reach_y)), min(light.shape[0], int(y + reach_y) + 2)
    left, end = max(0, int(x - reach_x)), min(light.shape[1], int(x + reach_x) + 2)
    if top >= bottom or left >= end:
        return
    rows = (np.arange(top, bottom) - y).astype(np.float32)[:, None]
    columns = (np.arange(left, end) - x).astype(np.float32)
    along = rows * np.float32(down) + columns * np.float32(right)
    across = columns * np.float32(down) - rows * np.float32(right)
    ends = np.clip((long / 2 - np.abs(along)) / max(1.0, 0.15 * long) + 0.5, 0, 1)
    profile = np.exp(across**2 * np.float32(-4 * np.log(2) / wide**2))
    light[top:bottom, left:end] += ends * profile * (bright * (1 + slope * (2 / long) * np.clip(along, -long / 2, long / 2)))


def veil(clean: Pixels, rng: Generator, *, haze: float) -> Pixels:
    """What distant rain makes of a picture: clean * t + light * (1 - t), t between 1 - haze and 1, smooth (Yang 2017, equation 2)."""
    height, width = clean.shape[:2]
    slope_y, slope_x = rng.uniform(-0.5, 0.5, 2)
    ramp = 0.5 + slope_y * np.linspace(-1, 1, height)[:, None] + slope_x * np.linspace(-1, 1, width)
    transmitted = (1 - haze * np.clip(ramp, 0, 1)).astype(np.float32)[..., None]
    return clean * transmitted + np.float32(rng.uniform(0.6, 0.95)) * (1 - transmitted)
