"""What training draws is in range, varied, and seeded."""

import numpy as np

from uformer.degradations.compose import jpeg, random_noise
from uformer.metrics import psnr


def scene() -> np.ndarray:
    rows, columns = np.mgrid[0:48, 0:64].astype(np.float32)
    return np.stack([rows / 48, columns / 64, (rows + columns) / 112], axis=-1)


def test_draws_are_seeded_and_in_range() -> None:
    for seed in range(30):
        a, b = (random_noise(scene(), np.random.default_rng(seed)) for _ in range(2))
        assert np.array_equal(a, b)
        assert a.shape == (48, 64, 3)
        assert a.dtype == np.float32
        assert a.min() >= 0
        assert a.max() <= 1


def test_draws_reach_from_nearly_clean_to_very_noisy() -> None:
    rng = np.random.default_rng(0)
    scores = [psnr(random_noise(scene(), rng), scene()) for _ in range(100)]
    assert min(scores) < 18
    assert max(scores) > 38


def test_jpeg_costs_more_at_low_quality_and_with_less_chroma() -> None:
    noisy = np.clip(scene() + np.random.default_rng(0).normal(0, 0.1, (48, 64, 3)), 0, 1).astype(np.float32)
    fine, coarse = (psnr(jpeg(noisy, quality=quality, subsample=False), noisy) for quality in (95, 70))
    halved = psnr(jpeg(noisy, quality=95, subsample=True), noisy)
    assert fine > coarse
    assert fine > halved
