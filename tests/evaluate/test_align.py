"""Alignment undoes a shift and a change of brightness, and counts only what both pictures show."""

import numpy as np
import pytest
import scipy.ndimage

from uformer.errors import PictureError
from uformer.evaluate.align import align, aligned_scores
from uformer.metrics import psnr, ssim


def scene(height: int = 80, width: int = 100) -> np.ndarray:
    """Smooth structure, (H, W, 3) float32 in [0.1, 0.9]."""
    noise = np.random.default_rng(0).random((height, width, 3))
    smooth = scipy.ndimage.gaussian_filter(noise, (3, 3, 0))
    low, high = smooth.min(), smooth.max()
    return (0.1 + 0.8 * (smooth - low) / (high - low)).astype(np.float32)


def test_a_shift_and_a_gain_are_undone() -> None:
    whole = scene()
    clean, moved = whole[:-4, :-3], whole[4:, 3:] * np.float32(0.8)
    assert psnr(moved, clean, rounded=False) < 20
    after, similarity = aligned_scores(moved, clean)
    assert after > 35
    assert similarity > 0.98
    _, seen = align(moved, clean)
    assert not seen[:3].any()
    assert not seen[:, :2].any()
    assert seen[6:, 5:].all()


def test_pictures_that_fit_are_scored_as_ever() -> None:
    clean = scene()
    noisy = np.clip(clean + 0.05 * np.random.default_rng(1).standard_normal(clean.shape, dtype=np.float32), 0, 1)
    after, similarity = aligned_scores(noisy, clean)
    assert after == pytest.approx(psnr(noisy, clean, rounded=False), abs=0.5)
    assert similarity == pytest.approx(ssim(noisy, clean, rounded=False), abs=0.1)
    assert aligned_scores(clean, clean)[1] == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("restored", [np.zeros((40, 40, 3), np.float32), np.full((40, 40, 3), 0.5, np.float32)], ids=["black", "flat"])
def test_what_cannot_be_aligned_is_one_line(restored: np.ndarray) -> None:
    with pytest.raises(PictureError, match="cannot be aligned"):
        aligned_scores(restored, scene(40, 40))
