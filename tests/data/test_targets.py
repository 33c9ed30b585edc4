"""Inputs and targets without clean images. test_objectives has losses and whole runs."""

from pathlib import Path

import numpy as np
import pytest

from tests.data.pictures import make_pairs, photo, save
from uformer.data import targets
from uformer.data.datasets import Patches
from uformer.data.pairs import find, find_clean, find_noisy
from uformer.data.pictures import load
from uformer.data.targets import CELL, TARGETS, draw_blind_spots, median_of_neighbors


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def noise(height: int = 32, width: int = 40, channels: int = 3) -> np.ndarray:
    return rng().random((height, width, channels), np.float32)


def test_both_orders_of_two_takes() -> None:
    first, second = noise(8, 8), noise(8, 8)
    found = [targets.noise2noise(first, second, rng(seed))[0] is first for seed in range(40)]
    assert 10 < sum(found) < 30
    assert all(
        {id(take) for take in targets.noise2noise(first, second, rng(seed))} == {id(first), id(second)}
        for seed in range(4)
    )


def test_a_blind_spot_in_each_cell_and_anywhere_in_it() -> None:
    places = set()
    for seed in range(60):
        rows, columns = draw_blind_spots(32, 43, rng(seed))
        cells = sorted(zip(rows // CELL, columns // CELL, strict=True))
        assert cells == [(row, column) for row in range(4) for column in range(5)]
        places |= set(zip(rows % CELL, columns % CELL, strict=True))
    assert len(places) == CELL**2


def test_targets_are_the_noisy_values_at_blind_spots_and_nan_elsewhere() -> None:
    noisy = noise()
    seen, target = targets.noise2void(noisy, noisy, rng())
    blind = ~np.isnan(target)
    assert np.all(blind == blind[..., :1])
    assert blind[..., 0].sum() == 4 * 5
    assert np.array_equal(target[blind], noisy[blind])
    assert np.array_equal(seen[~blind], noisy[~blind])
    assert not np.isnan(seen).any()
    assert np.array_equal(noisy, noise())  # not changed in place


def test_no_input_holds_the_value_of_a_blind_spot() -> None:
    """Change all blind values: the input stays the same, even where blind spots touch."""
    noisy = noise(64, 64)
    touching = False
    for seed in range(20):
        seen, target = targets.noise2void(noisy, noisy, rng(seed))
        blind = ~np.isnan(target)
        again, _ = targets.noise2void(np.where(blind, noisy + 1, noisy), noisy, rng(seed))
        assert np.array_equal(seen, again)
        touching |= bool((blind[1:] & blind[:-1]).any())
    assert touching


def test_the_median_leaves_out_the_pixel_and_what_is_nan() -> None:
    image = np.arange(25, dtype=np.float32).reshape(5, 5, 1)
    image[2, 2] = 1000
    assert median_of_neighbors(image, np.array([2]), np.array([2])).tolist() == [[12.0]]
    image[1, 1:4] = np.nan
    assert median_of_neighbors(image, np.array([2]), np.array([2])).tolist() == [[16.0]]
    image = np.arange(25, dtype=np.float32).reshape(5, 5, 1)
    corner = np.median([1, 1, 5, 5, 6, 6, 6, 6])
    assert median_of_neighbors(image, np.array([0]), np.array([0])).tolist() == [[corner]]


def test_picks_are_two_neighbours_of_one_cell() -> None:
    noisy = noise(33, 41)
    whole, picks = targets.neighbor2neighbor(noisy, noisy, rng())
    assert np.array_equal(whole, noisy[:32, :40])
    assert picks.shape == (16, 20, 2)
    places = np.stack([picks // 2, picks % 2])  # (2, H / 2, W / 2, 2): row and column in the cell
    apart = np.abs(places[..., 0] - places[..., 1]).sum(axis=0)
    assert np.all(apart == 1)
    pairs = {(int(first), int(second)) for first, second in picks.reshape(-1, 2)}
    assert pairs == {(0, 1), (1, 0), (0, 2), (2, 0), (1, 3), (3, 1), (2, 3), (3, 2)}


@pytest.mark.parametrize("name", TARGETS)
def test_patches_make_them_the_same_way_each_time(name: str, tmp_path: Path) -> None:
    folder = make_pairs(tmp_path) / "degraded"
    pictures, _ = load(find_clean(folder), smallest=1, memory=10**9, noisy=True)
    assert pictures.degraded == pictures.clean
    patches = Patches(pictures=pictures, side=32, seed=0, make=TARGETS[name])
    seen, target = patches[3]
    assert seen.shape == (3, 32, 32)
    assert target.shape == ((2, 16, 16) if name == "neighbor2neighbor" else (3, 32, 32))
    assert all(np.array_equal(*both, equal_nan=True) for both in zip(patches[3], (seen, target), strict=True))


def test_the_mirrored_copy_of_a_blind_spot_is_blind(tmp_path: Path) -> None:
    save(tmp_path / "a.png", rng().integers(0, 256, (40, 40, 3), np.uint8))
    pictures, _ = load(find_clean(tmp_path), smallest=1, memory=10**9, noisy=True)
    patches = Patches(pictures=pictures, side=32, seed=0, make=targets.noise2void, mirrored=1.0)
    for index in range(8):
        seen, target = patches[index]
        hidden = {tuple(value) for value in target.reshape(3, -1).T if not np.isnan(value).any()}
        assert hidden.isdisjoint(tuple(value) for value in seen.reshape(3, -1).T)


def test_any_channels_but_only_if_the_images_are_noisy_already(tmp_path: Path) -> None:
    save(tmp_path / "a.tif", rng().integers(0, 65536, (20, 24, 5), np.uint16))
    found, _ = load(find_clean(tmp_path), smallest=1, memory=10**9, noisy=True)
    assert found.channels == (5, 5)


def test_noisy_images_may_lie_in_a_folder_named_degraded(tmp_path: Path) -> None:
    save(tmp_path / "degraded" / "a.png", photo())
    assert [source.name for source in find_noisy(tmp_path)] == ["degraded/a.png"]
    save(tmp_path / "clean" / "a.png", photo())
    assert find_noisy(tmp_path) == find(tmp_path)
