"""Kernels sum to one and have the size asked for; blur adds light up, in linear light, and moves nothing."""

from typing import Any

import numpy as np
import pytest
from scipy import ndimage
from scipy.ndimage import convolve as reference_convolve

import uformer.degradations.blur
from uformer.degradations.blur import (
    blur,
    convolve,
    defocus,
    defocus_kernel,
    kernel_of,
    levin,
    shake,
    trajectory,
)
from uformer.image.color import srgb_to_linear


def photo(height: int = 48, width: int = 64) -> np.ndarray:
    rng = np.random.default_rng(3)
    coarse = rng.random((height // 4 + 1, width // 4 + 1, 3), dtype=np.float32)
    return np.kron(coarse, np.ones((4, 4, 1), np.float32))[:height, :width]


def point(side: int = 65) -> np.ndarray:
    picture = np.zeros((side, side, 3), np.float32)
    picture[side // 2, side // 2] = 1
    return picture


@pytest.mark.parametrize("anxiety", [0, 0.2, 1])
@pytest.mark.parametrize("length", [0.0, 3.0, 40.0])
def test_a_path_has_its_length_and_its_mean_at_the_middle(length: float, anxiety: float) -> None:
    path = trajectory(np.random.default_rng(0), length=length, anxiety=anxiety)
    assert np.abs(np.diff(path)).sum() == pytest.approx(length)
    assert abs(path.mean()) < 1e-9


def test_anxiety_crumples_the_path() -> None:
    def reach(anxiety: float) -> float:
        paths = [trajectory(np.random.default_rng(seed), length=30, anxiety=anxiety) for seed in range(20)]
        return float(np.mean([abs(path[-1] - path[0]) for path in paths]))

    assert reach(0.0) > 24
    assert reach(1.0) < 0.7 * reach(0.0)


@pytest.mark.parametrize("seed", range(5))
def test_the_kernel_of_a_path_sums_to_one_and_is_centred(seed: int) -> None:
    kernel = kernel_of(trajectory(np.random.default_rng(seed), length=25, anxiety=0.3))
    assert kernel.shape[0] == kernel.shape[1]
    assert kernel.shape[0] % 2 == 1
    assert (kernel >= 0).all()
    assert kernel.sum() == pytest.approx(1, abs=1e-6)
    at = np.arange(len(kernel)) - len(kernel) // 2
    assert abs((kernel.sum(axis=0) * at).sum()) < 0.2
    assert abs((kernel.sum(axis=1) * at).sum()) < 0.2


def test_a_straight_path_draws_a_line() -> None:
    kernel = kernel_of(np.linspace(-5, 5, 41).astype(np.complex128))
    middle = len(kernel) // 2
    np.testing.assert_allclose(kernel[middle].sum(), 1, atol=1e-6)
    inner = kernel[middle, middle - 4 : middle + 5]
    np.testing.assert_allclose(inner, inner.mean(), rtol=0.02)


def test_convolution_is_that_of_scipy() -> None:
    rng = np.random.default_rng(0)
    picture, kernel = rng.random((31, 22, 3), dtype=np.float32), rng.random((9, 9), dtype=np.float32)
    kernel /= kernel.sum()
    expected = np.stack(
        [reference_convolve(picture[..., channel], kernel, mode="reflect") for channel in range(3)], axis=2
    )
    np.testing.assert_allclose(convolve(picture, kernel), expected, atol=1e-5)


@pytest.mark.parametrize("radius", [0, 0.7, 3, 8.5])
def test_a_disc_has_its_area(radius: float) -> None:
    kernel = defocus_kernel(radius)
    assert kernel.sum() == pytest.approx(1, abs=1e-6)
    assert 1 / kernel.max() == pytest.approx(max(np.pi * radius**2, 1), rel=0.12, abs=1.6)


def test_an_aperture_of_blades_lies_within_the_disc() -> None:
    disc, polygon = defocus_kernel(8), defocus_kernel(8, blades=6, turn=0.3)
    assert (polygon > 0).sum() < (disc > 0).sum()
    assert polygon[disc == 0].max() == 0


def test_blur_keeps_the_light_not_the_pixel_values() -> None:
    kernel = np.full((3, 3), 1 / 9, np.float32)
    blurred = blur(point(), kernel)
    assert srgb_to_linear(blurred).sum() == pytest.approx(3, rel=1e-3)
    assert blurred[32, 32, 0] > 0.3  # a ninth of the light is a third of the pixel value


@pytest.mark.parametrize(
    ("function", "parameters"),
    [
        (shake, {"length": 12}),
        (shake, {"length": 12, "roll": 2.0, "near": 2.0}),
        (levin, {}),
        (levin, {"scale": 0.5}),
        (defocus, {"radius": 2.5, "blades": 5}),
    ],
)
def test_every_blur_keeps_shape_range_flat_areas_and_its_seed(
    function: Any, parameters: dict[str, Any]
) -> None:
    picture = photo()
    once, again = (function(picture, np.random.default_rng(4), **parameters) for _ in range(2))
    np.testing.assert_array_equal(once, again)
    assert once.shape == picture.shape
    assert once.dtype == np.float32
    assert ((once >= 0) & (once <= 1)).all()
    assert np.abs(np.diff(once, axis=1)).sum() < 0.8 * np.abs(np.diff(picture, axis=1)).sum()
    flat = np.full((40, 50, 3), 0.6, np.float32)
    np.testing.assert_allclose(function(flat, np.random.default_rng(4), **parameters), flat, atol=2e-3)
    assert function(np.ones((1, 1, 3), np.float32), np.random.default_rng(4), **parameters).shape == (1, 1, 3)


def test_roll_blurs_the_corners_and_spares_the_middle() -> None:
    rng = np.random.default_rng(0)
    picture = rng.random((128, 128, 3), dtype=np.float32)
    turned = shake(picture, rng, length=0, roll=5, nodes=5)

    def detail(place: tuple[slice, slice]) -> float:
        return float(turned[place].std() / picture[place].std())

    assert detail((slice(60, 68), slice(60, 68))) > 0.75
    assert detail((slice(0, 16), slice(0, 16))) < 0.6


@pytest.mark.parametrize("seed", range(6))
def test_what_is_near_moves_farther(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """At opposite corners by exactly the ratio that was asked for, and nowhere farther than `length`."""
    paths: list[np.ndarray] = []

    def noted(path: np.ndarray) -> np.ndarray:
        paths.append(path)
        return kernel_of(path)

    monkeypatch.setattr(uformer.degradations.blur, "kernel_of", noted)
    shake(photo(), np.random.default_rng(seed), length=10, near=4)
    lengths = [float(np.abs(np.diff(path)).sum()) for path in paths]
    assert max(lengths) == pytest.approx(10)
    assert max(lengths) / min(lengths) == pytest.approx(4)


@pytest.mark.parametrize("scale", [0.5, 1.5, 3.0])
def test_a_measured_kernel_keeps_its_shape_at_any_scale(scale: float) -> None:
    """A point of light becomes one line of the kernel's spread, not dots."""

    def spread(scale: float) -> tuple[float, int]:
        light = srgb_to_linear(levin(point(121), np.random.default_rng(2), scale=scale))[..., 0].astype(float)
        rows, columns = np.mgrid[:121, :121]
        middle = [(axis * light).sum() / light.sum() for axis in (rows, columns)]
        size = np.sqrt((light * ((rows - middle[0]) ** 2 + (columns - middle[1]) ** 2)).sum() / light.sum())
        return float(size), int(ndimage.label(light > 1e-4, np.ones((3, 3)))[1])

    size, pieces = spread(scale)
    whole, pieces_of_the_whole = spread(1.0)
    assert size == pytest.approx(scale * whole, rel=0.1)
    assert pieces <= pieces_of_the_whole


@pytest.mark.parametrize(
    ("function", "wrong"),
    [
        (shake, {"length": -1}),
        (shake, {"length": 1, "anxiety": 2}),
        (shake, {"length": 1, "near": 0.5}),
        (levin, {"scale": 0}),
        (defocus, {"radius": -1}),
        (defocus, {"radius": 2, "blades": 2}),
    ],
)
def test_values_out_of_range_are_refused(function: Any, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must"):
        function(photo(), np.random.default_rng(0), **wrong)
