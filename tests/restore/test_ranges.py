"""Data in a small part of its range: scaled, restored and scaled back; photos stay as they were."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from benchmarks.ranges import dim, stars, twelve
from tests.restore.test_restorer import darker, make, picture
from uformer.errors import PictureError
from uformer.restore.restorer import Restorer


@pytest.fixture(scope="module")
def denoiser() -> Restorer:
    return Restorer.from_pretrained("uformer_t.denoise", backend="openvino", tile=160)


@pytest.mark.parametrize("data", [dim, twelve, stars])
def test_data_in_a_small_part_of_its_range_gets_better(
    denoiser: Restorer, data: Callable[[], tuple[NDArray[Any], NDArray[Any]]]
) -> None:
    noisy, truth = data()
    restored = denoiser(noisy).astype(float)
    before, after = (float(np.sqrt(np.mean((image - truth) ** 2))) for image in (noisy, restored))
    assert after < 0.75 * before
    assert abs(restored.mean() - truth.mean()) < 0.1 * before


def test_stars_survive(denoiser: Restorer) -> None:
    noisy, truth = stars()
    restored = denoiser(noisy)
    faint = np.isclose(truth, 5, rtol=0.01)
    assert np.median(restored[faint]) > 0.6 * 5
    assert restored[truth > 99].min() > 90


def test_the_range_can_be_fixed_or_full(denoiser: Restorer) -> None:
    noisy, truth = dim()

    def error(asked: str) -> float:
        restorer = denoiser.with_options(dataclasses.replace(denoiser.options, range=asked))
        return float(np.sqrt(np.mean((restorer(noisy) - truth) ** 2)))

    assert error("50:450") == pytest.approx(error("auto"), rel=0.2)
    assert error("full") > 3 * error("auto")


@pytest.mark.parametrize("options", [{}, {"strength": 0.5}])
def test_photos_are_the_same_with_any_choice(options: dict[str, Any]) -> None:
    dark = picture() // 16
    bright = picture().astype(np.uint16) * 257
    for image in (dark, picture(), bright, (bright / 65535).astype(np.float32)):
        auto, full = (make(darker, range=asked, **options)[0](image) for asked in ("auto", "full"))
        assert np.array_equal(auto, full)


def test_all_tiles_of_an_image_have_one_range() -> None:
    ramp = np.linspace(100, 400, 300, dtype=np.uint16).reshape(300, 1).repeat(60, axis=1)
    restorer, _ = make(lambda tiles: tiles - np.float32(0.1), tile=64)
    assert set(np.unique(ramp[40:].astype(int) - restorer(ramp)[40:])) <= {29, 30, 31}


def test_floats_outside_are_refused_only_with_the_full_range() -> None:
    counts = np.linspace(-20, 300, 400).reshape(20, 20)
    with pytest.raises(PictureError, match=r"from -20 to 300, 100% of them outside 0 to 1; use --range auto"):
        make(darker, range="full")[0](counts)
    restored = make(lambda tiles: tiles, range="auto")[0](counts)
    np.testing.assert_allclose(restored, counts, atol=1e-4)
    few = np.linspace(0, 1, 2000).reshape(40, 50)
    few[0, :3] = 2
    with pytest.warns(UserWarning, match="has samples outside 0 to 1; the excess is kept unchanged"):
        assert (make(darker)[0](few)[0, :3] == 1.75).all()


def test_strength_zero_keeps_every_bit_of_scaled_data() -> None:
    noisy, _ = stars()
    assert np.array_equal(make(darker, strength=0)[0](noisy), noisy)


@pytest.mark.parametrize("data", [dim, twelve, stars])
def test_blending_an_answer_scales_as_restoring_does(
    data: Callable[[], tuple[NDArray[Any], NDArray[Any]]],
) -> None:
    noisy, _ = data()
    restorer, _ = make(darker)
    restoration = restorer.infer(noisy)
    np.testing.assert_allclose(restoration.blend().astype(float), restorer(noisy).astype(float), atol=1)
    assert np.array_equal(restoration.blend(strength=0), noisy)


def test_weights_bring_the_range_they_were_trained_with() -> None:
    restorer, _ = make(darker)
    counts = np.full((40, 40, 3), 300, np.uint16)
    restorer.network._weights = dataclasses.replace(restorer.network._weights, range="100:500")
    assert (restorer(counts) == 200).all()  # darker takes a quarter of the range
    wider = restorer.with_options(dataclasses.replace(restorer.options, range="0:800"))
    assert (wider(counts) == 100).all()


@pytest.mark.parametrize(
    ("kind", "zero"),
    [("int16", -1000), ("uint32", 4_000_000_000), ("int32", -(2**31) + 5000), ("float64", 1e12)],
)
def test_data_of_instruments_gets_better(denoiser: Restorer, tmp_path: Path, kind: str, zero: float) -> None:
    """float32 has steps of 256 at four thousand millions, of which the range in use spans four."""
    noisy, truth = (np.minimum(image, 9000) for image in dim())
    path, output = tmp_path / "a.tif", tmp_path / "out.tif"
    tifffile.imwrite(path, (noisy.astype(np.float64) + zero).astype(kind))
    denoiser(path, output=output)
    restored = tifffile.imread(output)
    assert restored.dtype == kind
    before, after = (
        float(np.sqrt(np.mean((image - truth) ** 2))) for image in (noisy, restored.astype(np.float64) - zero)
    )
    assert after < 0.75 * before


@pytest.mark.parametrize("kind", ["int16", "uint32", "float64"])
def test_answers_of_data_are_blended(kind: str) -> None:
    counts = np.random.default_rng(0).integers(100, 2000, (40, 40)).astype(kind)
    restorer, _ = make(darker)
    restoration = restorer.infer(counts)
    assert restoration.blend().dtype == kind
    np.testing.assert_allclose(restoration.blend().astype(float), restorer(counts).astype(float), atol=2)
    assert np.array_equal(restoration.blend(strength=0), counts)
