"""Restore synthetic data in a small part of its range: the table in docs/restore.md.

    python benchmarks/ranges.py

PSNR counts from the range of the truth, and no value is rounded.
"""

import itertools
import math

import numpy as np
from numpy.typing import NDArray

from uformer.errors import PictureError
from uformer.restore.restorer import Restorer

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
    y, x = np.mgrid[-6:7, -6:7]
    spot = np.exp(-(y**2 + x**2) / 2)
    for number, (row, column) in enumerate(itertools.product(range(8, 120, 14), range(8, 120, 14))):
        truth[row - 6 : row + 7, column - 6 : column + 7] += spot * (100 if number % 8 == 0 else 5)
    return (truth + rng.normal(0, 1, truth.shape)).astype(np.float32), truth


def psnr(image: NDArray[np.generic], truth: NDArray[np.float64]) -> float:
    """Return PSNR in dB against the range of the truth."""
    error = float(np.sqrt(np.mean((image.astype(float) - truth) ** 2)))
    return 20 * math.log10(float(np.ptp(truth)) / error)


def main() -> None:
    """Print a line for each image, then the height that faint stars keep."""
    restorers = {
        asked: Restorer.from_pretrained(task="denoise", backend="openvino", precision="fp32", range=asked)
        for asked in ("full", "auto")
    }
    for make in (dim, twelve, stars):
        noisy, truth = make()
        if make is dim:  # the hot pixel is no part of the scene
            noisy, truth = noisy[6:], truth[6:]
        line = f"{make.__name__:7} input {psnr(noisy, truth):.1f} dB"
        for asked, restorer in restorers.items():
            try:
                line += f", {asked} {psnr(restorer(noisy), truth):.1f} dB"
            except PictureError:
                line += f", {asked} refused"
        print(line, flush=True)
    noisy, truth = stars()
    faint = np.isclose(truth, 5, rtol=0.01)
    kept = float(np.median(restorers["auto"](noisy)[faint])) / 5
    print(f"faint stars, 5 times the noise: {kept:.0%} of their height")


if __name__ == "__main__":
    main()
