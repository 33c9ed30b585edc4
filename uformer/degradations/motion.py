"""Motion during an exposure: a camera that shifts, rolls and approaches, and an object that moves on its own.

Light is float32 (H, W, C), linear and not negative. Each moment of a motion is a small homography,
approximated to first order. The blurred light is the mean over all moments. In the middle of the exposure,
everything is where it is in the sharp image.
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from uformer.degradations.blur import Path, convolve, convolve_unevenly, splat, trajectory
from uformer.image.image import Pixels

Mask = NDArray[np.float32]
"""The share of each pixel that an object covers, 0 to 1, (H, W)."""

_DENSEST = 255
"""Most moments of a motion without gaps, which otherwise has two per pixel of its path."""


@dataclass(frozen=True)
class Motion:
    """Displacements at the moments of an exposure, relative to the sharp image.

    Paths are in pixels and 0 in the middle of the exposure. A point of the image is a complex number q with
    |q| <= 1; the centre of the image is 0. Its displacement is shift + q turn + q Re(conj(tilt) q), a
    homography to first order.
    """

    shift: Path
    turn: Path
    """Displacement of the farthest points: the real part zooms, the imaginary part rotates."""
    tilt: Path
    """Displacement of the farthest points by perspective."""

    @property
    def even(self) -> bool:
        """Whether all points move in the same way."""
        return not (self.turn.any() or self.tilt.any())

    @property
    def reach(self) -> float:
        """An upper bound of all displacements, in pixels."""
        return float((np.abs(self.shift) + np.abs(self.turn) + np.abs(self.tilt)).max())

    def at(self, point: complex) -> Path:
        """Return the displacement of a point at each moment."""
        return self.shift + point * (self.turn + (np.conj(self.tilt) * point).real)

    def scaled(self, factor: float) -> "Motion":
        """Return the same motion, scaled."""
        return Motion(self.shift * factor, self.turn * factor, self.tilt * factor)


def still() -> Motion:
    """Return a motion without displacement."""
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
    """Return a random motion with a path of `length` pixels, scaled down if a displacement exceeds `reach`.

    - `swing`: pixels that the farthest points move relative to the centre, half by rotation or zoom and half
      by perspective.
    - `anxiety`: 0 for a steady drift, 1 for a trembling hand.
    - `linger`: 0 for constant speed, 1 for a hand that rests at the start and the end, which doubles edges.
    - `frames`: an odd number of moments, as in a video whose frames are averaged; None leaves no gaps.
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
    """Return light averaged over a motion. Uneven motion is computed at 3 x 3 points and interpolated."""
    if motion.even:
        return convolve(light, splat(motion.shift))
    height, width = light.shape[:2]
    corner = np.hypot(height, width)
    rows, columns = (np.linspace(-1, 1, 3) * side / corner for side in (height, width))
    kernels = [[splat(motion.at(complex(column, row))) for column in columns] for row in rows]
    return convolve_unevenly(light, kernels)


def moved_before(background: Pixels, camera: Motion, foreground: Pixels, mask: Mask, thing: Motion) -> Pixels:
    """Return the light of an object that moves one way before a background that moves another.

    `foreground` is the light of the object. `mask` holds the pixels that it covers in the sharp image, and
    moves with it. The hidden part of the background is computed from mean coverage, not moment by
    moment, which is exact only if the camera or the object rests.
    """
    layer = moved(np.concatenate([foreground * mask[..., None], mask[..., None]], axis=2), thing)
    colours = background.shape[2]
    return layer[..., :colours] + (1 - layer[..., colours:]) * moved(background, camera)


def silhouette(shape: tuple[int, int], rng: Generator) -> Mask:
    """Return a random mask of one to three ellipses, blobs, polygons or limbs with edges of 1 to 3 pixels."""
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
    """Return approximate distances in pixels from the border of a random shape; negative inside."""
    turn = rng.uniform(0, 2 * np.pi)
    rows = np.arange(shape[0], dtype=np.float32)[:, None] - np.float32(middle.imag)
    columns = np.arange(shape[1], dtype=np.float32) - np.float32(middle.real)
    cosine, sine = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    along, across = columns * cosine + rows * sine, rows * cosine - columns * sine
    kind = rng.random()
    if kind < 0.3:  # a limb: all points near a line
        half = np.float32(size * rng.uniform(0.15, 0.4))
        beyond = np.maximum(np.abs(along) - np.float32(size), 0)
        return np.sqrt(np.square(beyond) + np.square(across)) - half
    if kind < 0.55:  # a convex polygon: the maximum of its sides
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
    angle = np.arctan2(across, along)  # a blob: an ellipse with a wavy radius
    swell = np.ones_like(angle)
    for waves in (2, 3, 4, 5):
        height, phase = np.float32(rng.normal(0, 0.25) / waves), np.float32(rng.uniform(0, 2 * np.pi))
        swell += height * np.cos(waves * angle + phase)
    return radius - np.float32(size) * swell
