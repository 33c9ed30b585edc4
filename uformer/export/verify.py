"""Comparing an exported file with the network, at three sizes or at the only one that it accepts."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uformer.config import UformerConfig
from uformer.errors import ExportError
from uformer.files import one_line

Pictures = NDArray[np.float32]
Run = Callable[[Pictures], Pictures]
"""A function from (B, C, H, W) float32 in [0, 1] to the restored images, not clipped."""

TOLERANCES = {"fp32": 1e-4, "fp16": 1 / 255}
"""Largest error of a sample that rounding can explain, for outputs of magnitude 1."""


@dataclass(frozen=True)
class Agreement:
    """The difference between a file and the network on images of one size."""

    height: int
    width: int
    largest: float
    """Largest error of a sample."""
    decibel: float
    """Mean squared error as PSNR in dB."""

    def __str__(self) -> str:
        error = f"largest error {self.largest:.2g}, PSNR {self.decibel:.1f} dB" if self.largest else "equal"
        return f"against the network at {self.height} x {self.width}: {error}"


def examples(config: UformerConfig, shape: tuple[int, int] | None = None) -> list[Pictures]:
    """Return images (1 or 2, C, h, w) of three sizes, or one image of the given shape.

    One is a square that needs no padding, one is not square and needs padding, one has a few pixels only.
    """
    side, rng = config.multiple, np.random.default_rng(0)
    sizes = [(1, side, side), (1, side + 1, side // 2 + 1), (2, 3, 7)]
    if shape is not None:
        sizes = [(1, *shape)]
    images = []
    for count, height, width in sizes:
        y, x = np.mgrid[:height, :width] / side
        smooth = [0.5 + 0.4 * np.sin(3 * x * (channel + 1) + 5 * y) for channel in range(config.in_channels)]
        noisy = np.stack([smooth] * count) + rng.normal(0, 0.1, (count, config.in_channels, height, width))
        images.append(np.clip(noisy, 0, 1).astype(np.float32))
    return images


def compare(run: Run, network: Run, inputs: Iterable[Pictures]) -> list[Agreement]:
    """Run the file and the network on each image.

    Raises ExportError if the file cannot be run, or if its output has another shape or is not finite.
    """
    found = []
    for images in inputs:
        height, width = images.shape[2:]
        wanted = network(images)
        try:
            got = run(images)
        except RuntimeError as failure:  # torch and OpenVINO raise it
            raise ExportError(f"at {height} x {width} the file cannot be run: {one_line(failure)}") from None
        if got.shape != wanted.shape:
            raise ExportError(f"at {height} x {width} the file returns {got.shape}, not {wanted.shape}")
        if not np.isfinite(got).all():
            raise ExportError(f"at {height} x {width} the file returns values that are not finite")
        error = np.abs(got - wanted) / max(1.0, float(np.abs(wanted).max()))
        square = float(np.square(error).mean())
        found.append(Agreement(height, width, float(error.max()), -10 * float(np.log10(max(square, 1e-20)))))
    return found


def check(agreements: Sequence[Agreement], *, tolerance: float) -> None:
    """Raise ExportError if an error is larger than `tolerance`."""
    for found in agreements:
        if found.largest > tolerance:
            raise ExportError(
                f"at {found.height} x {found.width} the file differs from the network by "
                f"{found.largest:.2g}, more than {tolerance:.2g}"
            )
