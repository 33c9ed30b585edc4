"""What training draws is in range, varied, and seeded."""

import numpy as np
import pytest

from uformer.degradations.compose import DEGRADATIONS, _noise_of_iso, fit, random_noise
from uformer.degradations.compression import jpeg
from uformer.degradations.showers import random_rain
from uformer.metrics import psnr


def scene() -> np.ndarray:
    rows, columns = np.mgrid[0:48, 0:64].astype(np.float32)
    return np.stack([rows / 48, columns / 64, (rows + columns) / 112], axis=-1)


@pytest.mark.parametrize("task", DEGRADATIONS)
def test_draws_are_seeded_and_in_range(task: str) -> None:
    for seed in range(30):
        (a, clean), (b, again) = (
            DEGRADATIONS[task].apply(scene(), np.random.default_rng(seed)) for _ in range(2)
        )
        assert np.array_equal(a, b)
        assert np.array_equal(clean, again)
        for picture in (a, clean):
            assert picture.shape == (48, 64, 3)
            assert picture.dtype == np.float32
            assert np.isfinite(picture).all()
        for picture in (clean,) if task == "noise" else (a, clean):
            assert picture.min() >= 0
            assert picture.max() <= 1


def test_noise_is_drawn_as_images_have_it() -> None:
    """Clean, unclipped, gray and coloured draws occur as often as the docstrings say."""
    rng = np.random.default_rng(0)
    middle = np.full((32, 32, 3), 0.5, np.float32)
    draws = [random_noise(middle, rng) for _ in range(600)]
    clean = [np.array_equal(noisy, middle) for noisy in draws]
    assert 0.02 < np.mean(clean) < 0.07
    noises = [noisy - middle for noisy, same in zip(draws, clean, strict=True) if not same]
    gray = [np.abs(noise - noise[..., :1]).max() < 1e-6 for noise in noises]
    assert 0.12 < np.mean(gray) < 0.35
    dark = [random_noise(np.zeros((16, 16, 3), np.float32), rng).min() < 0 for _ in range(400)]
    assert 0.1 < np.mean(dark) < 0.3


def test_cameras_reach_from_almost_clean_to_a_pushed_night() -> None:
    rng = np.random.default_rng(0)
    shots, reads = np.array([_noise_of_iso(rng) for _ in range(2000)]).T
    assert np.percentile(shots, 5) < 1e-5
    assert 1e-4 < np.median(shots) < 1e-3
    assert np.percentile(shots, 98) > 1e-2
    assert shots.max() <= 0.03
    assert reads.max() <= 0.02


def test_one_in_twenty_draws_of_rain_is_dry() -> None:
    rng = np.random.default_rng(0)
    rainy = [random_rain(scene(), rng) for _ in range(200)]
    assert 4 <= sum(np.array_equal(degraded, scene()) for degraded, _ in rainy) <= 20


def test_only_the_veil_lies_over_the_clean_picture_too() -> None:
    """Rain is brighter than the target, apart from JPEG; elsewhere both images are equal."""
    rng = np.random.default_rng(1)
    pairs = [random_rain(scene(), rng) for _ in range(100)]
    veiled = [not np.array_equal(clean, scene()) for _, clean in pairs]
    assert 3 <= sum(veiled) <= 25
    added = [float((degraded - clean).min()) for degraded, clean in pairs]
    assert sum(least >= -1e-6 for least in added) >= 60


def test_another_seed_is_another_draw() -> None:
    for task, degradation in DEGRADATIONS.items():
        draws = {degradation.apply(scene(), np.random.default_rng(seed))[0].tobytes() for seed in range(20)}
        assert len(draws) >= 15, task  # a few are left clean


@pytest.mark.parametrize("shape", [(1, 1), (5, 300), (127, 33)])
def test_fit_gives_the_size_asked_for(shape: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).random((*shape, 3), dtype=np.float32)
    for scale in (1.1, 1.37, 2.0):
        larger = fit(picture, round(shape[0] * scale), round(shape[1] * scale))
        assert larger.shape == (round(shape[0] * scale), round(shape[1] * scale), 3)
        assert fit(larger, *shape).shape == picture.shape


def test_fit_there_and_back_keeps_a_smooth_picture() -> None:
    assert psnr(fit(fit(scene(), 77, 90), 48, 64), scene()) > 35


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
