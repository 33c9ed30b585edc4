import numpy as np
import pytest
import skimage
from hypothesis import given
from hypothesis import strategies as st

from uformer.image.color import linear_to_srgb, rgb_to_y, srgb_to_linear


@pytest.mark.parametrize(
    ("rgb", "y"),
    [((0, 0, 0), 16), ((1, 1, 1), 235), ((1, 0, 0), 81.481), ((0, 1, 0), 144.553), ((0, 0, 1), 40.966)],
)
def test_luma_as_matlab(rgb: tuple[float, float, float], y: float) -> None:
    luma = rgb_to_y(np.array([[rgb]], np.float32))
    assert luma.shape == (1, 1)
    assert luma.dtype == np.float32
    assert luma[0, 0] * 255 == pytest.approx(y, abs=1e-3)


def test_luma_as_scikit_image() -> None:
    rgb = np.random.default_rng(0).random((9, 7, 3), np.float32)
    np.testing.assert_allclose(rgb_to_y(rgb) * 255, skimage.color.rgb2ycbcr(rgb)[..., 0], atol=1e-3)


@given(st.floats(0, 1, width=32))
def test_linear_light_and_back(value: float) -> None:
    srgb = np.full((1, 1, 3), value, np.float32)
    np.testing.assert_allclose(linear_to_srgb(srgb_to_linear(srgb)), srgb, atol=2e-6)


def test_linear_light_at_known_points() -> None:
    np.testing.assert_allclose(
        srgb_to_linear(np.array([0, 0.04045, 0.5, 1], np.float32)), [0, 0.0031308, 0.2140411, 1], atol=1e-6
    )


def test_every_8_bit_level_survives_linear_light() -> None:
    levels = np.arange(256, dtype=np.float32) / np.float32(255)
    np.testing.assert_array_equal(np.rint(linear_to_srgb(srgb_to_linear(levels)) * 255), np.arange(256))
