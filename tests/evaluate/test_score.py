"""A scoring determines how an image is compared."""

import numpy as np
import pytest

from tests.evaluate.test_align import scene
from uformer.errors import PictureError
from uformer.evaluate.protocols import Scoring
from uformer.evaluate.score import score
from uformer.metrics import psnr, ssim

CLEAN = np.full((20, 20, 3), 100 / 255, np.float32)
OFF = CLEAN + np.float32(0.4 / 255)


def test_the_scoring_determines_rounding() -> None:
    assert score(OFF, CLEAN, Scoring()).psnr == float("inf")
    assert score(OFF, CLEAN, Scoring(rounded=False)).psnr == pytest.approx(20 * np.log10(255 / 0.4), abs=1e-3)


def test_every_field_reaches_the_scores() -> None:
    rng = np.random.default_rng(0)
    clean, restored = (rng.random((30, 30, 3), dtype=np.float32) for _ in range(2))
    scoring = Scoring(
        luma=True, luma_rounded=True, rounded=False, border=3, ssim_window="uniform", ssim_range=2.0
    )
    how = {"luma": True, "luma_rounded": True, "rounded": False, "border": 3}
    found = score(restored, clean, scoring)
    assert found.psnr == psnr(restored, clean, **how)  # type: ignore[arg-type]
    assert found.ssim == ssim(restored, clean, window="uniform", data_range=2.0, **how)  # type: ignore[arg-type]


def test_images_are_aligned_after_rounding() -> None:
    whole = scene()
    clean, moved = np.rint(whole[:-4, :-3] * 255) / np.float32(255), whole[4:, 3:]
    assert score(moved, clean, Scoring()).psnr < 20
    assert score(moved, clean, Scoring(aligned=True)).psnr > 35
    assert score(moved + np.float32(3), clean * 0 + 1, Scoring()).psnr == float("inf")  # clipped


def test_images_that_cannot_be_compared() -> None:
    with pytest.raises(PictureError, match="smaller than the window"):
        score(CLEAN[:5], CLEAN[:5], Scoring())
    with pytest.raises(PictureError, match="different shapes"):
        score(CLEAN[:15], CLEAN, Scoring())


def test_identical_images_of_16_bits_score_infinity_and_one_level_scores_one_level() -> None:
    levels = np.linspace(0, 65535, 400).astype(np.uint16).reshape(20, 20, 1)
    clean = levels.astype(np.float32) / np.float32(65535)
    scoring = Scoring(own_depth=True)
    assert score(clean, clean, Scoring()).psnr < 60  # rounded to 8 bits first
    assert score(clean, clean, scoring, depth=16).psnr == float("inf")
    off = score(clean[:-1] + np.float32(1 / 65535), clean[:-1], scoring, depth=16)
    assert off.psnr == pytest.approx(20 * np.log10(65535), abs=0.01)


def test_the_data_range_is_the_peak() -> None:
    clean = np.random.default_rng(0).normal(300, 50, (20, 20, 1)).astype(np.float32)
    noisy = clean + np.float32(5)
    found = score(noisy, clean, Scoring(own_depth=True), depth=32, data_range=1000)
    assert found.psnr == pytest.approx(20 * np.log10(1000 / 5), abs=1e-3)
    in_unit = score(noisy / np.float32(1000), clean / np.float32(1000), Scoring(own_depth=True), depth=32)
    assert found.ssim == pytest.approx(in_unit.ssim, abs=1e-6)
