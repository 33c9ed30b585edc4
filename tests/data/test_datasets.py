import dataclasses
import pickle
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tests.data.pictures import make_pairs, photo, save
from tests.data.stand_in import Halve, Identity
from uformer.data.datasets import Patches
from uformer.data.pairs import find
from uformer.data.pictures import PictureSet, load
from uformer.degradations.counts import CountNoise


def load_folder(folder: Path) -> PictureSet:
    return load(find(folder), smallest=16, memory=10**9)[0]


@pytest.fixture
def pairs(tmp_path: Path) -> PictureSet:
    return load_folder(make_pairs(tmp_path))


def same(a: tuple[np.ndarray, ...], b: tuple[np.ndarray, ...]) -> bool:
    return all(np.array_equal(one, two) for one, two in zip(a, b, strict=True))


def test_a_patch_is_a_function_of_seed_and_number(pairs: PictureSet) -> None:
    patches = Patches(pictures=pairs, side=16, seed=5)
    copy = pickle.loads(pickle.dumps(patches))
    backwards = {index: copy[index] for index in reversed(range(20))}
    for index in range(20):
        assert same(patches[index], backwards[index])
    assert not same(patches[0], patches[1])
    assert not same(patches[0], Patches(pictures=pairs, side=16, seed=6)[0])


def test_patches_are_planar_and_of_the_same_place(tmp_path: Path) -> None:
    """If the degraded image equals the clean one, so do their patches, however they are turned."""
    for side in ("degraded", "clean"):
        save(tmp_path / side / "a.png", photo())
    patches = Patches(pictures=load_folder(tmp_path), side=16, seed=0)
    for index in range(50):
        degraded, clean = patches[index]
        assert clean.shape == (3, 16, 16)
        assert clean.dtype == np.float32
        assert clean.flags.c_contiguous
        assert np.array_equal(degraded, clean)


def orientations(patches: Patches, count: int) -> set[bytes]:
    """Return the distinct patches, which are as large as the image."""
    return {patches[index][1].tobytes() for index in range(count)}


def test_augmentation_is_the_eight_flips_and_turns(tmp_path: Path) -> None:
    for side in ("degraded", "clean"):
        save(tmp_path / side / "a.png", photo(16, 16))
    pictures = load_folder(tmp_path)
    assert len(orientations(Patches(pictures=pictures, side=16, seed=0), 100)) == 8
    assert len(orientations(Patches(pictures=pictures, side=16, seed=0, augment=False), 20)) == 1


def test_every_place_of_a_picture_is_cut(tmp_path: Path) -> None:
    rows = np.repeat(np.arange(20, dtype=np.uint8)[:, None, None], 18, axis=1).repeat(3, axis=2)
    save(tmp_path / "clean" / "a.png", rows)
    save(tmp_path / "degraded" / "a.png", rows)
    patches = Patches(pictures=load_folder(tmp_path), side=16, seed=0, augment=False)
    assert {round(float(patches[index][1].min() * 255)) for index in range(100)} == {0, 1, 2, 3, 4}


def test_larger_pictures_come_more_often_by_the_root_of_their_area(tmp_path: Path) -> None:
    save(tmp_path / "large.png", photo(64, 64))
    save(tmp_path / "small.png", photo(16, 16))
    patches = Patches(pictures=load_folder(tmp_path), side=16, seed=0, degradation=Identity())
    names = Counter(patches.name(index) for index in range(2000))
    assert 0.77 < names["large.png"] / 2000 < 0.83


def test_the_name_is_that_of_the_picture(tmp_path: Path) -> None:
    for value in range(4):
        save(tmp_path / f"{value}.png", np.full((16, 16, 3), value * 50, np.uint8))
    patches = Patches(pictures=load_folder(tmp_path), side=16, seed=0, degradation=Identity())
    for index in range(40):
        assert patches.name(index) == f"{round(float(patches[index][1].max()) * 255 / 50)}.png"


@pytest.mark.parametrize("margin", [0, 3, 40])
def test_margins_are_seen_and_cut_off(tmp_path: Path, margin: int) -> None:
    save(tmp_path / "a.png", photo())
    pictures = load_folder(tmp_path)
    plain = Patches(pictures=pictures, side=16, seed=0, degradation=Identity())
    wide = Patches(pictures=pictures, side=16, seed=0, degradation=Identity(margin))
    assert all(same(plain[index], wide[index]) for index in range(10))
    assert np.allclose(
        Patches(pictures=pictures, side=16, seed=0, degradation=Halve(margin))[0][0],
        plain[0][1] / 2 + 0.005,
        atol=0.006,
    )


def test_shares_of_drawn_and_gray_patches(tmp_path: Path) -> None:
    save(tmp_path / "a.png", photo(64, 64))
    patches = Patches(
        pictures=load_folder(tmp_path), side=16, seed=0, degradation=Halve(), drawn=0.4, gray=0.3
    )
    kinds: Counter[str] = Counter()
    for index in range(300):
        degraded, clean = patches[index]
        smooth = float(np.abs(np.diff(clean, axis=1)).max()) < 0.06
        alike = np.array_equal(degraded[0], degraded[2])
        if np.array_equal(degraded, clean):
            assert smooth
            kinds["left clean"] += 1
        elif not smooth and alike:
            assert np.array_equal(clean[0], clean[2])
            kinds["gray"] += 1
        kinds["drawn"] += smooth
    assert 0.2 < kinds["gray"] / 300 < 0.4
    assert 0.14 < kinds["left clean"] / 300 < 0.26
    assert 0.3 < kinds["drawn"] / 300 < 0.5


def test_shares_of_structured_and_dry_patches(tmp_path: Path) -> None:
    save(tmp_path / "a.png", photo(64, 64))
    plain = Patches(pictures=load_folder(tmp_path), side=16, seed=0, degradation=Halve())
    dry = dataclasses.replace(plain, dry=0.3)
    assert 0.22 < np.mean([same(patch, patch[::-1]) for patch in (dry[index] for index in range(300))]) < 0.38
    bars = dataclasses.replace(plain, structured=0.4)
    pairs = [bars[index] for index in range(300)]
    changed = [not np.array_equal(pair[1], plain[index][1]) for index, pair in enumerate(pairs)]
    left = [same(pair, pair[::-1]) for pair in pairs]
    assert 0.3 < np.mean(changed) < 0.48  # now and then a structure lies beside the patch
    assert 0.14 < np.mean(left) < 0.26
    assert all(clean.min() >= 0 and clean.max() <= 1 for _, clean in pairs)


def test_dry_patches_are_gray_as_often(tmp_path: Path) -> None:
    save(tmp_path / "a.png", photo(64, 64))
    patches = Patches(pictures=load_folder(tmp_path), side=16, seed=0, degradation=Halve(), dry=1.0, gray=1.0)
    for index in range(20):
        degraded, clean = patches[index]
        assert np.array_equal(degraded, clean)
        assert np.array_equal(clean[0], clean[2])


def test_mirrored_patches_are_mirrored_in_both_pictures_alike(tmp_path: Path) -> None:
    for side in ("clean", "degraded"):
        save(tmp_path / side / "a.png", photo(40, 40, seed=len(side)))
    plain = Patches(pictures=load_folder(tmp_path), side=32, seed=0)
    mirrored = dataclasses.replace(plain, mirrored=1.0)
    places = np.arange(32 * 32).reshape(32, 32)
    kinds: set[bool] = set()
    for index in range(40):
        (degraded, clean), (bad, good) = plain[index], mirrored[index]
        both = {
            tuple(column): at
            for column, at in zip(
                np.concatenate([degraded, clean]).reshape(6, -1).T.tolist(), places.ravel(), strict=True
            )
        }
        found = np.array(
            [both[tuple(column)] for column in np.concatenate([bad, good]).reshape(6, -1).T.tolist()]
        ).reshape(32, 32)
        assert (found // 32 == found[:, :1] // 32).all()
        assert (found % 32 == found[:1] % 32).all()
        kinds.add(bool((found == places).all()))
    assert kinds == {True, False}  # one in nine is neither down nor across
    assert sum(not same(plain[i], dataclasses.replace(plain, mirrored=0.3)[i]) for i in range(200)) in range(
        30, 80
    )


def test_noise_in_counts_keeps_the_units_of_the_files(tmp_path: Path) -> None:
    ramp = np.linspace(1000, 3000, 96 * 96).reshape(96, 96, 1).astype(np.uint16)
    save(tmp_path / "a.tif", ramp)
    noise = CountNoise(gain=4, read=10, offset=100)
    pictures = load_folder(tmp_path)
    used = noise.range_of_noisy(pictures.range_of(0), 65535)
    degraded, clean = Patches(pictures=pictures, side=96, seed=0, degradation=noise, augment=False)[0]
    counts = clean * used.width * 65535 + used.low * 65535
    assert np.allclose(counts[0], ramp[..., 0], atol=0.5)
    residual = (degraded - clean)[0].astype(float) * used.width * 65535
    assert residual.var() == pytest.approx(noise.variance(2000), rel=0.05)
    assert np.array_equal(degraded[0], degraded[2])  # gray stays gray
    seen, _ = pictures.centre(0, 64, degradation=noise, seed=0)
    assert 0 < seen.mean() < 1
