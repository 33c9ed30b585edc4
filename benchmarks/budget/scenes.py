"""The images of the budget track: dead leaves, which are opaque shapes that hide each other, and noise.

Networks that learn to denoise from dead leaves alone come close to those that learn from photographs
(Achddou et al., 2021). The images depend on nothing but their seeds: shapes use exact arithmetic, and
numpy's RandomState never changes its streams. So everybody makes the same ones, without a download.
"""

import hashlib
from pathlib import Path

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray

from uformer.image.image import Image
from uformer.image.read import read
from uformer.image.write import write

SETS = {"train": (120, 256, 1), "test": (20, 192, 2)}
"""Number of images, their side in pixels, and the seed, by the name of the set."""

SIGMA = 25  # standard deviation of the noise, in levels of 8 bits

DIGEST = "046b621c66e211bdbd4621d78d1e1eb4633d71c275dfdce7dac8574ffaef72c0"
"""SHA-256 of all pixels, in the order of `digest`."""

_SHAPES = 500  # in an image: enough to cover it
_SMALLEST, _LARGEST = 14, 200  # radii in pixels of the image at twice its size

Levels = NDArray[np.int64]


def scene(random: RandomState, side: int) -> NDArray[np.uint8]:
    """Return an image (side, side, 3): disks and rectangles, shaded, some of them striped.

    They are drawn at twice the size and averaged, so that edges are smooth.
    """
    canvas = np.zeros((2 * side, 2 * side, 3), np.int64)
    _draw(canvas, random, centre=(side, side), radius=4 * side)  # the background
    for _ in range(_SHAPES):
        centre = random.randint(0, 2 * side, 2)
        _draw(canvas, random, centre=(int(centre[0]), int(centre[1])), radius=_radius(random))
    blocks = canvas.reshape(side, 2, side, 2, 3).sum(axis=(1, 3))
    return ((blocks + 2) // 4).astype(np.uint8)


def noisy(clean: NDArray[np.uint8], random: RandomState) -> NDArray[np.uint8]:
    """Return the image with Gaussian noise of SIGMA, rounded to 8 bits."""
    return np.clip(np.rint(clean + SIGMA * random.standard_normal(clean.shape)), 0, 255).astype(np.uint8)


def make(folder: Path) -> None:
    """Write train/ and test/, each with degraded/ and clean/. Raises SystemExit if the pixels are others."""
    for name, (count, side, seed) in SETS.items():
        for kind in ("clean", "degraded"):
            (folder / name / kind).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            random = RandomState([seed, index])
            clean = scene(random, side)
            for kind, pixels in (("clean", clean), ("degraded", noisy(clean, random))):
                image = Image(pixels=pixels.astype(np.float32) / np.float32(255))
                write(image, folder / name / kind / f"{index:03}.png")
    found = digest(folder)
    if found != DIGEST:
        raise SystemExit(f"{folder}: the images differ from those of the track: {found} instead of {DIGEST}")


def digest(folder: Path) -> str:
    """Return the SHA-256 of the pixels of all images, in the order of their names."""
    found = hashlib.sha256()
    for path in sorted(folder.glob("*/*/*.png")):
        found.update(np.rint(255 * read(path).pixels).astype(np.uint8).tobytes())
    return found.hexdigest()


def _radius(random: RandomState) -> int:
    """Return a radius whose density falls with its third power, as sizes in photographs do."""
    share = random.randint(0, 2**24) / 2**24
    return int(_SMALLEST / np.sqrt(1 - share * (1 - (_SMALLEST / _LARGEST) ** 2)))


def _draw(canvas: Levels, random: RandomState, *, centre: tuple[int, int], radius: int) -> None:
    """Draw one shape: a disk or a rectangle, whose colour changes along a line or in stripes."""
    tall, wide = radius, int(radius * random.randint(50, 101)) // 100
    top, bottom = max(centre[0] - tall, 0), min(centre[0] + tall + 1, len(canvas))
    left, right = max(centre[1] - wide, 0), min(centre[1] + wide + 1, len(canvas))
    rows = np.arange(top, bottom)[:, None] - centre[0]
    columns = np.arange(left, right)[None, :] - centre[1]
    colour = random.randint(20, 236) + random.randint(-50, 51, 3)  # most colours are close to gray
    change = random.randint(-60, 61, 3)
    slope, period, kind = random.randint(-8, 9, 2), random.randint(24, 120), random.randint(0, 6)
    along = slope[0] * rows + slope[1] * columns
    if kind in (0, 1):  # stripes
        shade = np.where(along % period * 2 < period, 1, -1)[..., None] * (change // 2)
    else:
        shade = along[..., None] * change // (16 * max(radius, 1))
    inside = np.ones(along.shape, bool)
    if kind % 2 == 0:
        inside = rows**2 * wide**2 + columns**2 * tall**2 <= tall**2 * max(wide, 1) ** 2
    canvas[top:bottom, left:right][inside] = np.clip(colour + shade, 0, 255)[inside]
