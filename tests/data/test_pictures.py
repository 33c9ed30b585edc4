import pickle
from pathlib import Path

import numpy as np
import pytest

from tests.data.pictures import make_pairs, photo, save
from tests.data.stand_in import Halve
from uformer.data.datasets import Patches
from uformer.data.pairs import find, find_clean, find_pairs
from uformer.data.pictures import PictureSet, cut, inside, load
from uformer.errors import OptionError, PictureError
from uformer.image.read import read
from uformer.image.value_range import FULL, ValueRange, choose, sampled

MEMORY = 10**9


def load_folder(folder: Path, *, smallest: int = 16) -> PictureSet:
    found, notes = load(find(folder), smallest=smallest, memory=MEMORY)
    assert notes == []
    return found


def test_pairs_stay_together(tmp_path: Path) -> None:
    found = load_folder(make_pairs(tmp_path))
    assert found.names == ("0", "1", "2")
    assert found.channels == (3, 3)
    assert found.sizes == ((40, 48),) * 3
    assert found.degraded is not None
    for index in range(3):
        assert np.array_equal(found.store[found.clean[index]], photo(seed=index))
        assert 5 < np.std(found.store[found.degraded[index]].astype(int) - photo(seed=index)) < 15


def test_small_and_unreadable_pictures_are_left_out_and_named(tmp_path: Path) -> None:
    make_pairs(tmp_path)
    (tmp_path / "degraded" / "1.png").write_bytes(b"no picture")
    for side in ("degraded", "clean"):
        save(tmp_path / side / "tiny.png", photo(12, 100))
    found, notes = load(find(tmp_path), smallest=16, memory=MEMORY)
    assert found.names == ("0", "2")
    assert len(notes) == 2
    assert "skipped unreadable images: 1 (" in notes[0]
    assert "1.png: not a PNG" in notes[0]
    assert notes[1] == "skipped images smaller than 16 x 16: 1 (tiny)"


def test_an_error_if_no_picture_is_left(tmp_path: Path) -> None:
    with pytest.raises(
        PictureError,
        match=r"no images are left .*; skipped images smaller than 41 x 41: 3 \(0, 1, 2\); .*--set patch=N",
    ):
        load(find(make_pairs(tmp_path)), smallest=41, memory=MEMORY)


def test_a_pair_of_two_sizes_is_refused_by_name(tmp_path: Path) -> None:
    make_pairs(tmp_path)
    save(tmp_path / "clean" / "1.png", photo(40, 50))
    with pytest.raises(OptionError, match="1: 48 x 40 degraded, 50 x 40 clean; both must have the same size"):
        load(find(tmp_path), smallest=16, memory=MEMORY)


def test_any_number_of_channels_each_side_its_own(tmp_path: Path) -> None:
    many = np.random.default_rng(0).integers(0, 65536, (20, 24, 5), np.uint16)
    save(tmp_path / "a" / "x.tif", many)
    save(tmp_path / "b" / "x.png", photo(20, 24))
    found, _ = load(find_pairs(tmp_path / "a", tmp_path / "b"), smallest=16, memory=MEMORY)
    assert found.channels == (5, 3)
    degraded, clean = found.centre(0, 16, degradation=None, seed=0)
    assert degraded.shape == (16, 16, 5)
    assert np.allclose(degraded, many[2:18, 4:20] / 65535, atol=1e-7)
    assert np.allclose(clean, photo(20, 24)[2:18, 4:20] / 255, atol=1e-7)


def test_gray_among_colour_counts_as_colour(tmp_path: Path) -> None:
    make_pairs(tmp_path, 1)
    for side in ("degraded", "clean"):
        save(tmp_path / side / "gray.png", photo(20, 24)[..., 0])
    found = load_folder(tmp_path)
    assert found.channels == (3, 3)
    degraded, _ = found.centre(found.names.index("gray"), 16, degradation=None, seed=0)
    assert degraded.shape == (16, 16, 3)
    assert np.array_equal(degraded[..., 0], degraded[..., 2])


def test_gray_alone_is_gray(tmp_path: Path) -> None:
    for side in ("degraded", "clean"):
        save(tmp_path / side / "gray.png", photo(20, 24)[..., 0])
    assert load_folder(tmp_path).channels == (1, 1)


def test_channels_that_do_not_agree_are_refused(tmp_path: Path) -> None:
    make_pairs(tmp_path, 1)
    for side in ("degraded", "clean"):
        save(tmp_path / side / "five.tif", np.zeros((20, 20, 5), np.uint8))
    with pytest.raises(OptionError, match="differ in channels: 3 in 0, 5 in five"):
        load(find(tmp_path), smallest=16, memory=MEMORY)


def test_degradations_need_gray_or_rgb(tmp_path: Path) -> None:
    save(tmp_path / "five.tif", np.zeros((20, 20, 5), np.uint8))
    with pytest.raises(OptionError, match="the images have 5 channels"):
        load(find(tmp_path), smallest=16, memory=MEMORY)


def test_split_is_the_seed_s_and_takes_a_quarter_at_most(tmp_path: Path) -> None:
    found = load_folder(make_pairs(tmp_path, 8))
    rest, held = found.split(2, seed=1)
    assert (len(rest), len(held)) == (6, 2)
    assert sorted(rest.names + held.names) == list("01234567")
    assert held.names == found.split(2, seed=1)[1].names
    assert len({found.split(2, seed=seed)[1].names for seed in range(8)}) > 1
    assert len(found.split(100, seed=0)[1]) == 2
    assert np.array_equal(held.store[held.clean[0]], photo(seed=int(held.names[0])))


def test_fingerprint_follows_names_and_sizes(tmp_path: Path) -> None:
    one, same, other = (
        load_folder(make_pairs(tmp_path / name, count)) for name, count in (("a", 3), ("b", 3), ("c", 4))
    )
    assert one.fingerprint() == same.fingerprint() != other.fingerprint()


def test_centre_degrades_the_same_way_each_time(tmp_path: Path) -> None:
    save(tmp_path / "a.png", photo())
    found = load_folder(tmp_path)
    (one, clean), (two, _) = (found.centre(0, 24, degradation=Halve(margin=4), seed=3) for _ in range(2))
    assert np.array_equal(one, two)
    assert one.shape == clean.shape == (24, 24, 3)
    assert np.allclose(clean, photo()[8:32, 12:36] / 255, atol=1e-6)


@pytest.mark.parametrize(("top", "left"), [(0, 0), (4, 6), (8, 8)])
def test_margin_is_the_picture_around_and_its_reflection_beyond(top: int, left: int) -> None:
    picture = photo(16, 16)
    piece = cut(picture, top, left, 8, 8, channels=3, margin=6)
    padded = np.pad(picture, ((6, 6), (6, 6), (0, 0)), mode="symmetric").astype(np.float32) / 255
    assert np.allclose(piece, padded[top : top + 20, left : left + 20])
    assert np.array_equal(inside((piece, piece), 6)[1], cut(picture, top, left, 8, 8, channels=3))


def test_no_margin_leaves_all() -> None:
    piece = cut(photo(), 0, 0, 8, 8, channels=3)
    assert inside((piece, piece), 0)[0].shape == (8, 8, 3)


def dim_pairs(folder: Path) -> Path:
    """Pairs of 16-bit gray images with 100 to 400 counts, one of them with a hot pixel."""
    rng = np.random.default_rng(0)
    clean = 100 + 300 * (photo(40, 48)[..., 0] / 255)
    for name in ("clean", "degraded"):
        counts = np.rint(clean + rng.normal(0, 15, clean.shape) * (name == "degraded")).astype(np.uint16)
        save(folder / name / "0.png", counts)
    return folder


def test_pairs_in_a_small_part_of_the_range_are_scaled_as_restoring_scales(tmp_path: Path) -> None:
    found = load_folder(dim_pairs(tmp_path))
    image = read(tmp_path / "degraded" / "0.png")
    used = choose("auto", sampled(image.values), image.depth)
    assert used != FULL
    assert found.range_of(0) == pickle.loads(pickle.dumps(found)).range_of(0) == used
    degraded, clean = found.centre(0, 40, degradation=None, seed=0)
    assert np.array_equal(degraded, used.to_unit(image.values[:, 4:44]))
    assert np.ptp(clean) > 0.5
    patch = Patches(pictures=found, side=40, seed=0, augment=False)[3]
    assert min(np.ptp(each) for each in patch) > 0.5
    assert found.depth(0) == 16


def test_clean_images_in_a_small_part_of_the_range_are_scaled(tmp_path: Path) -> None:
    found, _ = load(find_clean(dim_pairs(tmp_path) / "clean"), smallest=16, memory=MEMORY)
    _, clean = found.centre(0, 32, degradation=Halve(), seed=0)
    assert np.ptp(clean) > 0.5
    _, patch = Patches(pictures=found, side=32, seed=0, degradation=Halve())[0]
    assert np.ptp(patch) > 0.5


def test_the_range_can_be_fixed(tmp_path: Path) -> None:
    found, _ = load(find(dim_pairs(tmp_path)), smallest=16, memory=MEMORY, asked="50:450")
    used = ValueRange(50 / 65535, 450 / 65535)
    assert found.range_of(0) == found.take([0]).range_of(0) == used
    counts = read(tmp_path / "clean" / "0.png").values[:, 4:44]
    assert np.array_equal(found.centre(0, 40, degradation=None, seed=0)[1], used.to_unit(counts))


@pytest.mark.parametrize(("kind", "offset"), [("uint32", 2**30), ("float64", 2**40), ("int16", -500)])
def test_counts_that_float32_does_not_hold_are_learned_from(tmp_path: Path, kind: str, offset: int) -> None:
    counts = np.random.default_rng(0).integers(0, 300, (20, 24))
    for name in ("degraded", "clean"):
        save(tmp_path / name / "0.tif", (counts + offset).astype(kind))
    asked = f"{offset}:{offset + 300}"
    found, _ = load(find(tmp_path), smallest=16, memory=MEMORY, asked=asked)
    degraded, clean = found.centre(0, 20, degradation=None, seed=0)
    assert degraded.dtype == clean.dtype == np.float32
    assert np.allclose(degraded[..., 0], counts[:, 2:22] / 300, atol=1e-6)
    patch, _ = Patches(pictures=found, side=20, seed=0, augment=False)[0]
    assert patch.dtype == np.float32
    assert np.isin(np.rint(patch * 300), counts).all()


def test_float_counts_are_learned_from_as_they_are(tmp_path: Path) -> None:
    counts = np.random.default_rng(0).normal(250, 50, (20, 24)).astype(np.float32)
    for name, image in (("degraded", counts), ("clean", counts + 1)):
        save(tmp_path / name / "0.tif", image)
    found, _ = load(find(tmp_path), smallest=16, memory=MEMORY, asked="0:500")
    assert found.depth(0) == 32
    assert np.allclose(found.centre(0, 20, degradation=None, seed=0)[0][..., 0], counts[:, 2:22] / 500)
    with pytest.raises(PictureError, match=r"^0: the image has .*, 100% of them outside 0 to 1"):
        load(find(tmp_path), smallest=16, memory=MEMORY, asked="full")
    save(tmp_path / "clean" / "0.tif", counts.astype(np.uint16))
    with pytest.raises(
        PictureError, match=r"^0: one image of the pair has 8-bit .*; store both in the same type"
    ):
        load(find(tmp_path), smallest=16, memory=MEMORY)
