"""PSNR and SSIM against scikit-image and scipy, and the conventions of the benchmarks."""

import math

import numpy as np
import pytest
import scipy.ndimage
import skimage  # loads its parts on first use; importing them takes a second in each process
from hypothesis import given
from hypothesis import strategies as st

from uformer.metrics import Window, psnr, ssim


def pair(
    height: int = 20, width: int = 30, *, spread: float = 0.1, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """(restored, clean), (H, W, 3) float64 in [0, 1], with structure and noise."""
    rng = np.random.default_rng(seed)
    clean = np.clip(scipy.ndimage.gaussian_filter(rng.random((height, width, 3)), (2, 2, 0)) * 3 - 1, 0, 1)
    return np.clip(clean + spread * rng.standard_normal(clean.shape), 0, 1), clean


@given(st.integers(1, 20), st.integers(1, 20), st.floats(0.001, 0.3), st.integers(0, 1000))
def test_psnr_is_scikit_images(height: int, width: int, spread: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    clean = rng.random((height, width, 3))
    restored = np.clip(clean + spread * rng.standard_normal(clean.shape), 0, 1)
    assert psnr(restored, clean, rounded=False) == pytest.approx(
        skimage.metrics.peak_signal_noise_ratio(clean, restored, data_range=1), abs=1e-6
    )


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
    assert psnr(clean + 51 / 255, clean, luma=True, rounded=False) == pytest.approx(
        -20 * math.log10(0.2 * 219 / 255), abs=1e-4
    )


def test_border_is_left_out() -> None:
    clean = np.zeros((8, 8, 3))
    framed = clean.copy()
    framed[0] = 1
    assert psnr(framed, clean) < 10
    assert psnr(framed, clean, border=1) == math.inf


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(ValueError, match="different shapes"):
        psnr(np.zeros((2, 2, 3)), np.zeros((2, 3, 3)))
    with pytest.raises(ValueError, match="border: 1 leaves nothing of an image of 2 x 2"):
        psnr(np.zeros((2, 2, 3)), np.zeros((2, 2, 3)), border=1)


@given(st.integers(11, 40), st.integers(11, 40), st.floats(0, 0.3), st.integers(0, 1000))
def test_gaussian_ssim_is_scikit_images(height: int, width: int, spread: float, seed: int) -> None:
    restored, clean = pair(height, width, spread=spread, seed=seed)
    expected = skimage.metrics.structural_similarity(
        clean,
        restored,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=1,
        channel_axis=2,
    )
    assert ssim(restored, clean, rounded=False) == pytest.approx(expected, abs=1e-6)


@given(st.integers(7, 30), st.integers(7, 30), st.sampled_from([1.0, 2.0]), st.integers(0, 1000))
def test_uniform_ssim_is_scikit_images_default(height: int, width: int, data_range: float, seed: int) -> None:
    restored, clean = pair(height, width, seed=seed)
    expected = skimage.metrics.structural_similarity(clean, restored, data_range=data_range, channel_axis=2)
    assert ssim(restored, clean, window="uniform", data_range=data_range, rounded=False) == pytest.approx(
        expected, abs=1e-6
    )


def test_matlab_ssim_takes_the_channels_for_a_third_dimension() -> None:
    a, b = pair(12, 9)

    def mean(picture: np.ndarray) -> np.ndarray:
        smooth: np.ndarray = scipy.ndimage.gaussian_filter(picture, 1.5, radius=5, mode="nearest")
        return smooth

    covariance, variances = (
        mean(a * b) - mean(a) * mean(b),
        mean(a * a) - mean(a) ** 2 + mean(b * b) - mean(b) ** 2,
    )
    luminance = (2 * mean(a) * mean(b) + 1e-4) / (mean(a) ** 2 + mean(b) ** 2 + 1e-4)
    expected = (luminance * (2 * covariance + 9e-4) / (variances + 9e-4)).mean()
    assert ssim(a, b, window="matlab", rounded=False) == pytest.approx(expected, abs=1e-9)
    assert ssim(a[:1], b[:1], window="matlab") < 1  # an image cannot be smaller than this window


def test_luma_is_matlabs_rounded_or_not() -> None:
    restored, clean = pair()
    restored = np.rint(restored * 255) / 255
    a, b = skimage.color.rgb2ycbcr(restored)[..., 0], skimage.color.rgb2ycbcr(clean)[..., 0]
    assert psnr(restored, clean, luma=True) == pytest.approx(
        skimage.metrics.peak_signal_noise_ratio(b, a, data_range=255), abs=1e-6
    )
    a, b = np.rint(a), np.rint(b)
    assert psnr(restored, clean, luma=True, luma_rounded=True) == pytest.approx(
        skimage.metrics.peak_signal_noise_ratio(b, a, data_range=255), abs=1e-6
    )
    expected = skimage.metrics.structural_similarity(
        b, a, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255
    )
    assert ssim(restored, clean, luma=True, luma_rounded=True) == pytest.approx(expected, abs=1e-6)


def test_ssim_leaves_out_the_border_and_rounds() -> None:
    restored, clean = pair()
    framed = restored.copy()
    framed[:2] = framed[-2:] = framed[:, :2] = framed[:, -2:] = 0
    assert ssim(framed, clean, border=2) == ssim(restored[2:-2, 2:-2], clean[2:-2, 2:-2])
    assert ssim(clean, clean, rounded=False) == pytest.approx(1, abs=1e-12)
    assert ssim(restored, clean) == ssim(np.rint(restored * 255) / 255, clean, rounded=False)


@pytest.mark.parametrize("window", ["gaussian", "uniform", "matlab"])
def test_ssim_of_large_counts_keeps_its_digits(window: Window) -> None:
    restored, clean = (300 * np.round(image, 2) for image in pair())
    at = [
        ssim(restored + offset, clean + offset, window=window, data_range=300, depth=32)
        for offset in (2.0**14, 2.0**30)
    ]
    assert at[1] == pytest.approx(at[0], abs=1e-4)


def test_a_picture_smaller_than_the_window_has_no_ssim() -> None:
    with pytest.raises(ValueError, match="10 x 20 pixels is smaller than the window of SSIM, 11 x 11"):
        ssim(np.zeros((10, 20, 3)), np.zeros((10, 20, 3)))
