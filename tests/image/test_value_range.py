"""Which range of values is scaled for a network, and scaling there and back."""

import numpy as np
import pytest

from uformer.errors import OptionError
from uformer.image import value_range
from uformer.image.image import Pixels
from uformer.image.value_range import (
    FULL,
    ValueRange,
    check,
    choose,
    evenly,
    sampled,
    sampled_planes,
    share_outside,
    used_range,
)

RNG = np.random.default_rng(0)


def ramp(low: float, high: float) -> Pixels:
    return np.linspace(low, high, 3000, dtype=np.float32).reshape(50, 20, 3)


@pytest.mark.parametrize("asked", ["auto", "full", "100:400", "-5:0.5", "1e3:2e3"])
def test_a_range_as_a_user_writes_it(asked: str) -> None:
    assert check(asked) == asked


@pytest.mark.parametrize("asked", ["", "all", "5", "5:", "5:5", "6:5", "nan:1", "0:inf", "1:2:3"])
def test_another_text_is_refused(asked: str) -> None:
    with pytest.raises(OptionError, match=r"^range: '.*' must be auto, full or LOW:HIGH with LOW below HIGH"):
        check(asked)


@pytest.mark.parametrize("values", [ramp(0, 1), ramp(0, 0.04), ramp(0.5, 0.6), ramp(0.3, 0.3)])
def test_eight_bits_are_never_scaled_unasked(values: Pixels) -> None:
    assert choose("auto", values, 8) == FULL


@pytest.mark.parametrize("depth", [16, 32])
def test_what_uses_its_range_is_not_scaled(depth: int) -> None:
    assert choose("auto", ramp(0.1, 0.5), depth) == FULL


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_few_bits_in_sixteen_are_scaled(bits: int) -> None:
    used = choose("auto", ramp(0, (2**bits - 1) / 65535), 16)
    assert used.samples(16) == (0, 2**bits - 1)


@pytest.mark.parametrize(("low", "high"), [(0, 1e-4), (-3, 3), (0, 255), (-1000, -900), (1e6, 1.1e6)])
def test_floats_of_any_range_are_scaled(low: float, high: float) -> None:
    assert choose("auto", ramp(low, high), 32).samples(32) == pytest.approx((low, high))


def test_few_float_values_outside_do_not_count() -> None:
    values = ramp(0, 1)
    values[0, 0] = 7.5
    assert choose("auto", values, 32) == FULL


def test_noise_that_is_not_clipped_is_in_the_range() -> None:
    noisy = ramp(0, 1) + np.float32(0.1) * RNG.standard_normal((50, 20, 3), np.float32)
    used = choose("auto", noisy, 32)
    assert used == ValueRange(float(noisy.min()), float(noisy.max()))
    assert choose("auto", np.clip(noisy, 0, 1), 32) == FULL


def test_limits_are_in_the_units_of_the_file() -> None:
    assert choose("51:255", ramp(0, 1), 8) == ValueRange(0.2, 1)
    assert choose("0:4095", ramp(0, 1), 16).samples(16) == (0, 4095)
    assert choose("-5:0.5", ramp(0, 1), 32) == ValueRange(-5, 0.5)
    assert choose("full", ramp(0, 0.01), 16) == FULL


@pytest.mark.parametrize("outlier", [0.0, 1.0])
def test_hot_and_dead_pixels_do_not_decide(outlier: float) -> None:
    values = ramp(0.003, 0.006)
    values[::10, ::20] = outlier
    low, high = choose("auto", values, 16).samples(16)
    assert 0 <= low <= 197
    assert 393 <= high <= 600


def test_sparse_events_are_in_the_range() -> None:
    values = np.zeros((50, 20, 1), np.float32)
    values[3, 4:9] = 7 / 65535
    assert choose("auto", values, 16).samples(16) == (0, 7)


@pytest.mark.parametrize("value", [0, 0.2, 500, -1])
def test_a_flat_image_has_no_range(value: float) -> None:
    flat = np.full((4, 4, 1), value, np.float32)
    assert used_range(flat) is None
    assert choose("auto", flat, 32) == FULL


def test_the_full_range_changes_nothing() -> None:
    values = RNG.random((4, 5, 3), np.float32)
    assert FULL.to_unit(values) is values
    assert FULL.from_unit(values, values) is values


@pytest.mark.parametrize("used", [FULL, ValueRange(0.001, 0.006), ValueRange(-20, 400)])
def test_there_and_back(used: ValueRange) -> None:
    values = RNG.uniform(used.low - used.width, used.high + used.width, (40, 50, 1)).astype(np.float32)
    unit = used.to_unit(values)
    assert (unit.min(), unit.max()) == (0, 1)
    np.testing.assert_allclose(used.from_unit(unit, values), values, atol=1e-6 * used.width)
    # What is outside is added to what the network makes of the limit.
    darker = used.from_unit(unit - np.float32(0.125), values)
    np.testing.assert_allclose(darker, values - 0.125 * used.width, atol=2e-6 * used.width)


def test_a_large_image_is_sampled_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(value_range, "_SAMPLED", 100)
    values = RNG.random((60, 50, 1), np.float32)
    assert np.array_equal(sampled(values), values[::5, ::5])
    assert sampled(values[:9, :9]).shape == (9, 9, 1)


def test_share_outside() -> None:
    assert share_outside(np.array([-0.1, 0, 0.5, 1.1], np.float32)) == 0.5


def test_evenly() -> None:
    assert evenly([(n,) for n in range(10)], 3) == [(0,), (4,), (9,)]
    assert evenly([(), ()], 9) == [(), ()]


@pytest.mark.parametrize(
    ("asked", "depth", "read"),
    [("auto", 16, 3), ("auto", 32, 3), ("full", 32, 3), ("auto", 8, 0), ("full", 16, 0), ("100:400", 16, 0)],
)
def test_planes_are_read_only_if_the_range_depends_on_them(
    monkeypatch: pytest.MonkeyPatch, asked: str, depth: int, read: int
) -> None:
    monkeypatch.setattr(value_range, "MOST_PLANES", 3)
    monkeypatch.setattr(value_range, "_SAMPLED", 3 * 16)
    stack = np.arange(5 * 8 * 8, dtype=np.float32).reshape(5, 8, 8, 1)
    seen: list[int] = []

    def plane(number: int, every: int) -> Pixels:
        seen.append(number)
        return stack[number, ::every, ::every]

    sample = sampled_planes(range(5), plane, size=(8, 8), asked=asked, depth=depth)
    assert seen == [0, 2, 4][:read]
    if read:
        assert np.array_equal(sample.ravel(), stack[::2, ::2, ::2].ravel())


def test_a_narrow_range_far_from_zero_keeps_its_counts() -> None:
    """float32 has steps of 256 there."""
    values = (4e9 + np.arange(1000.0)).reshape(50, 20, 1)
    used = choose("auto", values, 32)
    assert used.samples(32) == (4e9, 4e9 + 999)
    unit = used.to_unit(values)
    assert unit.dtype == np.float32
    assert len(np.unique(unit)) == 1000
    assert np.array_equal(used.from_unit(unit, values), values)
    brighter = used.from_unit(unit + np.float32(0.125), values)
    np.testing.assert_allclose(brighter, values + 0.125 * used.width, rtol=0, atol=1e-3)
