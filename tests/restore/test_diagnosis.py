"""The rule behind --task auto, on drawn images and plain arithmetic in place of networks."""

import numpy as np
import pytest

from uformer.image.image import Pixels
from uformer.restore.diagnosis import (
    SIDE,
    NoiseFigures,
    RainFigures,
    decide,
    diagnose,
    find_crops,
    noise_figures,
    rain_figures,
)

CLEAN, DRY = NoiseFigures(0.5, 0.3, 0.2, 0.5), RainFigures(1.5, 0.02, 0.5)


@pytest.mark.parametrize(
    ("noise", "rain", "finding"),
    [
        (CLEAN, DRY, "nothing"),
        (NoiseFigures(9, 6, 0.9, 0.6), DRY, "denoise"),
        (NoiseFigures(8, 0, 0.4, 0), DRY, "denoise"),  # gray
        (NoiseFigures(8, 0.5, 0.2, 0), DRY, "nothing"),  # sand: texture
        (NoiseFigures(1.8, 1.4, 0.9, 0.87), DRY, "denoise"),  # a camera
        (NoiseFigures(2.4, 2.3, 0.9, 0.7), DRY, "nothing"),
        (CLEAN, RainFigures(9, 0.5, 0.85), "derain"),
        (CLEAN, RainFigures(3.1, 0.38, 0.69), "derain"),  # weak rain in a photograph
        (CLEAN, RainFigures(1.5, 0.38, 0.69), "nothing"),
        (CLEAN, RainFigures(9, 0.02, 0.85), "nothing"),  # a fence
        (CLEAN, RainFigures(9, 0.5, 0.3), "nothing"),  # grain
        (NoiseFigures(20, 20, 1, 0), RainFigures(9, 0.5, 0.85), "denoise"),
    ],
)
def test_the_rule(noise: NoiseFigures, rain: RainFigures, finding: str) -> None:
    assert decide(noise, rain).finding == finding
    assert decide(noise, rain).why


def test_noise_is_measured_in_its_luma_and_colours() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 10 / 255, (3, SIDE, SIDE)).astype(np.float32)
    figures = noise_figures([noise + np.float32(0.5)], [-noise])
    assert figures.luma == pytest.approx(10 / 3**0.5, rel=0.05)
    assert figures.colour == pytest.approx(10 * (2 / 3) ** 0.5, rel=0.05)
    assert figures.share == pytest.approx(1, abs=0.05)
    assert figures.smooth == pytest.approx(0, abs=0.05)
    gray = noise_figures([noise[:1] + np.float32(0.5)], [-noise[:1]])
    assert (gray.colour, gray.smooth) == (0, 0)


def streaks() -> Pixels:
    rows, columns = np.mgrid[0:SIDE, 0:SIDE]
    return np.where((columns + rows) % 9 < 2, np.float32(-0.1), np.float32(0))[None].repeat(3, axis=0)


def test_rain_falls_everywhere_in_one_direction() -> None:
    rain = rain_figures([streaks()] * 4)
    assert rain.strength > 4
    assert rain.even > 0.5
    assert rain.aligned > 0.65
    nothing = np.zeros_like(streaks())
    assert rain_figures([streaks(), nothing, nothing, nothing]).even < 0.1
    grain = np.random.default_rng(0).normal(0, 0.05, streaks().shape).astype(np.float32)
    assert rain_figures([grain] * 4).aligned < 0.3


def test_crops_are_flat_or_spread_and_small_images_are_their_own() -> None:
    rng = np.random.default_rng(0)
    image = rng.random((3, 400, 500), np.float32)
    image[:, 250:400, 20:200] = 0.5
    seen: list[int] = []

    def read(first: int, last: int) -> Pixels:
        seen.append(first)
        return image[:, first:last]

    flat, spread = find_crops(read, (400, 500, 3))
    assert seen == sorted(seen)  # a decoder goes from top to bottom
    assert np.ptp(flat[0]) == 0
    assert [crop.shape for crop in flat + spread] == [(3, SIDE, SIDE)] * 6
    small, _ = find_crops(lambda first, last: image[:, first:last, :50], (60, 50, 3))
    assert [crop.shape for crop in small] == [(3, 60, 50)]


def test_an_image_of_one_pixel_is_left_alone() -> None:
    pixel = np.full((3, 1, 1), 0.5, np.float32)
    found = diagnose(
        lambda first, last: pixel[:, first:last], (1, 1, 3), lambda crop: crop, lambda crop: crop
    )
    assert found.finding == "nothing"
    assert str(found) == "nothing (neither clear noise nor rain)"
