"""The weights that ship, on a phone's night shot, on rain drawn over it, and on a blurred frame."""

import functools
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import uformer
from uformer.degradations.noise import gaussian_noise
from uformer.degradations.rain import rain
from uformer.image.read import read
from uformer.metrics import psnr
from uformer.restore.tile_size import plan
from uformer.weights.registry import TASKS

EXAMPLES = Path(__file__).parents[2] / "examples"
PART = np.s_[144:400, 144:400]
"""The part of the night shot that these tests restore."""
SMALL = np.s_[100:212, 100:212]
"""The part of it, or of another image, where less is enough. One size, because compiling takes a second."""

Pixels = NDArray[np.float32]


@pytest.fixture(scope="module")
def noisy() -> Pixels:
    return read(EXAMPLES / "night.png").pixels[PART]


@pytest.fixture(scope="module")
def clean() -> Pixels:
    return read(EXAMPLES / "night.clean.png").pixels[PART]


@functools.cache
def restorer_for(task: str) -> uformer.Restorer:
    return uformer.Restorer.from_pretrained(f"uformer_t.{task}", backend="openvino")


@pytest.fixture
def restorer() -> uformer.Restorer:
    return restorer_for("denoise")


@pytest.fixture(scope="module")
def restored(noisy: Pixels) -> Pixels:
    return restorer_for("denoise").restore_pixels(noisy)


def test_noise_goes_and_colours_stay(noisy: Pixels, clean: Pixels, restored: Pixels) -> None:
    # Most of the remaining error is the brightness of the shadows.
    assert psnr(restored, clean) > psnr(noisy, clean) + 9
    off = restored.mean(axis=(0, 1)) - clean.mean(axis=(0, 1))
    assert abs(off - off.mean()).max() < 0.01  # no colour shift
    assert abs(off.mean()) < 0.03  # clipped shadows make the brightness less certain


@pytest.mark.parametrize("kind", ["gray", "the same in all channels", "not clipped"])
def test_noise_of_other_kinds_goes_too(restorer: uformer.Restorer, kind: str) -> None:
    sharp = read(EXAMPLES / "court.clean.png").pixels[SMALL]
    clean = sharp[..., 1:2] if kind == "gray" else sharp
    noisy = gaussian_noise(
        clean, np.random.default_rng(0), sigma=25, shared=0 if kind == "not clipped" else 1
    )
    noisy = noisy if kind == "not clipped" else np.clip(noisy, 0, 1)
    restored = restorer.restore_pixels(noisy)
    assert psnr(restored, clean) > psnr(noisy, clean) + 6
    assert abs(float((restored - clean).mean())) * 255 < 2


def test_rain_goes(clean: Pixels) -> None:
    clean = clean[SMALL]
    rainy = rain(clean, np.random.default_rng(0), density=2, angle=10, strength=0.5)
    assert psnr(restorer_for("derain").restore_pixels(rainy), clean) > psnr(rainy, clean) + 4


def test_motion_blur_lessens() -> None:
    blurred, sharp = (read(EXAMPLES / name).pixels[SMALL] for name in ("court.png", "court.clean.png"))
    assert psnr(restorer_for("deblur").restore_pixels(blurred), sharp) > psnr(blurred, sharp) + 0.3


@pytest.mark.parametrize("tile", [128, pytest.param(192, marks=pytest.mark.slow)])
def test_no_seam_at_the_borders_of_tiles(noisy: Pixels, restored: Pixels, tile: int) -> None:
    """Neither the change by tiling nor the image is steeper across tile borders than elsewhere."""
    restorer = uformer.Restorer.from_pretrained("uformer_t.denoise", backend="openvino", tile=tile)
    tiled = restorer.restore_pixels(noisy)
    assert psnr(tiled, restored, rounded=False) > 49
    planned = plan(restorer.network, restorer.options, noisy.shape[0], noisy.shape[1], tile)
    for axis, tiles in enumerate((planned.rows, planned.columns)):

        def steepness(pixels: Pixels, axis: int = axis) -> NDArray[np.float32]:
            """The step from each row (column) to the next, averaged over all columns (rows)."""
            return np.abs(np.diff(pixels, axis=axis)).mean(axis=(1 - axis, 2))

        ends = {start - tiles.margin + side for start in tiles.starts for side in (0, tiles.tile)}
        borders = np.array(sorted(ends & set(range(1, tiles.length)))) - 1
        elsewhere = np.setdiff1d(np.arange(tiles.length - 1), borders)
        assert len(borders) >= 4
        change, off = steepness(tiled - restored), np.abs(steepness(tiled) / steepness(restored) - 1)
        assert change[borders].mean() < 1.5 * change[elsewhere].mean()
        assert change[borders].max() < 1.5 * change[elsewhere].max()
        assert off[borders].mean() < 1.5 * off[elsewhere].mean()
        assert off[borders].max() < off[elsewhere].max()


def test_the_ensemble_is_no_worse(restorer: uformer.Restorer, noisy: Pixels, clean: Pixels) -> None:
    eight = uformer.Restorer.from_pretrained("uformer_t.denoise", backend="openvino", ensemble=True)
    left = np.s_[112:224, :112]  # eight are better here; in other parts as small, chance decides
    of_eight, of_one = (each.restore_pixels(noisy[left]) for each in (eight, restorer))
    assert psnr(of_eight, clean[left]) > psnr(of_one, clean[left])


def test_twice_gives_the_same_bytes(restorer: uformer.Restorer, noisy: Pixels) -> None:
    crop = noisy[SMALL]
    assert np.array_equal(restorer.restore_pixels(crop), restorer.restore_pixels(crop))


def test_the_precision_it_picks_stays_within_one_level_of_torch(
    restorer: uformer.Restorer, noisy: Pixels
) -> None:
    crop = noisy[SMALL]
    exact = uformer.Restorer.from_pretrained(
        "uformer_t.denoise", backend="torch", device="cpu"
    ).restore_pixels(crop)
    assert abs(restorer.restore_pixels(crop) - exact).max() < 1 / 255


def test_fp32_is_torch(noisy: Pixels) -> None:
    crop = noisy[100:190, 50:180]
    openvino, torch = (
        uformer.Restorer.from_pretrained(
            "uformer_t.denoise", precision="fp32", backend=backend, device="cpu"
        ).restore_pixels(crop)
        for backend in ("openvino", "torch")
    )
    assert abs(openvino - torch).max() < 1e-4


COLOURS = (
    (0, 0, 0),
    (64, 64, 64),
    (128, 128, 128),
    (200, 200, 200),
    (255, 255, 255),
    (180, 60, 30),
    (20, 90, 200),
)


@pytest.mark.parametrize("task", TASKS)
def test_a_flat_clean_picture_comes_back_within_a_level(task: str) -> None:
    restorer = restorer_for(task)
    for colour in COLOURS:
        flat = np.full((112, 112, 3), colour, np.uint8)
        assert abs(restorer(flat).astype(int) - flat).max() <= 1, colour
