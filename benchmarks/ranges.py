"""Restore synthetic data in a small part of its range: the tables in docs/restore.md.

    python benchmarks/ranges.py

PSNR counts from the range of the truth, and no value is rounded.
"""

import dataclasses
import itertools
import math

import numpy as np
from numpy.typing import NDArray

from uformer.errors import PictureError
from uformer.image.samples import values_of
from uformer.restore.restorer import Restorer

SKY, FAINTEST, BRIGHTEST, NOISE = 1500, 600, 1500, 250
"""Counts of a 16-bit sky, of the height of its stars, and of the deviation of its noise."""
ROOM = ("auto", "500:3500", "0:6000", "0:12000")

SPOT = np.exp(-(np.arange(-6, 7)[:, None] ** 2 + np.arange(-6, 7) ** 2) / 2)
"""A star of height 1."""

Pair = tuple[NDArray[np.generic], NDArray[np.float64]]
"""Noisy and true."""


def texture(*shape: int) -> NDArray[np.float64]:
    """Smooth shapes with edges, from 0 to 1."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    waves = 0.5 + 0.35 * np.sin(x / 17) * np.cos(y / 11) + 0.15 * ((x // 24 + y // 24) % 2)
    return np.broadcast_to(waves.reshape(*waves.shape, *[1] * (len(shape) - 2)), shape) / waves.max()


def dim() -> Pair:
    """16-bit gray with 100 to 400 counts, noisy and true."""
    rng, truth = np.random.default_rng(0), 100 + 300 * texture(120, 130)
    noisy = rng.poisson(truth) + rng.normal(0, 5, truth.shape)
    noisy[5, 5] = 60000  # a hot pixel
    truth[5, 5] = 60000
    return np.rint(noisy).clip(0).astype(np.uint16), truth


def twelve() -> Pair:
    """12-bit colour in 16 bits, noisy and true."""
    truth = 100 + 3500 * texture(120, 130, 3)
    noisy = truth + np.random.default_rng(0).normal(0, 120, truth.shape)
    return np.rint(noisy).clip(0, 4095).astype(np.uint16), truth


def stars() -> Pair:
    """A sky with faint and bright stars, noisy and true, as float with negative values."""
    rng = np.random.default_rng(0)
    truth = np.zeros((128, 128))
    for number, (row, column) in enumerate(itertools.product(range(8, 120, 14), range(8, 120, 14))):
        truth[row - 6 : row + 7, column - 6 : column + 7] += SPOT * (100 if number % 8 == 0 else 5)
    return (truth + rng.normal(0, 1, truth.shape)).astype(np.float32), truth


def near_the_limit() -> Pair:
    """A sky in 16-bit colour with stars of 2.4 to 6 times the noise, noisy and true."""
    rng, truth = np.random.default_rng(0), np.full((256, 256, 3), float(SKY))
    for number, (row, column) in enumerate(itertools.product(range(16, 256, 32), repeat=2)):
        height = FAINTEST + (BRIGHTEST - FAINTEST) * (number % 10) / 9
        truth[row - 6 : row + 7, column - 6 : column + 7] += SPOT[..., None] * height
    return np.rint(truth + rng.normal(0, NOISE, truth.shape)).clip(0, 65535).astype(np.uint16), truth


def psnr(image: NDArray[np.generic], truth: NDArray[np.float64]) -> float:
    """Return PSNR in dB against the range of the truth."""
    error = float(np.sqrt(np.mean((image.astype(float) - truth) ** 2)))
    return 20 * math.log10(float(np.ptp(truth)) / error)


def main() -> None:
    """Print a line for each image, then the height that faint stars keep, also with other ranges."""
    restorer = Restorer.from_pretrained(task="denoise", backend="openvino", precision="fp32")
    restorers = {
        asked: restorer.with_options(dataclasses.replace(restorer.options, range=asked))
        for asked in ("full", *ROOM)
    }
    for make in (dim, twelve, stars):
        noisy, truth = make()
        if make is dim:  # the hot pixel is no part of the scene
            noisy, truth = noisy[6:], truth[6:]
        line = f"{make.__name__:7} input {psnr(noisy, truth):.1f} dB"
        for asked in ("full", "auto"):
            try:
                line += f", {asked} {psnr(restorers[asked](noisy), truth):.1f} dB"
            except PictureError:
                line += f", {asked} refused"
        print(line, flush=True)
    noisy, truth = stars()
    faint = np.isclose(truth, 5, rtol=0.01)
    kept = float(np.median(restorers["auto"](noisy)[faint])) / 5
    print(f"faint stars, 5 times the noise: {kept:.0%} of their height", flush=True)
    noisy, truth = near_the_limit()
    print(f"stars of 2.4 to 6 times the noise: input {psnr(noisy, truth):.1f} dB")
    tops = slice(16, 256, 32)
    for asked in ROOM:
        restored = restorers[asked](noisy)
        kept = float(np.median((restored[tops, tops] - SKY) / (truth[tops, tops] - SKY)))
        low, high = restorers[asked].range_of(values_of(noisy), 16).samples(16)
        print(f"{asked:8} {low} to {high}: {psnr(restored, truth):.1f} dB, {kept:.0%} of their height")


if __name__ == "__main__":
    main()
