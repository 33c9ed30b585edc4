"""The scores of one image."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from uformer.errors import PictureError
from uformer.evaluate.align import aligned_scores
from uformer.evaluate.protocols import Scoring
from uformer.image.image import Pixels
from uformer.metrics import psnr, ssim


@dataclass(frozen=True)
class Score:
    """PSNR in dB (infinite for identical images) and SSIM of two images."""

    psnr: float
    ssim: float


def score(
    restored: Pixels, clean: Pixels, scoring: Scoring, *, depth: int = 8, data_range: float = 1.0
) -> Score:
    """Score an image (H, W, C) against its ground truth, with 1 for the largest value of an integer type.

    `depth`, `data_range`: bits per sample of the file (see `metrics.comparable`), and the peak of PSNR.
    Raises PictureError if the images cannot be compared.
    """
    how: dict[str, Any] = {
        "luma": scoring.luma,
        "luma_rounded": scoring.luma_rounded,
        "border": scoring.border,
        "rounded": scoring.rounded,
        "depth": depth,
    }
    try:
        if scoring.aligned:
            shown = np.clip(restored, 0, 1)
            if scoring.rounded:
                shown = np.rint(shown * 255).astype(np.float32) / np.float32(255)
            return Score(*aligned_scores(shown, clean))
        decibels = psnr(restored, clean, data_range=data_range, **how)
        how |= {"window": scoring.ssim_window, "data_range": scoring.ssim_range * data_range}
        return Score(decibels, ssim(restored, clean, **how))
    except ValueError as error:
        raise PictureError(str(error)) from None
