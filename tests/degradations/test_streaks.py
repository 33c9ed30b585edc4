"""Streaks have the requested place and light, whatever their direction."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uformer.degradations import streaks as module
from uformer.degradations.streaks import Streaks, draw


def lone(
    y: float = 60.0,
    x: float = 60.0,
    degrees: float = 0.0,
    length: float = 40.0,
    width: float = 3.0,
    tilt: float = 0.0,
    flatness: int = 1,
) -> Streaks:
    y_, x_, direction, long, wide, light, tilted, fade = (
        np.array([value]) for value in (y, x, np.deg2rad(degrees), length, width, 0.5, tilt, 0.2)
    )
    return Streaks(y_, x_, direction, long, wide, light, tilted, fade, flatness)


@settings(deadline=None, max_examples=40)
@given(
    y=st.floats(40, 80),
    x=st.floats(40, 80),
    degrees=st.floats(-90, 90),
    length=st.floats(20, 50),
    width=st.floats(1.6, 6),  # the light of thinner ones is inexact, because pixels sample it too coarsely
)
def test_a_streak_has_its_place_direction_length_and_light(
    y: float, x: float, degrees: float, length: float, width: float
) -> None:
    light = draw((121, 121), lone(y, x, degrees, length, width)).astype(float)
    rows, columns = np.mgrid[0:121, 0:121]
    total = light.sum()
    middle_y, middle_x = (rows * light).sum() / total, (columns * light).sum() / total
    assert (middle_y, middle_x) == (pytest.approx(y, abs=0.1), pytest.approx(x, abs=0.1))
    assert total == pytest.approx(0.5 * length * width * np.sqrt(np.pi / (4 * np.log(2))), rel=0.03)
    down, right = rows - middle_y, columns - middle_x
    turn = 0.5 * np.arctan2(2 * (down * right * light).sum(), ((down**2 - right**2) * light).sum())
    apart = (np.rad2deg(turn) - degrees + 90) % 180 - 90
    assert abs(apart) < 1.5


@pytest.mark.parametrize("degrees", [-80, -44, -10, 10, 44, 80])
def test_the_tilt_brightens_the_lower_end(degrees: float) -> None:
    light = draw((121, 121), lone(degrees=degrees, tilt=0.5)).astype(float)
    assert light[60:].sum() > 1.2 * light[:60].sum()


def test_a_flat_streak_has_steep_flanks() -> None:
    bell, flat = (draw((121, 121), lone(width=12.0, flatness=flatness))[60] for flatness in (1, 4))
    assert flat[64] > 0.95 * flat[60] > 1.2 * bell[64]
    assert flat[70] < 0.05 * flat[60]
    assert flat[66] == pytest.approx(flat[60] / 2, rel=0.02)


@settings(deadline=None, max_examples=30)
@given(y=st.floats(-30, 50), x=st.floats(-30, 50), degrees=st.floats(-90, 90))
def test_a_streak_beside_the_image_is_cut_off(y: float, x: float, degrees: float) -> None:
    """A drawing equals the crop of a larger one, whatever lies outside."""
    here = draw((20, 31), lone(y, x, degrees))
    around = draw((140, 151), lone(y + 60, x + 60, degrees))
    np.testing.assert_allclose(here, around[60:80, 60:91], atol=2e-3)  # fainter light is left out


def test_no_streaks_are_no_light() -> None:
    none = lone()[:0]
    assert not draw((5, 7), none).any()


def test_parts_add_up_to_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    fields = (
        rng.uniform(-10, 70, 50),
        rng.uniform(-10, 90, 50),
        rng.uniform(-1.5, 1.5, 50),
        rng.uniform(1, 60, 50),
    )
    others = (rng.uniform(1, 9, 50), rng.random(50), rng.uniform(-1, 1, 50), rng.random(50))
    streaks = Streaks(*fields, *others)
    whole = draw((60, 80), streaks)
    monkeypatch.setattr(module, "_AT_ONCE", 700)
    np.testing.assert_allclose(draw((60, 80), streaks), whole, atol=1e-5)
