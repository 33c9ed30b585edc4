"""A motion smears a point along its path, keeps the light, and stays within its reach."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uformer.degradations.motion import Motion, moved, moved_before, random_motion, silhouette, still

STILL = np.zeros(3, complex)


def drawn(
    seed: int, *, length: float = 12.0, swing: float = 0.0, frames: int | None = None, reach: float = 38.0
) -> Motion:
    rng = np.random.default_rng(seed)
    return random_motion(rng, length=length, swing=swing, anxiety=0.2, linger=0.5, frames=frames, reach=reach)


def straight(length: float) -> Motion:
    """Move to the right at constant speed."""
    path = np.linspace(-length / 2, length / 2, 41).astype(complex)
    return Motion(path, np.zeros(41, complex), np.zeros(41, complex))


def points(side: int = 65, *places: tuple[int, int]) -> np.ndarray:
    light = np.zeros((side, side, 3), np.float32)
    for row, column in places:
        light[row, column] = 1
    return light


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    length=st.floats(0.3, 60),
    swing=st.just(0.0) | st.floats(1e-3, 12),
    frames=st.sampled_from([None, 7, 15, 31]),
)
def test_nothing_lies_beyond_the_reach_and_the_middle_of_the_exposure_is_sharp(
    seed: int, length: float, swing: float, frames: int | None
) -> None:
    motion = drawn(seed, length=length, swing=swing, frames=frames, reach=20)
    assert motion.reach <= 20 + 1e-6
    for angle in (0.0, 1.0, 3.0):
        path = motion.at(np.exp(1j * angle))
        assert np.abs(path).max() <= motion.reach + 1e-9
        assert abs(path[len(path) // 2]) < 1e-9
    assert motion.even == (swing == 0)
    assert frames is None or len(motion.shift) == frames


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), length=st.floats(0, 20))
def test_a_point_of_light_becomes_its_path(seed: int, length: float) -> None:
    motion = drawn(seed, length=length)
    light = moved(points(65, (32, 32)), motion)[..., 0]
    assert light.sum() == pytest.approx(1, abs=1e-4)
    rows, columns = np.nonzero(light > 1e-4)
    distances = np.abs((columns - 32 + 1j * (rows - 32))[:, None] - motion.shift)
    assert distances.min(axis=1).max() < 1.5  # all light lies on the path,
    near = np.abs(motion.shift[:, None] - (columns - 32 + 1j * (rows - 32)))
    assert near.min(axis=1).max() < 1.5  # and all of the path has light


def test_an_uneven_motion_draws_each_corner_along_its_own_path() -> None:
    swing = np.linspace(-8, 8, 41).astype(complex)
    nearing = Motion(np.zeros(41, complex), swing, np.zeros(41, complex))
    light = moved(points(129, (0, 0), (64, 64), (128, 128), (0, 128)), nearing)[..., 0]
    assert light[64, 64] > 4 * light[0, 0]
    assert light[4, 4] > 0.02  # to and from the middle,
    assert light[4, 124] > 0.02
    assert light[0, 6] < 0.005  # not along the border
    assert moved(np.ones((40, 60, 3), np.float32), nearing) == pytest.approx(1, abs=1e-4)


def test_turning_rolls_about_the_middle() -> None:
    rolling = Motion(
        np.zeros(41, complex), (1j * np.linspace(-8, 8, 41)).astype(np.complex128), np.zeros(41, complex)
    )
    light = moved(points(129, (64, 64), (128, 128)), rolling)[..., 0]
    assert light[64, 64] > 4 * light[128, 128]
    assert light[124, 128] == pytest.approx(light[128, 124], abs=1e-3)


def test_frames_leave_gaps_and_a_long_exposure_none() -> None:
    def gaps(frames: int | None) -> int:
        light = moved(points(129, (64, 64)), drawn(3, length=50, frames=frames))[..., 0]
        return int((light > 1e-3).sum())

    assert gaps(7) <= 7 * 4
    assert gaps(None) > 60


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), swing=st.sampled_from([0.0, 5.0, 10.0]))
def test_the_light_keeps_its_mean(seed: int, swing: float) -> None:
    light = np.zeros((96, 96, 3), np.float32)
    light[40:56, 40:56] = np.random.default_rng(seed).random((16, 16, 3), dtype=np.float32)
    after = moved(light, drawn(seed, length=15, swing=swing))
    assert after.dtype == np.float32
    assert after.sum() == pytest.approx(light.sum(), rel=0.1 if swing else 1e-3)


def test_a_thing_moves_and_its_background_rests_and_the_other_way_round() -> None:
    background, thing = np.full((64, 64, 3), 0.2, np.float32), np.full((64, 64, 3), 0.8, np.float32)
    background[:8] = 0.5
    mask = np.zeros((64, 64), np.float32)
    mask[24:40, 24:40] = 1
    moving = moved_before(background, still(), thing, mask, straight(8))
    np.testing.assert_allclose(moving[:16], background[:16], atol=1e-5)
    np.testing.assert_allclose(moving[30, 30], 0.8, atol=1e-4)
    row = moving[32, :, 0]
    assert (np.diff(row[18:31]) > 0.02).sum() >= 7  # an edge drawn out along the motion,
    assert np.abs(np.diff(moving[:, 32, 0])).max() > 0.5  # and sharp across it
    behind = moved_before(background, straight(8), thing, mask, still())
    assert np.abs(np.diff(behind[32, :, 0])).max() == pytest.approx(0.6, abs=1e-3)


def test_a_thing_at_rest_before_a_background_at_rest_covers_it() -> None:
    rng = np.random.default_rng(0)
    background, thing = rng.random((2, 32, 40, 3), dtype=np.float32)
    mask = silhouette((32, 40), rng)
    expected = background + mask[..., None] * (thing - background)
    np.testing.assert_allclose(moved_before(background, still(), thing, mask, still()), expected, atol=1e-5)


def test_silhouettes_are_things_of_many_sizes() -> None:
    masks = [silhouette((96, 128), np.random.default_rng(seed)) for seed in range(60)]
    for mask in masks:
        assert mask.dtype == np.float32
        assert mask.shape == (96, 128)
        assert mask.min() >= 0
        assert mask.max() <= 1
    covered = [float(mask.mean()) for mask in masks]
    assert np.percentile(covered, 10) < 0.08
    assert 0.08 < np.median(covered) < 0.35
    np.testing.assert_array_equal(masks[7], silhouette((96, 128), np.random.default_rng(7)))
