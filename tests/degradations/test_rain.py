"""Streaks have the requested direction, number, length and light, and rain only adds light."""

from typing import Any, Literal

import numpy as np
import pytest

from uformer.degradations.rain import noise_streaks, rain, rain_streaks, veil

STEADY: dict[str, Any] = {
    "density": 2.0,
    "length": 40.0,
    "width": 2.0,
    "angle": 0.0,
    "spread": 0.0,
    "depth": 1.0,
    "strength": 0.5,
}


def flat(level: float, side: int = 128) -> np.ndarray:
    return np.full((side, side, 3), level, np.float32)


def streaks(seed: int = 0, side: int = 256, **parameters: Any) -> np.ndarray:
    return rain_streaks((side, side), np.random.default_rng(seed), **(STEADY | parameters))


def direction(light: np.ndarray) -> float:
    """Return the direction in degrees from straight down, positive to the right, by the structure tensor."""
    down, right = np.gradient(light.astype(float))
    across = 0.5 * np.arctan2(2 * (down * right).sum(), (right**2).sum() - (down**2).sum())
    return float(np.rad2deg(-across))


@pytest.mark.parametrize("angle", [-40, -15, 0, 15, 40])
def test_streaks_fall_in_their_direction(angle: float) -> None:
    wide = streaks(angle=angle, width=8.0, length=80.0)  # pixel differences measure thin lines poorly
    assert direction(wide) == pytest.approx(angle, abs=1.5)


@pytest.mark.parametrize("angle", [-40, 0, 25])
def test_drawn_out_noise_has_its_direction(angle: float) -> None:
    light = noise_streaks(
        (256, 256), np.random.default_rng(0), **(STEADY | {"angle": angle, "width": 6.0, "length": 80.0})
    )
    assert direction(light) == pytest.approx(angle, abs=1.5)


def test_the_light_of_drawn_out_noise_is_density_times_that_of_one_streak() -> None:
    """Dots per pixel x mean length x area of the Gaussian profile x mean brightness. Gusts add a little."""
    expected = 2 / 1000 * (0.875 * 40) * (2.0 * np.sqrt(np.pi / (4 * np.log(2)))) * (0.5 / 3)
    found = np.mean(
        [noise_streaks((400, 400), np.random.default_rng(seed), **STEADY).mean() for seed in range(12)]
    )
    assert 0.95 < found / expected < 1.2


def test_most_drawn_out_streaks_are_faint() -> None:
    light = noise_streaks((400, 400), np.random.default_rng(0), **(STEADY | {"density": 1.0}))
    wet = light[light > 0.01]
    assert np.percentile(wet, 99) > 4 * np.median(wet)
    assert np.percentile(wet, 99) == pytest.approx(0.5, abs=0.2)


def test_the_light_is_density_times_that_of_one_streak() -> None:
    """Mean light is streaks per pixel x mean length x area of the Gaussian profile x mean brightness."""
    expected = 2 / 1000 * (0.75 * 40) * (0.8 * 2.0 * np.sqrt(np.pi / (4 * np.log(2)))) * (0.525 * 0.5)
    found = np.mean([streaks(seed, side=400).mean() for seed in range(8)])
    assert found == pytest.approx(expected, rel=0.08)


def test_twice_the_density_is_twice_the_light() -> None:
    once, twice = (
        np.mean([streaks(seed, density=density).mean() for seed in range(8)]) for density in (1.0, 2.0)
    )
    assert twice / once == pytest.approx(2, rel=0.15)


def test_length_and_width_are_what_they_say() -> None:
    """The spread of a single streak's light along and across the streak."""
    light = np.zeros((0, 0), np.float32)
    for seed in range(100):
        light = rain_streaks(
            (200, 200),
            np.random.default_rng(seed),
            **(STEADY | {"density": 0.02, "length": 60.0, "width": 3.0}),
        )
        rows, columns = np.nonzero(light > 0.01)
        if len(rows) and rows.min() > 10 and rows.max() < 190 and columns.max() - columns.min() < 10:
            break
    assert 60 * 0.5 - 10 <= rows.max() - rows.min() + 1 <= 60 + 12
    row = light[(rows.min() + rows.max()) // 2]
    assert 3 * 0.6 - 1 <= (row > row.max() / 2).sum() <= 3 + 1


def test_far_streaks_are_smaller_and_fainter() -> None:
    near, far = streaks(depth=1.0), streaks(depth=6.0)
    assert far.mean() < 0.5 * near.mean()


def test_rain_is_neutral_and_only_adds() -> None:
    clean = flat(0.3)
    wet = rain(clean, np.random.default_rng(0), strength=0.3)
    added = wet - clean
    assert (added >= 0).all()
    assert added.max() > 0.05
    np.testing.assert_allclose(added[..., 0], added[..., 2], atol=1e-6)


def test_screened_streaks_never_pass_white_and_are_fainter_on_bright_ground() -> None:
    dark, bright = (
        rain(flat(level), np.random.default_rng(0), blend="screen") - level for level in (0.2, 0.8)
    )
    np.testing.assert_allclose(bright / 0.2, dark / 0.8, atol=1e-5)


def test_the_veil_takes_contrast_away() -> None:
    clean = np.random.default_rng(1).random((64, 64, 3), dtype=np.float32)
    hazy = veil(clean, np.random.default_rng(0), haze=0.8)
    assert hazy.std() < 0.8 * clean.std()
    np.testing.assert_array_equal(veil(clean, np.random.default_rng(0), haze=0.0), clean)


def test_no_rain_leaves_the_picture() -> None:
    clean = flat(0.4)
    np.testing.assert_array_equal(rain(clean, np.random.default_rng(0), density=0), clean)


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (37, 5)])
@pytest.mark.parametrize("kind", ["drops", "noise"])
def test_any_size(shape: tuple[int, int], kind: Literal["drops", "noise"]) -> None:
    wet = rain(
        np.zeros((*shape, 3), np.float32), np.random.default_rng(0), density=20, haze=0.5, streaks=kind
    )
    assert wet.shape == (*shape, 3)
    assert wet.dtype == np.float32
    assert ((wet >= 0) & (wet <= 1)).all()


@pytest.mark.parametrize("kind", ["drops", "noise"])
def test_the_same_seed_gives_the_same_rain(kind: Literal["drops", "noise"]) -> None:
    once, again, other = (rain(flat(0.3), np.random.default_rng(seed), streaks=kind) for seed in (5, 5, 6))
    np.testing.assert_array_equal(once, again)
    assert (once != other).any()


@pytest.mark.parametrize(
    "wrong",
    [
        {"density": -1},
        {"length": 0},
        {"depth": 0.5},
        {"haze": 1.0},
        {"blend": "multiply"},
        {"streaks": "snow"},
        {"strength": -0.1},
    ],
)
def test_values_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        rain(flat(0.3), np.random.default_rng(0), **wrong)


def test_the_veil_lies_over_the_streaks_too() -> None:
    """The veil absorbs the same share of a streak's light as of the image's (Yang 2017, equation 2)."""
    clean = np.full((120, 90, 3), 0.2, np.float32)
    parameters: dict[str, Any] = {"density": 3.0, "strength": 0.3}
    wet, hazy = (rain(clean, np.random.default_rng(3), **parameters, haze=haze) for haze in (0.0, 0.6))
    drawn = rain_streaks(
        (120, 90),
        rng := np.random.default_rng(3),
        **(STEADY | parameters | {"length": 40.0, "width": 2.5, "spread": 3.0, "depth": 3.0}),
    )
    np.testing.assert_allclose(wet, np.clip(clean + drawn[..., None], 0, 1), atol=1e-6)
    np.testing.assert_allclose(hazy, np.clip(veil(clean + drawn[..., None], rng, haze=0.6), 0, 1), atol=1e-6)
