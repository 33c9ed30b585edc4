"""The exported file against the network: run at three sizes before it is kept."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uformer.config import UformerConfig
from uformer.errors import ExportError
from uformer.files import one_line

Pictures = NDArray[np.float32]
Run = Callable[[Pictures], Pictures]
"""(B, C, H, W) float32 in [0, 1] to the restored pictures, not clipped."""

TOLERANCES = {"fp32": 1e-4, "fp16": 1 / 255}
"""Largest error at any sample that is put down to rounding, for outputs of size 1."""


@dataclass(frozen=True)
class Agreement:
    """How far a file is from the network on pictures of one size: the largest error at any sample, and the mean square as PSNR in dB."""

    height: int
    width: int
    largest: float
    decibel: float

    def __str__(self) -> str:
        error = f"largest error {self.largest:.2g}, PSNR {self.decibel:.1f} dB" if self.largest else "equal"
        return f"against the network at {self.height} x {self.width}: {error}"


def examples(config: UformerConfig) -> list[Pictures]:
    """Pictures (1 or 2, C, h, w) of three sizes: a square that needs no padding, one that does and is not square, one of a few pixels."""
    side, rng = config.multiple, np.random.default_rng(0)
    sizes = [(1, side, side), (1, side + 1, side // 2 + 1), (2, 3, 7)]
    pictures = []
    for count, height, width in sizes:
        y, x = np.mgrid[:height, :width] / side
        smooth = [0.5 + 0.4 * np.sin(3 * x * (channel + 1) + 5 * y) for channel in range(config.in_channels)]
        noisy = np.stack([smooth] * count) + rng.normal(0, 0.1, (count, config.in_channels, height, width))
        pictures.append(np.clip(noisy, 0, 1).astype(np.float32))
    return pictures


def compare(run: Run, network: Run, pictures: Iterable[Pictures]) -> list[Agreement]:
    """Run both on each picture. Raises ExportError where the file fails, gives another shape, or what is not finite."""
    found = []
    for picture in pictures:
        height, width = picture.shape[2:]
        wanted = network(picture)
        try:
            got = run(picture)
        except RuntimeError as failure:  # torch's and OpenVINO's
            raise ExportError(f"at {height} x {width} it cannot be run ({one_line(failure)})") from None
        if got.shape != wanted.shape:
            raise ExportError(f"at {height} x {width} it gives {got.shape}, not {wanted.shape}")
        if not np.isfinite(got).all():
            raise ExportError(f"at {height} x {width} it gives values that are not finite")
        error = np.abs(got - wanted) / max(1.0, float(np.abs(wanted).max()))
        square = float(np.square(error).mean())
        found.append(Agreement(height, width, float(error.max()), -10 * float(np.log10(max(square, 1e-20)))))
    return found


def check(agreements: Sequence[Agreement], *, tolerance: float) -> None:
    """Raises ExportError where an error is larger than `tolerance`."""
    for found in agreements:
        if found.largest > tolerance:
            raise ExportError(
                f"at {found.height} x {found.width} it differs from the network by {found.largest:.2g}, more than {tolerance:.2g}"
            )
