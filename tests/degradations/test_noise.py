"""Noise has the strength and the correlation that its model predicts."""

from typing import Any

import numpy as np
import pytest

from uformer.degradations.noise import camera_noise, gaussian_noise, hot_pixels, poisson_gaussian_noise
from uformer.degradations.tables import camera_matrices, expose, unexpose
from uformer.image.color import linear_to_srgb, srgb_to_linear


def flat(level: float, side: int = 256) -> np.ndarray:
    return np.full((side, side, 3), level, np.float32)


def linear(level: float) -> float:
    return float(srgb_to_linear(np.array([level], np.float32))[0])


def in_linear_light(noisy: np.ndarray, level: float) -> np.ndarray:
    return srgb_to_linear(noisy).astype(float) - linear(level)


@pytest.mark.parametrize("sigma", [0, 5, 25, 50])
def test_gaussian_noise_has_its_sigma(sigma: float) -> None:
    noise = gaussian_noise(flat(0.5), np.random.default_rng(0), sigma=sigma) - 0.5
    assert noise.dtype == np.float32
    assert noise.std() * 255 == pytest.approx(sigma, rel=0.01)
    assert abs(noise.mean() * 255) < sigma / 100 + 1e-6


@pytest.mark.parametrize("shared", [0, 0.3, 1])
def test_channels_share_as_much_of_gaussian_noise_as_asked(shared: float) -> None:
    noise = gaussian_noise(flat(0.5), np.random.default_rng(0), sigma=25, shared=shared) - 0.5
    assert noise.std() * 255 == pytest.approx(25, rel=0.01)
    alike = np.corrcoef(noise.reshape(-1, 3).T)
    np.testing.assert_allclose(alike[[0, 0, 1], [1, 2, 2]], shared, atol=0.02)


def test_hot_pixels_change_their_share_of_the_image_and_nothing_else() -> None:
    clean = flat(0.5)
    noisy = hot_pixels(clean, np.random.default_rng(0), share=0.02)
    changed = noisy != clean
    assert changed.any(axis=2).mean() == pytest.approx(0.02, rel=0.15)
    assert np.array_equal(clean, flat(0.5))
    assert changed.all(axis=2).sum() / changed.any(axis=2).sum() == pytest.approx(0.5, abs=0.1)
    assert np.array_equal(hot_pixels(clean, np.random.default_rng(0), share=0), clean)


def test_chroma_is_the_share_of_the_noise_s_colour_that_is_left() -> None:
    noises = [
        camera_noise(
            flat(0.5), np.random.default_rng(0), shot=3e-3, read=3e-3, detail=0.3, chroma=chroma
        ).astype(float)
        - 0.5
        for chroma in (1, 0.25, 0)
    ]
    lumas = [noise @ [0.299, 0.587, 0.114] for noise in noises]
    np.testing.assert_allclose(lumas[1], lumas[0], atol=1e-5)
    for noise, chroma in zip(noises[1:], (0.25, 0), strict=True):
        np.testing.assert_allclose(
            noise - lumas[0][..., None], chroma * (noises[0] - lumas[0][..., None]), atol=1e-5
        )


@pytest.mark.parametrize("level", [0.3, 0.5, 0.7])
def test_counted_light_follows_its_variance(level: float) -> None:
    shot, read = 2e-3, 5e-3
    noise = in_linear_light(
        poisson_gaussian_noise(flat(level), np.random.default_rng(0), shot=shot, read=read), level
    )
    assert noise.var() == pytest.approx(shot * linear(level) + read**2, rel=0.03)
    assert abs(noise.mean()) < 0.01 * linear(level)
    assert abs(np.corrcoef(noise.reshape(-1, 3).T)[0, 1]) < 0.01


def test_few_photons_are_counted_whole() -> None:
    noisy = srgb_to_linear(poisson_gaussian_noise(flat(0.5, 64), np.random.default_rng(0), shot=0.25, read=0))
    assert len(np.unique(noisy.round(3))) <= 5


def test_a_response_curve_carries_the_noise_into_its_pixel_values() -> None:
    level, response = 0.5, 40
    noisy = camera_noise(
        flat(level),
        np.random.default_rng(0),
        shot=0,
        read=1e-3,
        red_gain=1,
        blue_gain=1,
        bayer=False,
        response=response,
    )
    light = unexpose(np.array([level], np.float32), response)[0]
    slope = (
        expose(np.array([light + 1e-3], np.float32), response)
        - expose(np.array([light - 1e-3], np.float32), response)
    )[0] / 2e-3
    assert noisy.std() == pytest.approx(1e-3 * slope, rel=0.1)
    np.testing.assert_allclose(
        camera_noise(flat(level, 8), np.random.default_rng(0), shot=0, read=0, response=response),
        level,
        atol=3e-3,
    )


@pytest.mark.parametrize("level", [0.3, 0.5, 0.7])
def test_camera_noise_follows_the_sensors_variance(level: float) -> None:
    shot, read, gains = 1e-3, 2e-3, np.array([2.0, 1.0, 1.6])
    noisy = camera_noise(
        flat(level), np.random.default_rng(0), shot=shot, read=read, red_gain=2.0, blue_gain=1.6, bayer=False
    )
    signal = linear(level)
    expected = gains**2 * (shot * signal / gains + read**2)
    np.testing.assert_allclose(in_linear_light(noisy, level).var(axis=(0, 1)), expected, rtol=0.03)


@pytest.mark.parametrize(("detail", "across"), [(0, 0.25), (1, (6**2 + 4 * 2**2 + 4 * 1.5**2) / 64)])
def test_a_bayer_sensor_keeps_the_noise_of_the_colour_it_saw(detail: float, across: float) -> None:
    parameters: dict[str, Any] = {"shot": 1e-4, "read": 1e-3, "red_gain": 1.0, "blue_gain": 1.0}
    noisy = in_linear_light(
        camera_noise(flat(0.5), np.random.default_rng(0), **parameters, detail=detail), 0.5
    )
    free = in_linear_light(camera_noise(flat(0.5), np.random.default_rng(0), **parameters, bayer=False), 0.5)
    for channel, rows, columns in [(0, 0, 0), (1, 0, 1), (1, 1, 0), (2, 1, 1)]:
        np.testing.assert_allclose(
            noisy[rows::2, columns::2, channel], free[rows::2, columns::2, channel], atol=1e-6
        )
    red_at_blue = noisy[
        1:-1:2, 1:-1:2, 0
    ]  # the variance of a linear filter's output is the sum of its squared weights
    assert red_at_blue.var() == pytest.approx(across * free.var(), rel=0.05)


def test_detail_makes_the_colours_noise_alike() -> None:
    def colours(detail: float) -> float:
        noisy = camera_noise(flat(0.5), np.random.default_rng(0), shot=1e-4, read=1e-3, detail=detail)
        return float(np.corrcoef(in_linear_light(noisy, 0.5).reshape(-1, 3).T)[0, 2])

    assert abs(colours(0)) < 0.02
    assert 0.2 < colours(0.5) < colours(1)


def test_demosaicing_correlates_neighbours_and_the_open_sensor_does_not() -> None:
    parameters: dict[str, Any] = {"shot": 1e-4, "read": 1e-3}

    def neighbours(bayer: bool) -> float:
        noise = in_linear_light(
            camera_noise(flat(0.5), np.random.default_rng(0), **parameters, bayer=bayer), 0.5
        )[..., 0]
        return float(np.corrcoef(noise[:, :-1].ravel(), noise[:, 1:].ravel())[0, 1])

    assert abs(neighbours(bayer=False)) < 0.01
    assert neighbours(bayer=True) > 0.3


def test_smoothing_correlates_and_keeps_the_strength() -> None:
    parameters: dict[str, Any] = {"shot": 1e-4, "read": 1e-3, "bayer": False}
    plain = in_linear_light(camera_noise(flat(0.5), np.random.default_rng(0), **parameters), 0.5)
    smooth = in_linear_light(camera_noise(flat(0.5), np.random.default_rng(0), **parameters, smooth=0.8), 0.5)
    assert smooth.std() == pytest.approx(plain.std(), rel=0.03)
    assert np.corrcoef(smooth[:, :-1, 0].ravel(), smooth[:, 1:, 0].ravel())[0, 1] > 0.4


def test_white_balance_comes_before_demosaicing() -> None:
    """Green at a red pixel is corrected by red, so it carries red's gain as far as the weights say."""
    read, gain = 1e-3, 4.0
    noisy = in_linear_light(
        camera_noise(
            flat(0.5), np.random.default_rng(0), shot=0, read=read, red_gain=gain, blue_gain=1, detail=1
        ),
        0.5,
    )
    green_at_red = noisy[2:-2:2, 2:-2:2, 1]
    of_green, of_red = 4 * 2**2, (4**2 + 4 * 1**2) * gain**2
    assert green_at_red.std() == pytest.approx(read * np.sqrt(of_green + of_red) / 8, rel=0.03)


@pytest.mark.parametrize("camera", [1, 2, 2.5, 4])
def test_a_cameras_matrix_strengthens_noise_and_draws_colours_apart(camera: float) -> None:
    """The sensor's variance follows the camera's colours; the matrix to sRGB propagates it (Brooks 2019)."""
    shot, read, gains = 1e-3, 2e-3, np.array([2.0, 1.0, 1.6])
    parameters: dict[str, Any] = {
        "shot": shot,
        "read": read,
        "red_gain": 2.0,
        "blue_gain": 1.6,
        "bayer": False,
        "camera": camera,
    }
    colour = np.array([0.6, 0.5, 0.4], np.float32)
    picture = np.broadcast_to(colour, (256, 256, 3)).copy()
    noise = srgb_to_linear(camera_noise(picture, np.random.default_rng(0), **parameters)).astype(
        float
    ) - srgb_to_linear(colour)
    lower = min(int(camera), 3)
    to_camera = camera_matrices()[lower] * (1 - camera + lower) + camera_matrices()[lower + 1] * (
        camera - lower
    )
    variance = gains**2 * (shot * (to_camera @ srgb_to_linear(colour)) / gains + read**2)
    to_srgb = np.linalg.inv(to_camera)
    expected = to_srgb @ np.diag(variance) @ to_srgb.T
    np.testing.assert_allclose(np.cov(noise.reshape(-1, 3).T), expected, atol=0.04 * expected.max())
    assert expected[0, 1] < 0
    assert (np.diag(expected) > variance).all()


def test_a_phones_noise_is_that_of_the_sidd() -> None:
    """Four crops were measured there.

    Red and blue noise are 1.25 to 1.7 times as strong as green, and more like each other than like green.
    """
    noise = (
        camera_noise(flat(0.43), np.random.default_rng(0), shot=3e-3, read=3e-3, detail=1, camera=1.3) - 0.43
    )
    red, green, blue = noise.std(axis=(0, 1))
    assert 1.2 < red / green < 1.8
    assert 1.2 < blue / green < 1.8
    alike = np.corrcoef(noise.reshape(-1, 3).T)
    assert 0.3 < alike[0, 2] < 0.6
    assert 0.05 < alike[0, 1] < 0.4
    assert 0.05 < alike[1, 2] < 0.4


def test_the_black_level_moves_shadows_only_by_as_much() -> None:
    """The error is on the sensor's scale. White balance multiplies it, so red shifts twice as far."""
    dark = camera_noise(
        flat(0.5), np.random.default_rng(0), shot=0, read=0, red_gain=2, blue_gain=1, black=-0.01
    )
    np.testing.assert_allclose(in_linear_light(dark, 0.5).mean(axis=(0, 1)), [-0.02, -0.01, -0.01], atol=1e-4)


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_camera_noise_without_noise_is_the_picture(level: float) -> None:
    np.testing.assert_allclose(
        camera_noise(flat(level, 8), np.random.default_rng(0), shot=0, read=0), level, atol=1e-5
    )


def test_noise_is_seeded_pure_and_in_range() -> None:
    clean = np.random.default_rng(5).random((17, 9, 3), dtype=np.float32)
    before = clean.copy()
    a, b = (
        camera_noise(clean, np.random.default_rng(3), shot=2e-2, read=6e-3, smooth=0.9, camera=1.3)
        for _ in range(2)
    )
    assert np.array_equal(a, b)
    assert not np.array_equal(
        a, camera_noise(clean, np.random.default_rng(4), shot=2e-2, read=6e-3, smooth=0.9, camera=1.3)
    )
    assert np.array_equal(clean, before)
    assert (a.min(), a.max()) >= (0, 0)
    assert a.max() <= 1
    assert a.dtype == np.float32


def test_impossible_parameters_are_refused() -> None:
    with pytest.raises(ValueError, match="gaussian_noise: sigma -1 must be between 0 and 1000"):
        gaussian_noise(flat(0.5, 4), np.random.default_rng(0), sigma=-1)
    with pytest.raises(ValueError, match="poisson_gaussian_noise: shot -0.1 must be between 0 and 1"):
        poisson_gaussian_noise(flat(0.5, 4), np.random.default_rng(0), shot=-0.1, read=0)
    with pytest.raises(ValueError, match="response 201 must"):
        camera_noise(flat(0.5, 4), np.random.default_rng(0), shot=0, read=0, response=201)
    with pytest.raises(ValueError, match="red_gain 0.5 must"):
        camera_noise(flat(0.5, 4), np.random.default_rng(0), shot=0, read=0, red_gain=0.5)
    with pytest.raises(ValueError, match="camera 4.5 must"):
        camera_noise(flat(0.5, 4), np.random.default_rng(0), shot=0, read=0, camera=4.5)
    with pytest.raises(ValueError, match="black -0.2 must"):
        camera_noise(flat(0.5, 4), np.random.default_rng(0), shot=0, read=0, black=-0.2)
    with pytest.raises(ValueError, match="shared 1.5 must"):
        gaussian_noise(flat(0.5, 4), np.random.default_rng(0), sigma=1, shared=1.5)
    with pytest.raises(ValueError, match="hot_pixels: share 2 must"):
        hot_pixels(flat(0.5, 4), np.random.default_rng(0), share=2)


def test_srgb_round_trip() -> None:
    values = np.linspace(0, 1, 1001, dtype=np.float32)
    np.testing.assert_allclose(linear_to_srgb(srgb_to_linear(values)), values, atol=1e-6)
