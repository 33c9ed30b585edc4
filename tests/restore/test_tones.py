"""The tone lock keeps local means of the luma, except where the input is clipped."""

import numpy as np
import pytest

from tests.restore.test_restorer import Tiles, make
from uformer.image.color import luma_of
from uformer.image.image import Pixels
from uformer.restore.options import RestoreOptions
from uformer.restore.tones import CELL, measured, shifts, spread

ROWS, COLUMNS = np.mgrid[0:200, 0:264].astype(np.float32)


def photo(level: float = 0.5) -> Pixels:
    noise = np.random.default_rng(0).normal(0, 0.02, (200, 264, 3))
    return np.clip(level + 0.1 * np.sin(COLUMNS / 40)[..., None] + noise, 0, 1).astype(np.float32)


def darker_on_one_side(tiles: Tiles) -> Tiles:
    """A network whose change of brightness varies slowly: 0 to 20 levels of 255."""
    ramp = np.linspace(0, 20 / 255, tiles.shape[-1], dtype=np.float32)
    return tiles - ramp


def means(pixels: Pixels) -> Pixels:
    """Means of the luma over 32 x 32 pixels, without the border."""
    luma = luma_of(pixels.transpose(2, 0, 1))
    blocks = luma[20 : 20 + 160, 20 : 20 + 224].reshape(5, 32, 7, 32)
    return blocks.mean(axis=(1, 3))


def test_local_means_stay() -> None:
    image = photo()
    free, locked = (make(darker_on_one_side, tones=tones)[0](image) for tones in ("free", "lock"))
    assert np.abs(means(free) - means(image)).max() > 10 / 255
    assert np.abs(means(locked) - means(image)).max() < 0.3 / 255


def test_the_tones_change_but_not_the_colours_and_details() -> None:
    image = photo()
    free, locked = (make(darker_on_one_side, tones=tones)[0](image) for tones in ("free", "lock"))
    change = locked - free
    np.testing.assert_allclose(change, np.broadcast_to(change[..., :1], change.shape), atol=1e-5)
    assert np.abs(np.diff(change, axis=0)).max() < 0.5 / 255, "smooth"
    assert np.abs(np.diff(change, axis=1)).max() < 0.5 / 255, "smooth"


@pytest.mark.parametrize("level", [-0.1, 1.1])
def test_the_lock_opens_where_the_input_is_clipped(level: float) -> None:
    """The network may correct the mean of clipped noise."""
    image = photo(level)
    free, locked = (
        make(lambda tiles: tiles * 0.96 + 0.02, tones=tones, range="full")[0](image)
        for tones in ("free", "lock")
    )
    np.testing.assert_allclose(free, locked, atol=1e-6)
    assert np.abs(means(free) - means(image)).max() > 2 / 255


def test_the_size_need_not_be_a_multiple_of_a_cell() -> None:
    for height, width in ((1, 1), (7, 9), (33, 70), (64, 129)):
        image = photo()[:height, :width]
        locked, _ = make(lambda tiles: tiles - np.float32(0.1), tones="lock", range="full")
        np.testing.assert_allclose(locked(image), image, atol=1e-5)
        blended = locked.infer(image).blend()
        np.testing.assert_allclose(blended, image, atol=1e-3)


def test_blending_locks_as_restoring_does() -> None:
    restorer, _ = make(darker_on_one_side, tones="lock", tile=64)
    restoration = restorer.infer(photo())
    np.testing.assert_allclose(restoration.blend(), restorer(photo()), atol=1e-4)
    assert np.array_equal(restoration.blend(tones="auto"), restoration.blend())
    free = make(darker_on_one_side, tile=64)[0](photo())
    np.testing.assert_allclose(restoration.blend(tones="free"), free, atol=1e-4)
    whole = restoration.blend(detail=0.5)
    part = restoration.blend(detail=0.5, crop=(13, 21, 100, 90))
    assert np.array_equal(part, whole[21:111, 13:113])


def test_cells() -> None:
    original = np.full((3, 9, 16), 0.5, np.float32)
    residual = np.zeros_like(original)
    residual[:, :8, 8:] = 0.25
    original[0, 0, 0] = 1
    cells = measured(original, residual)
    assert cells.shape == (2, 2, 2)
    np.testing.assert_allclose(cells[0], np.array([[0, 0.25], [0, 0]]))
    np.testing.assert_allclose(cells[1], np.array([[1 / 64, 0], [0, 0]]))
    flat = np.stack([np.full((4, 5), 0.3, np.float32), np.zeros((4, 5), np.float32)])
    np.testing.assert_allclose(shifts(flat), 0.3, atol=1e-6)
    flat[1] = 1
    assert (shifts(flat) == 0).all()


def test_shifts_are_interpolated_between_the_centres_of_cells() -> None:
    grid = np.array([[0, 1]], np.float32)
    line = spread(grid, range(3, 4), range(2 * CELL))[0]
    np.testing.assert_allclose(line[[0, 3]], 0)
    np.testing.assert_allclose(line[[12, 15]], 1)
    np.testing.assert_allclose(line[7:9].mean(), 0.5)
    assert np.array_equal(spread(grid, range(3, 4), range(5, 9))[0], line[5:9])


@pytest.mark.parametrize(
    ("options", "tones"),
    [
        ({}, "lock"),
        ({"task": "derain"}, "free"),
        ({"task": "deblur"}, "free"),
        ({"weights": "uformer_t.denoise"}, "lock"),
        ({"weights": "uformer_t.derain"}, "free"),
        ({"weights": "mine.safetensors"}, "free"),
        ({"tones": "free"}, "free"),
        ({"task": "derain", "tones": "lock"}, "lock"),
    ],
)
def test_the_default_depends_on_the_weights(options: dict[str, str], tones: str) -> None:
    restorer, _ = make(darker_on_one_side)
    restorer.options = RestoreOptions(**options)  # type: ignore[arg-type]
    assert restorer.controls.tones == tones
