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


def score(restored: Pixels, clean: Pixels, scoring: Scoring) -> Score:
    """Score an image (H, W, 3) in [0, 1] against its ground truth.

    Raises PictureError if the images cannot be compared.
    """
    how: dict[str, Any] = {
        "luma": scoring.luma,
        "luma_rounded": scoring.luma_rounded,
        "border": scoring.border,
        "rounded": scoring.rounded,
    }
    try:
        if scoring.aligned:
            shown = np.clip(restored, 0, 1)
            if scoring.rounded:
                shown = np.rint(shown * 255).astype(np.float32) / np.float32(255)
            return Score(*aligned_scores(shown, clean))
        similarity = ssim(restored, clean, window=scoring.ssim_window, data_range=scoring.ssim_range, **how)
        return Score(psnr(restored, clean, **how), similarity)
    except ValueError as error:
        raise PictureError(str(error)) from None
