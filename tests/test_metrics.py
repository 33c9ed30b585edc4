"""PSNR against scikit-image, and the conventions of the benchmarks."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.metrics import peak_signal_noise_ratio

from uformer.metrics import psnr


@given(st.integers(1, 20), st.integers(1, 20), st.floats(0.001, 0.3), st.integers(0, 1000))
def test_psnr_is_scikit_images(height: int, width: int, spread: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    clean = rng.random((height, width, 3))
    restored = np.clip(clean + spread * rng.standard_normal(clean.shape), 0, 1)
    assert psnr(restored, clean, rounded=False) == pytest.approx(peak_signal_noise_ratio(clean, restored, data_range=1), abs=1e-6)


def test_equal_pictures_are_infinitely_close() -> None:
    assert psnr(np.ones((2, 2, 3)), np.ones((2, 2, 3))) == math.inf


def test_rounding_is_that_of_a_picture_file() -> None:
    clean = np.full((4, 4, 3), 100 / 255)
    assert psnr(clean + 0.4 / 255, clean) == math.inf
    assert psnr(clean + 0.6 / 255, clean) == pytest.approx(20 * math.log10(255))
    assert psnr(clean * 0 - 5, clean * 0) == math.inf  # clipped


def test_luma_weighs_green_most() -> None:
    clean = np.full((4, 4, 3), 0.5)
    off = [clean + 0.2 * np.eye(3)[channel] for channel in range(3)]
    red, green, blue = (psnr(picture, clean, luma=True) for picture in off)
    assert green < red < blue
    assert psnr(clean + 51 / 255, clean, luma=True, rounded=False) == pytest.approx(-20 * math.log10(0.2 * 219 / 255), abs=1e-4)


def test_border_is_left_out() -> None:
    clean = np.zeros((8, 8, 3))
    framed = clean.copy()
    framed[0] = 1
    assert psnr(framed, clean) < 10
    assert psnr(framed, clean, border=1) == math.inf


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(ValueError, match="different shapes"):
        psnr(np.zeros((2, 2, 3)), np.zeros((2, 3, 3)))
    with pytest.raises(ValueError, match="border: 1 leaves nothing of a picture of 2 x 2"):
        psnr(np.zeros((2, 2, 3)), np.zeros((2, 2, 3)), border=1)
