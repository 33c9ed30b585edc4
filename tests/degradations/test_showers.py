"""The random rain of training: its shares, and the statistics measured on Rain100L."""

import numpy as np
import pytest

from uformer.degradations.showers import (
    DRY,
    downpour,
    drizzle,
    fine_streaks,
    mist,
    near_drops,
    random_rain,
    stretched_noise,
)


def gray(level: float = 0.2, side: int = 96) -> np.ndarray:
    return np.full((side, side, 3), level, np.float32)


@pytest.mark.parametrize("draw", [fine_streaks, stretched_noise, near_drops, downpour, drizzle])
def test_showers_are_seeded_and_of_the_image_s_kind(draw: object) -> None:
    assert callable(draw)
    for seed in range(6):
        once, again = (draw(gray(), np.random.default_rng(seed), wind=20.0) for _ in range(2))
        np.testing.assert_array_equal(once, again)
        assert (once.shape, once.dtype) == ((96, 96, 3), np.float32)


def test_the_share_without_rain() -> None:
    dry = [np.array_equal(*random_rain(gray(side=32), np.random.default_rng(seed))) for seed in range(500)]
    assert DRY * 0.5 < np.mean(dry) < DRY + 0.06  # in some draws no streak falls on an image this small


def test_fine_streaks_are_those_of_rain100l() -> None:
    """Gray light is only added, over a tenth to a third of most images. Its maximum is 0.2 to 0.65."""
    lights = [
        fine_streaks(gray(side=256), np.random.default_rng(seed), wind=0.0) - np.float32(0.2)
        for seed in range(40)
    ]
    assert all((light >= -1e-6).all() for light in lights)
    assert all(np.abs(light[..., 0] - light[..., 2]).max() < 1e-6 for light in lights)
    covered = [float((light > 0.02).mean()) for light in lights]
    assert 0.12 < np.median(covered) < 0.32
    brightest = [float(np.percentile(light[light > 0.02], 99)) for light in lights]
    assert 0.25 < np.median(brightest) < 0.6


def test_fine_streaks_have_one_direction() -> None:
    """Gradient directions vary by about a degree over the blocks of an image (0.5 to 1.0 in Rain100L)."""
    spreads = []
    for seed in range(20):
        light = fine_streaks(gray(0.0, 256), np.random.default_rng(seed), wind=10.0)[..., 0].astype(float)
        down, right = np.gradient(light)
        blocks = [
            (down[y : y + 64, x : x + 64], right[y : y + 64, x : x + 64])
            for y in range(0, 256, 64)
            for x in range(0, 256, 64)
        ]
        angles = [
            0.5 * np.arctan2(2 * (a * b).sum(), (b**2).sum() - (a**2).sum())
            for a, b in blocks
            if (b**2).sum() > 0.5
        ]
        spreads.append(np.rad2deg(np.std(angles)))
    assert np.median(spreads) < 3


def test_downpours_hide_what_lies_behind() -> None:
    """Streaks that cover reduce contrast: they darken anything brighter than themselves."""
    white = [downpour(gray(1.0), np.random.default_rng(seed), wind=0.0) for seed in range(30)]
    assert any(float(image.min()) < 0.9 for image in white)


def test_mist_brightens_shadows_and_takes_contrast_away() -> None:
    scene = np.random.default_rng(1).random((64, 64, 3), dtype=np.float32) * np.float32(0.3)
    misty = mist(scene, np.random.default_rng(0))
    assert misty.mean() > scene.mean()
    assert misty.std() < scene.std() * 1.2
    assert misty.min() >= 0
    assert misty.max() <= 1


def test_drizzle_is_faint() -> None:
    changes = [
        float(np.abs(drizzle(gray(), np.random.default_rng(seed), wind=0.0) - gray()).mean())
        for seed in range(30)
    ]
    assert np.median(changes) < 0.01
