"""Decides what is wrong with an image: noise, rain or nothing. docs/auto.md has the rule and its scores.

Two networks answer for a few small crops: the denoising one for the crops with the least texture, and the
deraining one for crops all over the image. Both change a clean image little. What they change of a noisy or
a rainy one has marks that the texture of a clean image lacks. All figures are in levels of 255.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from uformer.image.image import Pixels
from uformer.restore.tiles import Rows

Finding = Literal["denoise", "derain", "nothing"]
Answer = Callable[[Pixels], Pixels]
"""Returns what a network makes of a crop (C, h, w)."""

SIDE = 112
"""Pixels of the sides of a crop: with the margin, the smallest tile but one."""
_STRIPS = 8  # most strips of SIDE rows in which crops are looked for
_FLAT, _SPREAD = 2, 4  # number of crops
_BLOCK = 8  # pixels of the sides of a block; divides SIDE
_EDGE = 2 / 255  # values nearer to black or white count as clipped

CLEAR_COLOUR, CLEAR_LUMA = 2.7, 5.0
"""Noise that is strong enough to be certain, in its colours or in its luma."""
CLEAR_SHARE = 0.3
"""Least share that clear noise in luma has of the contrast in flat parts; texture keeps more of its own."""
WEAK_COLOUR, WEAK_SHARE, WEAK_SMOOTH = 0.9, 0.7, 0.8
"""Least figures of a camera's weak noise: colour, share of the contrast, and smoothness of the colour."""
RAIN, EVEN, ALIGNED = 2.0, 0.2, 0.65
"""Least figures of rain: strength, evenness over the image, and how far its streaks have one direction."""


@dataclass(frozen=True)
class NoiseFigures:
    """What denoising takes from the flattest parts of an image."""

    luma: float
    """Median over blocks of the root mean square that is removed from all channels alike."""
    colour: float
    """The same for the rest, in which the channels differ."""
    share: float
    """`luma` as a share of the contrast of the crops."""
    smooth: float
    """Correlation of the colour that is removed from neighbouring pixels: a camera's is smooth."""


@dataclass(frozen=True)
class RainFigures:
    """What deraining takes from crops all over an image."""

    strength: float
    """Root mean square."""
    even: float
    """Median energy of the parts of the crops over its mean: rain falls everywhere, and a fence does not."""
    aligned: float
    """How far the streaks in a crop have one direction, from 0 to 1; the median of the crops."""


@dataclass(frozen=True)
class Diagnosis:
    """What is wrong with an image, and why."""

    finding: Finding
    why: str

    def __str__(self) -> str:
        return f"{self.finding} ({self.why})"


def diagnose(read: Rows, shape: tuple[int, ...], denoised: Answer, derained: Answer) -> Diagnosis:
    """Return what is wrong with an image of `shape` (H, W, C), whose rows `read` returns as (C, n, W)."""
    flat, spread = find_crops(read, shape)
    noise = noise_figures(flat, [denoised(crop) - crop for crop in flat])
    rain = rain_figures([derained(crop) - crop for crop in spread])
    return decide(noise, rain)


def decide(noise: NoiseFigures, rain: RainFigures) -> Diagnosis:
    """Apply the rule. Clear noise comes before rain, because deraining leaves it in place."""
    found = f"noise of {max(noise.luma, noise.colour):.1f} levels in flat parts"
    clear = noise.luma >= CLEAR_LUMA and noise.share >= CLEAR_SHARE
    if clear or noise.colour >= CLEAR_COLOUR:
        return Diagnosis("denoise", found)
    if rain.strength >= RAIN and rain.even >= EVEN and rain.aligned >= ALIGNED:
        return Diagnosis("derain", f"streaks of {rain.strength:.1f} levels all over the image")
    if noise.colour >= WEAK_COLOUR and noise.share >= WEAK_SHARE and noise.smooth >= WEAK_SMOOTH:
        return Diagnosis("denoise", f"{found}, smooth in colour like the noise of a camera")
    return Diagnosis("nothing", "neither clear noise nor rain")


def noise_figures(crops: Sequence[Pixels], changes: Sequence[Pixels]) -> NoiseFigures:
    """Measure what denoising changes in crops (C, h, w) in [0, 1]."""
    lumas, colours, contrasts, colour_planes = [], [], [], []
    for crop, change in zip(crops, changes, strict=True):
        luma = change.mean(axis=0)
        colour = change - luma
        lumas.append(_blocks(luma * luma).ravel())
        colours.append(_blocks((colour * colour).mean(axis=0)).ravel())
        level = crop.mean(axis=0)
        contrasts.append(_blocks(level * level).ravel() - _blocks(level).ravel() ** 2)
        colour_planes.append(colour)
    luma_rms, colour_rms, contrast = (
        255 * float(np.median(np.sqrt(np.maximum(np.concatenate(values), 0))))
        for values in (lumas, colours, contrasts)
    )
    energy = sum(float(plane.var()) for plane in colour_planes)
    wide = min(plane.shape[2] for plane in colour_planes) > 1
    steps = sum(float(np.mean(np.diff(plane, axis=2) ** 2)) for plane in colour_planes) if wide else 0.0
    smooth = 1 - steps / (2 * energy) if energy > 0 else 0.0
    return NoiseFigures(luma_rms, colour_rms, luma_rms / max(contrast, 1e-3), smooth)


def rain_figures(changes: Sequence[Pixels]) -> RainFigures:
    """Measure what deraining changes in crops (C, h, w)."""
    strength = 255 * float(np.sqrt(np.mean([np.mean(change * change) for change in changes])))
    energies, aligned = [], []
    for change in changes:
        luma = change.mean(axis=0)
        darkened = np.maximum(-luma, 0)  # rain adds light
        energies.append(_blocks(darkened * darkened, SIDE // 4).ravel())
        aligned += [_alignment(part) for part in _quarters(luma)]
    energy = np.concatenate(energies)
    even = float(np.median(energy) / max(energy.mean(), 1e-12))
    return RainFigures(strength, even, float(np.median(aligned)))


def find_crops(read: Rows, shape: tuple[int, ...]) -> tuple[list[Pixels], list[Pixels]]:
    """Return the crops (C, h, w) with the least texture, and crops that are spread over the image.

    They lie in a few strips of the image, which are read from top to bottom. An image smaller than a crop is
    its own crop.
    """
    height, width, _ = shape
    rows, columns = min(SIDE, height), min(SIDE, width)
    count = min(_STRIPS, -(-height // SIDE))
    tops = sorted({round(place) for place in np.linspace(0, height - rows, count)})
    flat: list[tuple[float, Pixels]] = []
    spread: list[Pixels] = []
    wanted = [tops[round(place * (len(tops) - 1))] for place in np.linspace(0.25, 0.75, _SPREAD // 2)]
    for top in tops:
        strip = read(top, top + rows)
        texture = _texture(strip)
        flat += [
            (texture[left : left + columns].mean(), np.array(strip[:, :, left : left + columns]))
            for left in [_flattest(texture, columns)]
        ]
        for place in (0.2, 0.8):
            left = round(place * (width - columns))
            if top in wanted:
                spread.append(np.array(strip[:, :, left : left + columns]))
    flat.sort(key=lambda each: each[0])
    return [crop for _, crop in flat[:_FLAT]], spread


def _texture(strip: Pixels) -> Pixels:
    """Return how much texture each column of a strip (C, h, W) has; much where it is clipped."""
    level = strip.mean(axis=0)
    variance = np.maximum(_blocks(level * level) - _blocks(level) ** 2, 0)
    clipped = np.any((strip < _EDGE) | (strip > 1 - _EDGE), axis=0)
    columns = (np.sqrt(variance) + 0.5 * _blocks(np.asarray(clipped, np.float32))).mean(axis=0)
    texture = np.repeat(columns, min(_BLOCK, *level.shape))
    return np.pad(texture, (0, strip.shape[2] - len(texture)), mode="edge")


def _flattest(texture: Pixels, columns: int) -> int:
    """Return the left column of the window with the least texture."""
    sums = np.cumsum(np.concatenate([[0], texture]))
    return int(np.argmin(sums[columns:] - sums[:-columns]))


def _blocks(plane: Pixels, side: int = _BLOCK) -> Pixels:
    """Return the means of blocks; what is left over at the bottom and right does not count."""
    side = min(side, *plane.shape)
    height, width = (length // side * side for length in plane.shape)
    means: Pixels = (
        plane[:height, :width].reshape(height // side, side, width // side, side).mean(axis=(1, 3))
    )
    return means


def _quarters(plane: Pixels) -> list[Pixels]:
    height, width = (length // 2 for length in plane.shape)
    return [plane[top : top + height, left : left + width] for top in (0, height) for left in (0, width)]


def _alignment(plane: Pixels) -> float:
    """Return the coherence of the structure tensor: 1 if all gradients have one direction, 0 for none."""
    if min(plane.shape) < 2:
        return 0.0
    down, across = np.gradient(plane)
    first, second, both = (float(np.mean(part)) for part in (across**2, down**2, across * down))
    return float(np.hypot(first - second, 2 * both) / max(first + second, 1e-12))
