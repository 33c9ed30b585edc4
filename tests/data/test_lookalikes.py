"""Drawn structures: in range, seeded, at the given angle, and different from the image below them."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uformer.data.lookalikes import bars, cables, dashes, draw_structure


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**32), height=st.integers(1, 90), width=st.integers(1, 90))
def test_structures_are_images_and_seeded(seed: int, height: int, width: int) -> None:
    clean = np.random.default_rng(0).random((height, width, 3), dtype=np.float32)
    before = clean.copy()
    once, again = (draw_structure(clean, np.random.default_rng(seed)) for _ in range(2))
    assert once.shape == clean.shape
    assert once.dtype == np.float32
    assert once.min() >= 0
    assert once.max() <= 1
    np.testing.assert_array_equal(once, again)
    np.testing.assert_array_equal(clean, before)


@pytest.mark.parametrize("draw", [bars, cables, dashes])
def test_masks_cover_a_part(draw: Callable[..., np.ndarray]) -> None:
    masks = [draw((96, 96), np.random.default_rng(seed), angle=0.3) for seed in range(60)]
    assert all(mask.dtype == np.float32 and mask.shape == (96, 96) for mask in masks)
    assert all(mask.min() >= 0 and mask.max() <= 1 for mask in masks)
    covered = np.array([mask.mean() for mask in masks])
    assert 0.05 < covered.mean() < 0.6
    assert np.ptp(covered) > 0.1


@pytest.mark.parametrize("degrees", [-60, -20, 0, 35, 80])
def test_bars_stand_at_their_angle(degrees: float) -> None:
    """Positive angles lean to the right, as for rain. The structure tensor measures the direction."""
    found = []
    for seed in range(12):
        mask = bars((128, 128), np.random.default_rng(seed), angle=math.radians(degrees)).astype(float)
        down, right = np.gradient(mask)
        if (down**2 + right**2).sum() > 50:
            across = 0.5 * np.arctan2(2 * (down * right).sum(), (right**2).sum() - (down**2).sum())
            found.append((-np.rad2deg(across) - degrees + 90) % 180 - 90)
    assert len(found) > 5
    assert abs(float(np.median(found))) < 6  # pixel differences measure thin lines poorly


def test_structures_are_bright_and_dark_upright_and_slanted() -> None:
    gray = np.full((64, 64, 3), 0.5, np.float32)
    changes = [draw_structure(gray, np.random.default_rng(seed)) - gray for seed in range(200)]
    assert sum(float(change.max()) > 0.15 for change in changes) > 50
    assert sum(float(change.min()) < -0.15 for change in changes) > 50
