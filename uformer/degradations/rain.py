"""Rain: streaks of light, each with its own direction, length, width and depth, and a veil of haze.

Images are float32 (H, W, 3), sRGB in [0, 1], in and out. Every function is pure and seeded by its `rng`. A
streak is the trace of a falling drop while the shutter is open (Garg & Nayar, IJCV 2007, section 4). A rainy
image is the clean one with layers of streaks and a veil (Yang et al., CVPR 2017, equations 1 and 2).
"""

import dataclasses
import functools
from typing import Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from uformer.degradations.blur import fast_length
from uformer.degradations.noise import check_ranges
from uformer.degradations.streaks import Streaks, draw
from uformer.image.image import Pixels


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
    clump: float = 0.0,
    flatness: int = 1,
    blend: Literal["add", "screen", "cover"] = "add",
    glow: float = 0.85,
    warmth: float = 0.0,
    haze: float = 0.0,
    streaks: Literal["drops", "noise"] = "drops",
) -> Pixels:
    """Add rain to an image, clipped to [0, 1].

    - `density`: streaks that begin in an area of 1000 pixels, 0 to 50. 1 is light rain, 20 a downpour.
    - `length`, `width`: size of the nearest streaks in pixels, 1 to 1000 and 0.1 to 100.
    - `angle`, `spread`: mean and standard deviation of the direction in degrees, -90 to 90 and 0 to 45. 0 is
      straight down, and positive angles lean to the right.
    - `depth`: distance of the farthest streaks relative to the nearest, 1 to 100. Far streaks are shorter,
      thinner and fainter.
    - `strength`: light of the nearest streaks, 0 to 1; with blend="cover", their opacity.
    - `clump`: share of the drops that gather beside others, 0 to 1. For "drops" only.
    - `flatness`: profile across a streak, 1 to 8: 1 is a bell, 8 an even disc like that of a drop out of
      focus. For "drops" only.
    - `blend`: "add" adds the light (Rain100L). "screen" lets the light hide the background. "cover" lays
      drops of the brightness `glow` over the image, which darken anything brighter (Garg & Nayar 2007).
    - `glow`: brightness of the drops with blend="cover", 0 to 1.
    - `warmth`: colour of the light, -0.5 (blue) to 0.5 (red).
    - `haze`: largest share of the light, including that of the streaks, that the veil absorbs, 0 to 0.9. The
      veil itself is bright gray.
    - `streaks`: "drops" draws streaks one by one (`rain_streaks`); "noise" stretches sparse noise
      (`noise_streaks`).

    Raises ValueError for a value out of range.
    """
    if blend not in ("add", "screen", "cover"):
        raise ValueError(f"rain: blend={blend!r} must be 'add', 'screen' or 'cover'")
    check_ranges("rain", haze=(haze, 0, 0.9), glow=(glow, 0, 1), warmth=(warmth, -0.5, 0.5))
    if streaks not in ("drops", "noise"):
        raise ValueError(f"rain: streaks={streaks!r} must be 'drops' or 'noise'")
    draw_light = (
        functools.partial(rain_streaks, clump=clump, flatness=flatness)
        if streaks == "drops"
        else noise_streaks
    )
    light = draw_light(
        (clean.shape[0], clean.shape[1]),
        rng,
        density=density,
        length=length,
        width=width,
        angle=angle,
        spread=spread,
        depth=depth,
        strength=strength,
    )
    wet = lay(clean, light, blend=blend, glow=glow, warmth=warmth)
    return np.clip(veil(wet, rng, haze=haze) if haze else wet, 0, 1).astype(np.float32)


def lay(
    clean: Pixels, light: NDArray[np.float32], *, blend: str, glow: float = 0.85, warmth: float = 0.0
) -> Pixels:
    """Return an image under the light of streaks, (H, W), not clipped. Parameters are those of `rain`."""
    tint = np.array([1 + warmth, 1, 1 - warmth], np.float32)
    if blend == "add":
        return clean + light[..., None] * tint
    if blend == "screen":
        return 1 - (1 - clean) * (1 - np.minimum(light[..., None] * tint, 1))
    opacity = np.minimum(light, 1)[..., None]
    return clean + opacity * (np.minimum(np.float32(glow) * tint, 1) - clean)


def _check_streaks(
    density: float,
    length: float,
    width: float,
    angle: float,
    spread: float,
    depth: float,
    strength: float,
) -> None:
    check_ranges(
        "rain",
        density=(density, 0, 50),
        length=(length, 1, 1000),
        width=(width, 0.1, 100),
        strength=(strength, 0, 1),
    )
    check_ranges("rain", angle=(angle, -90, 90), spread=(spread, 0, 45), depth=(depth, 1, 100))


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
    clump: float = 0.0,
    flatness: int = 1,
) -> NDArray[np.float32]:
    """Return the light of the streaks alone, (H, W), at least 0. It adds up where streaks cross.

    Parameters and errors are those of `rain`.
    """
    _check_streaks(density, length, width, angle, spread, depth, strength)
    check_ranges("rain", clump=(clump, 0, 1), flatness=(flatness, 1, 8))
    height, columns = shape
    count = rng.poisson(density / 1000 * (height + length) * (columns + length))
    near = depth ** -rng.random(count)  # 1 / distance, log-uniform: most streaks are far
    y = rng.uniform(-length / 2, height + length / 2, count)
    x = rng.uniform(-length / 2, columns + length / 2, count)
    direction = np.clip(np.deg2rad(angle + spread * rng.standard_normal(count)), -np.pi / 2, np.pi / 2)
    streaks = Streaks(
        y=y,
        x=x,
        direction=direction,
        length=np.maximum(length * near * rng.uniform(0.5, 1.0, count), 1),
        width=np.maximum(width * near * rng.uniform(0.6, 1.0, count), 0.7),
        light=strength * near * rng.uniform(0.05, 1.0, count),
        tilt=rng.uniform(-0.6, 0.6, count),
        fade=rng.uniform(0.05, 0.5, count),
        flatness=flatness,
    )
    return draw(shape, _clumped(streaks, rng, share=clump) if clump and count else streaks)


def _clumped(streaks: Streaks, rng: Generator, *, share: float) -> Streaks:
    """Return the streaks with a share of them moved beside others, into bands, as gusts do in a shower."""
    count = len(streaks.x)
    leader = np.where(rng.random(count) < share, rng.integers(count, size=count), np.arange(count))
    along = streaks.length[leader] * rng.uniform(-0.5, 0.5, count) * (leader != np.arange(count))
    across = streaks.width[leader] * rng.normal(0, 1.5, count) * (leader != np.arange(count))
    down, right = np.cos(streaks.direction[leader]), np.sin(streaks.direction[leader])
    y, x = (
        streaks.y[leader] + along * down - across * right,
        streaks.x[leader] + along * right + across * down,
    )
    return dataclasses.replace(streaks, y=y, x=x, direction=streaks.direction[leader])


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
    """Return the light of sparse noise stretched by motion blur, (H, W), at least 0.

    Its streaks overlap into bands, and most are faint. Parameters and errors are those of `rain`. Three
    layers stand for three distances, each with one direction. In a layer, the brightness of the dots has an
    exponential distribution; one dot in twenty is brighter than `strength`. The dots come in gusts: their
    density varies smoothly by a factor of up to e in either direction.
    """
    _check_streaks(density, length, width, angle, spread, depth, strength)
    margin = int(length / 2 + 2 * width) + 2
    height, columns = (fast_length(side + 2 * margin) for side in shape)
    down = np.fft.fftfreq(height).astype(np.float32)[:, None]  # cycles a pixel
    right = np.fft.rfftfreq(columns).astype(np.float32)
    smooth = np.exp(-((2 * length) ** 2) * (down**2 + right**2))
    gusts = np.fft.irfft2(
        np.fft.rfft2(rng.standard_normal((height, columns), np.float32)) * smooth, (height, columns)
    )
    gusts = np.exp(np.float32(rng.uniform(0, 1) / max(float(np.abs(gusts).max()), 1e-9)) * gusts)
    spectrum = np.zeros((height, len(right)), np.complex64)
    for near in depth ** -np.array([0, 0.5, 1]):
        falls = rng.random((height, columns), np.float32) < np.float32(density / 3000) * gusts
        dots = (
            falls * rng.standard_exponential((height, columns), np.float32) * np.float32(strength * near / 3)
        )
        direction = np.deg2rad(angle + spread * rng.standard_normal())
        long, wide = max(length * near * rng.uniform(0.75, 1), 1.0), max(width * near, 0.7)
        along = down * np.float32(np.cos(direction)) + right * np.float32(np.sin(direction))
        across = right * np.float32(np.cos(direction)) - down * np.float32(np.sin(direction))
        sigma = np.float32(wide / np.sqrt(8 * np.log(2)))
        soft_ends = np.exp(-np.float32(2 * (np.pi * 0.1 * long) ** 2) * along**2)
        line = np.sinc(along * np.float32(long)) * soft_ends  # even light in between
        wide_line = line * np.exp(-np.float32(2 * (np.pi * sigma) ** 2) * across**2)
        spectrum += np.fft.rfft2(dots) * (wide_line * np.float32(long * sigma * np.sqrt(2 * np.pi)))
    drawn = np.fft.irfft2(spectrum, (height, columns))[margin : margin + shape[0], margin : margin + shape[1]]
    return np.maximum(drawn, 0).astype(np.float32)


def veil(clean: Pixels, rng: Generator, *, haze: float) -> Pixels:
    """Return an image under the veil of distant rain: clean * t + light * (1 - t) (Yang 2017, equation 2).

    The transmission t varies smoothly between 1 - haze and 1.
    """
    height, width = clean.shape[:2]
    slope_y, slope_x = rng.uniform(-0.5, 0.5, 2)
    ramp = 0.5 + slope_y * np.linspace(-1, 1, height)[:, None] + slope_x * np.linspace(-1, 1, width)
    transmitted = (1 - haze * np.clip(ramp, 0, 1)).astype(np.float32)[..., None]
    return clean * transmitted + np.float32(rng.uniform(0.6, 0.95)) * (1 - transmitted)
