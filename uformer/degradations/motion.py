"""Motion during an exposure: a camera that shifts, turns and nears; a thing that moves another way before it.

Light is float32 (H, W, C), linear, not negative. A moment of a motion is a small homography, taken to the
first order; what a motion does to light is the mean over its moments. In the middle of the exposure
everything is where it is in the sharp image.
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from uformer.degradations.blur import Path, convolve, convolve_unevenly, splat, trajectory
from uformer.image.image import Pixels

Mask = NDArray[np.float32]
"""How much of each pixel a thing covers, 0 to 1, (H, W)."""

_DENSEST = 255
"""Moments of a motion without gaps: two for each pixel of its path, but no more than this."""


@dataclass(frozen=True)
class Motion:
    """Where things are at the moments of an exposure, relative to the sharp image.

    Paths are in pixels, 0 in the middle of the exposure. A point of the image is a complex number q, 0 in the
    image's middle and at most 1 away from it. It lies off by shift + q turn + q Re(conj(tilt) q): a
    homography to the first order.
    """

    shift: Path
    turn: Path
    """Of the farthest points against the middle: the real part nears or recedes, the imaginary part rolls."""
    tilt: Path
    """Of the farthest points: perspective."""

    @property
    def even(self) -> bool:
        """Whether all points move alike."""
        return not (self.turn.any() or self.tilt.any())

    @property
    def reach(self) -> float:
        """Pixels: no point ever lies farther off."""
        return float((np.abs(self.shift) + np.abs(self.turn) + np.abs(self.tilt)).max())

    def at(self, point: complex) -> Path:
        """How far a point lies off at each moment."""
        return self.shift + point * (self.turn + (np.conj(self.tilt) * point).real)

    def scaled(self, factor: float) -> "Motion":
        """The same motion, larger or smaller."""
        return Motion(self.shift * factor, self.turn * factor, self.tilt * factor)


def still() -> Motion:
    """No motion."""
    return Motion(*(np.zeros(1, complex) for _ in range(3)))


def random_motion(
    rng: Generator,
    *,
    length: float,
    swing: float,
    anxiety: float,
    linger: float,
    frames: int | None,
    reach: float,
) -> Motion:
    """A random motion, its path `length` pixels long; smaller where a point would lie beyond `reach`.

    - `swing`: pixels that the farthest points move against the middle, half by turning, half by perspective.
    - `anxiety`: 0 for a steady drift, 1 for a trembling hand.
    - `linger`: 0 for an even speed, 1 for a hand that rests at the start and at the end, which doubles edges.
    - `frames`: an odd number of moments, as of a video whose frames are averaged; None leaves no gaps.
    """
    count = frames or min(2 * int(np.ceil(length + swing)) + 3, _DENSEST)
    times = np.linspace(0, 1, count)
    times -= linger / (2 * np.pi) * np.sin(2 * np.pi * times)

    def path(length: float, anxiety: float) -> Path:
        if length == 0:
            return np.zeros(count, complex)
        whole = trajectory(rng, length=length, anxiety=anxiety)
        seen = np.interp(times * (len(whole) - 1), np.arange(len(whole)), whole)
        return seen - seen[count // 2]

    motion = Motion(path(length, anxiety), path(swing / 2, anxiety / 2), path(swing / 2, 0.0))
    return motion.scaled(min(1.0, reach / max(motion.reach, 1e-6)))


def moved(light: Pixels, motion: Motion) -> Pixels:
    """Light averaged over a motion; of one that is not even, at 3 x 3 points, interpolated between."""
    if motion.even:
        return convolve(light, splat(motion.shift))
    height, width = light.shape[:2]
    corner = np.hypot(height, width)
    rows, columns = (np.linspace(-1, 1, 3) * side / corner for side in (height, width))
    kernels = [[splat(motion.at(complex(column, row))) for column in columns] for row in rows]
    return convolve_unevenly(light, kernels)


def moved_before(background: Pixels, camera: Motion, foreground: Pixels, mask: Mask, thing: Motion) -> Pixels:
    """A thing that moves one way before a background that moves another.

    `foreground` is the thing's light; `mask` says which pixels it covers in the sharp image, and moves with
    it. What the thing hides is counted by its share of the exposure, not moment by moment: exact where the
    camera or the thing is at rest.
    """
    layer = moved(np.concatenate([foreground * mask[..., None], mask[..., None]], axis=2), thing)
    colours = background.shape[2]
    return layer[..., :colours] + (1 - layer[..., colours:]) * moved(background, camera)


def silhouette(shape: tuple[int, int], rng: Generator) -> Mask:
    """The outline of a thing: one to three ellipses, blobs, polygons or limbs; soft over 1 to 3 pixels."""
    side = min(shape)
    size = side * rng.uniform(0.1, 0.4)
    middle = complex(rng.uniform(0.15, 0.85) * shape[1], rng.uniform(0.15, 0.85) * shape[0])
    nearest = np.full(shape, np.inf, np.float32)
    for part in range(int(rng.integers(1, 4))):
        off = size * rng.uniform(0.5, 1.5) * np.exp(2j * np.pi * rng.random()) if part else 0
        nearest = np.minimum(nearest, _outside(shape, middle + off, size * rng.uniform(0.6, 1.2), rng))
    edge = np.float32(1.0 if rng.random() < 0.7 else rng.uniform(1, 3))
    return np.clip(np.float32(0.5) - nearest / edge, 0, 1)


def _outside(shape: tuple[int, int], middle: complex, size: float, rng: Generator) -> NDArray[np.float32]:
    """Pixels from the border of a random part of a thing, about; negative inside."""
    turn = rng.uniform(0, 2 * np.pi)
    rows = np.arange(shape[0], dtype=np.float32)[:, None] - np.float32(middle.imag)
    columns = np.arange(shape[1], dtype=np.float32) - np.float32(middle.real)
    cosine, sine = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    along, across = columns * cosine + rows * sine, rows * cosine - columns * sine
    kind = rng.random()
    if kind < 0.3:  # a limb: all that is near a line
        half = np.float32(size * rng.uniform(0.15, 0.4))
        beyond = np.maximum(np.abs(along) - np.float32(size), 0)
        return np.sqrt(np.square(beyond) + np.square(across)) - half
    if kind < 0.55:  # a convex polygon: the farthest of its sides
        corners = int(rng.integers(3, 8))
        angles = (np.arange(corners) + rng.uniform(-0.3, 0.3, corners)) * (2 * np.pi / corners)
        normals = [(np.float32(np.cos(angle)), np.float32(np.sin(angle))) for angle in angles]
        far = [np.float32(size * rng.uniform(0.5, 1)) for _ in angles]
        sides = [along * x + across * y - off for (x, y), off in zip(normals, far, strict=True)]
        return np.maximum.reduce(sides)
    across = across * np.float32(rng.uniform(1, 2.5))
    radius = np.sqrt(np.square(along) + np.square(across))
    if kind < 0.75:
        return radius - np.float32(size)
    angle = np.arctan2(across, along)  # a blob: an ellipse whose radius swells and shrinks around it
    swell = np.ones_like(angle)
    for waves in (2, 3, 4, 5):
        height, phase = np.float32(rng.normal(0, 0.25) / waves), np.float32(rng.uniform(0, 2 * np.pi))
        swell += height * np.cos(waves * angle + phase)
    return radius - np.float32(size) * swell
