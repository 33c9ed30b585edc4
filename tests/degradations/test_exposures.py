"""Random blur for training: seeded, in range, within its margin, equally bright, and sometimes sharp."""

import numpy as np
import pytest

from uformer.degradations import exposures
from uformer.degradations.blur import splat
from uformer.degradations.exposures import BLUR_MARGIN, moving_thing, random_blur
from uformer.image.color import srgb_to_linear


def scene(height: int = 48, width: int = 64) -> np.ndarray:
    coarse = np.random.default_rng(3).random((height // 4 + 1, width // 4 + 1, 3), dtype=np.float32)
    return np.kron(coarse, np.ones((4, 4, 1), np.float32))[:height, :width] * np.float32(0.85)


def test_draws_are_seeded_in_range_and_of_the_same_shape() -> None:
    for seed in range(40):
        blurred, clean = random_blur(scene(), np.random.default_rng(seed))
        again, clean_again = random_blur(scene(), np.random.default_rng(seed))
        np.testing.assert_array_equal(blurred, again)
        np.testing.assert_array_equal(clean, clean_again)
        for image in (blurred, clean):
            assert image.shape == (48, 64, 3)
            assert image.dtype == np.float32
            assert image.min() >= 0
            assert image.max() <= 1


def test_one_draw_in_eight_is_sharp_and_more_are_nearly() -> None:
    rng = np.random.default_rng(0)
    errors = [float(np.abs(np.subtract(*random_blur(scene(16, 16), rng))).mean()) for _ in range(300)]
    assert 0.08 < np.mean(np.array(errors) == 0) < 0.17
    assert 0.15 < np.mean(np.array(errors) < 0.01) < 0.4


def test_blur_keeps_the_mean_of_the_light(monkeypatch: pytest.MonkeyPatch) -> None:
    """Apart from lamps, which the scene does not have, and from what an object hides while it moves."""
    monkeypatch.setattr(exposures, "_light", lambda clean, _: srgb_to_linear(clean))
    for seed in range(40):
        blurred, clean = random_blur(scene(128, 144), np.random.default_rng(seed))
        assert srgb_to_linear(blurred).mean() == pytest.approx(srgb_to_linear(clean).mean(), rel=0.08)


def test_lamps_leave_trails() -> None:
    """In some draws, a white point stays white; others dim it."""
    lamp = np.zeros((64, 64, 3), np.float32)
    lamp[31:33, 31:33] = 1
    draws = [random_blur(lamp, np.random.default_rng(seed))[0] for seed in range(100)]
    totals = [float(srgb_to_linear(blurred).sum()) for blurred in draws]
    assert np.median(totals) == pytest.approx(12, rel=0.15)
    assert max(totals) > 24


def test_what_is_not_white_keeps_its_brightness() -> None:
    pale = np.full((24, 24, 3), 0.97, np.float32)
    pale[..., 2] = 0.5
    for seed in range(60):
        blurred, clean = random_blur(pale, np.random.default_rng(seed))
        assert blurred.mean() == pytest.approx(clean.mean(), abs=0.01)


def test_half_of_the_things_bring_pixels_of_their_own() -> None:
    changed = []
    for seed in range(60):
        clean, light = moving_thing(scene(), np.random.default_rng(seed))
        assert light.shape == clean.shape
        changed.append(not np.array_equal(clean, scene()))
    assert 15 <= sum(changed) <= 45


def test_the_margin_is_all_that_blur_reaches(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pixel does not depend on pixels beyond the margin: no kernel is wider."""
    radii: list[int] = []

    def noted(path: np.ndarray) -> np.ndarray:
        kernel = splat(path)
        radii.append(kernel.shape[0] // 2)
        return kernel

    monkeypatch.setattr("uformer.degradations.motion.splat", noted)
    for seed in range(200):
        random_blur(scene(8, 8), np.random.default_rng(seed))
    assert 24 < max(radii) <= BLUR_MARGIN
