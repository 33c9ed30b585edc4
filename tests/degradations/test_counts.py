"""Noise in counts has the variance of photon transfer, in whatever units it is applied."""

import numpy as np
import pytest

from uformer.degradations.counts import CountNoise
from uformer.errors import OptionError
from uformer.image.value_range import FULL, ValueRange

NOISE = CountNoise(gain=2.0, read=6.0, offset=100.0)


def flat(level: float, channels: int = 1) -> np.ndarray:
    return np.full((200, 200, channels), level, np.float32)


@pytest.mark.parametrize("level", [100, 300, 5000])
def test_mean_and_variance(level: float) -> None:
    noisy = NOISE.apply(flat(level), np.random.default_rng(0))[0].astype(float)
    assert noisy.mean() == pytest.approx(level, abs=5 * (NOISE.variance(level) / noisy.size) ** 0.5)
    assert noisy.var() == pytest.approx(NOISE.variance(level), rel=0.03)


def test_the_same_noise_in_other_units() -> None:
    used = ValueRange(100 / 65535, 1100 / 65535)
    unit = NOISE.within(used, 65535).apply(flat(0.2), np.random.default_rng(0))[0].astype(float)
    assert unit.mean() * 1000 + 100 == pytest.approx(300, abs=1)
    assert (unit * 1000).var() == pytest.approx(NOISE.variance(300), rel=0.03)
    wider = NOISE.range_of_noisy(used, 65535)
    assert wider.low * 65535 == pytest.approx(100 - 3 * 6)
    assert wider.high * 65535 == pytest.approx(1100 + 3 * NOISE.variance(1100) ** 0.5)
    assert NOISE.range_of_noisy(FULL, 65535) == FULL


def test_gray_stays_gray_and_what_is_below_the_offset_stays() -> None:
    noisy = NOISE.apply(flat(300, 3), np.random.default_rng(0))[0]
    assert np.array_equal(noisy[..., 0], noisy[..., 2])
    dark = CountNoise(gain=2, offset=100).apply(flat(40), np.random.default_rng(0))[0]
    assert np.allclose(dark, 40)


def test_text_and_back() -> None:
    assert CountNoise.parse(str(NOISE)) == NOISE
    large = CountNoise(gain=2.0, offset=2**30 + 1)
    assert CountNoise.parse(str(large)) == large
    assert CountNoise.parse("poisson:gain=0.5") == CountNoise(gain=0.5)
    for text in ("", "poisson", "poisson:read=3", "gauss:gain=1", "poisson:gain=x", "poisson:gain=1,sigma=2"):
        with pytest.raises(OptionError, match="must have the form poisson:gain="):
            CountNoise.parse(text)
    for text in ("poisson:gain=0", "poisson:gain=1,read=-1", "poisson:gain=nan"):
        with pytest.raises(OptionError, match="needs a gain of more than 0"):
            CountNoise.parse(text)
