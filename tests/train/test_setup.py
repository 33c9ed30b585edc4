import dataclasses
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.data.pictures import make_pairs, photo, save
from tests.data.stand_in import Halve
from tests.networks import TINY
from tests.train.runs import tiny
from uformer.data import pictures
from uformer.degradations import compose
from uformer.errors import OptionError, PictureError
from uformer.train.recipe import Recipe, override
from uformer.train.recipes import debug, find
from uformer.train.setup import (
    Folders,
    Named,
    Prepared,
    check_sources,
    prepare,
    starting_from,
    starts_by_default,
)


@pytest.fixture(autouse=True)
def _stand_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compose, "DEGRADATIONS", {"noise": Halve(), "rain": Halve(2)})


def get_ready(recipe: Recipe, folders: Folders, *settings: str, **options: Any) -> Prepared:
    chosen = override(recipe, settings)
    return prepare(chosen, folders, settings, memory=10**9, cache=Path("nowhere"), **options)


def make_clean(folder: Path, count: int = 4) -> Path:
    for index in range(count):
        save(folder / f"{index}.png", photo(seed=index))
    return folder


def test_pairs_are_learned_from_as_they_are_whatever_the_recipe(tmp_path: Path) -> None:
    recipe = tiny("degradation=noise", "drawn=0.5", "structured=0.1", "dry=0.1", "gray=0.1")
    found = get_ready(recipe, Folders(data=make_pairs(tmp_path, 4)))
    assert (found.recipe.degradation, found.recipe.drawn, found.recipe.gray) == ("none", 0, 0)
    assert (found.recipe.structured, found.recipe.dry) == (0, 0)
    assert found.patches.degradation is None
    assert (len(found.patches.pictures), len(found.held_out)) == (3, 1)
    other = get_ready(tiny(), Folders(degraded=tmp_path / "degraded", clean=tmp_path / "clean"))
    assert other.patches.pictures.names == found.patches.pictures.names


def test_clean_pictures_get_the_recipe_s_degradation(tmp_path: Path) -> None:
    found = get_ready(tiny("degradation=rain"), Folders(data=make_clean(tmp_path)))
    degradation = Named("rain")
    assert found.patches.degradation == found.held_out.degradation == degradation
    assert degradation.margin == 2
    assert pickle.loads(pickle.dumps(degradation)) == degradation
    degraded, clean = found.patches[0]
    assert np.allclose(degraded, clean / 2, atol=0.011)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ((), "pairs needs pairs; for clean images alone, use the recipe denoise"),
        (("drawn=1",), "pairs needs pairs"),
    ],
)
def test_clean_pictures_need_a_degradation(tmp_path: Path, settings: tuple[str, ...], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        get_ready(tiny(*settings), Folders(data=make_clean(tmp_path)))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ((), "pairs needs pairs: give --data DIR .*, or --degraded DIR --clean DIR"),
        (("degradation=noise",), "pairs needs images: give --data DIR"),
    ],
)
def test_no_pictures_are_asked_for(settings: tuple[str, ...], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        check_sources(tiny(*settings), ())


def test_a_recipe_that_draws_needs_no_pictures() -> None:
    found = get_ready(debug(), Folders())
    assert (len(found.patches.pictures), len(found.held_out)) == (6, 2)
    assert found.patches[0][0].shape == (3, 32, 32)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"degraded": Path("a")}, "--degraded and --clean go together; --clean is missing"),
        (
            {"data": Path("a"), "degraded": Path("b"), "clean": Path("c")},
            "give either --data, or --degraded and --clean",
        ),
    ],
)
def test_folders_that_do_not_go_together(options: dict[str, Path], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        Folders(**options)


def test_folders_survive_a_file() -> None:
    folders = Folders(degraded=Path("a").absolute(), clean=Path("b").absolute())
    assert Folders.from_values(folders.to_values()) == folders
    for other in ({"x": "y"}, {"data": ["a", "b"]}, {"data": None}, 3):
        with pytest.raises(OptionError, match="expected paths by the names data, degraded"):
            Folders.from_values(other)


def make_channels(folder: Path, degraded: int, clean: int) -> Path:
    rng = np.random.default_rng(0)
    for name, channels in (("degraded", degraded), ("clean", clean)):
        save(folder / name / "a.tif", rng.integers(0, 65536, (20, 24, channels), np.uint16))
    return folder


def test_the_network_takes_the_pictures_channels(tmp_path: Path) -> None:
    found = get_ready(tiny(), Folders(data=make_channels(tmp_path, 5, 3)))
    assert (found.recipe.network.in_channels, found.recipe.network.out_channels) == (5, 3)
    assert found.patches[0][0].shape == (5, 16, 16)


def test_gray_pictures_get_a_gray_network_unless_said_otherwise(tmp_path: Path) -> None:
    folders = Folders(data=make_channels(tmp_path, 1, 1))
    assert get_ready(tiny(), folders).recipe.network.in_channels == 1
    found = get_ready(tiny(), folders, "network.in_channels=3", "network.out_channels=3")
    assert found.patches[0][0].shape == (3, 16, 16)


def test_channels_that_do_not_fit_say_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(
        OptionError,
        match="network.in_channels 3: the images have 5 channels; try --set network.in_channels=5",
    ):
        get_ready(tiny(), Folders(data=make_channels(tmp_path, 5, 3)), "network.in_channels=3")


def test_weights_to_start_from_bring_their_network(tmp_path: Path) -> None:
    folders = Folders(data=make_pairs(tmp_path))
    found = get_ready(tiny(), folders, started=TINY)
    assert found.recipe.network == dataclasses.replace(TINY, drop_path_rate=0.2)
    with pytest.raises(OptionError, match="do not fit the weights .*: window_size: file 4, model 8"):
        get_ready(tiny(), folders, "network.window_size=8", started=TINY)
    with pytest.raises(OptionError, match="do not fit the weights .*: .*embed_dim"):
        get_ready(tiny(), folders, "network=uformer_b", started=TINY)


def test_a_folder_to_validate_with(tmp_path: Path) -> None:
    folders = Folders(data=make_pairs(tmp_path / "a", 3), validation=make_pairs(tmp_path / "b", 2))
    found = get_ready(tiny(), folders)
    assert (len(found.patches.pictures), len(found.held_out)) == (3, 2)
    clean = make_clean(tmp_path / "c")
    with pytest.raises(
        OptionError, match="c: has only clean images; the images to learn from are pairs, so give pairs"
    ):
        get_ready(tiny(), dataclasses.replace(folders, validation=clean))


def test_a_folder_to_validate_with_is_looked_at_before_pictures_are_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "load", lambda *_, **__: pytest.fail("decoded"))
    folders = Folders(data=make_pairs(tmp_path / "a", 3), validation=tmp_path / "nowhere")
    with pytest.raises(OptionError, match="nowhere"):
        get_ready(tiny(), folders)


def test_what_is_left_out_is_said_and_nothing_left_is_an_error(tmp_path: Path) -> None:
    make_pairs(tmp_path)
    for side in ("degraded", "clean"):
        save(tmp_path / side / "tiny.png", photo(8, 8))
    assert get_ready(tiny(), Folders(data=tmp_path)).notes == (
        "skipped images smaller than 16 x 16: 1 (tiny)",
    )
    with pytest.raises(PictureError, match="no images are left"):
        get_ready(tiny("patch=64"), Folders(data=tmp_path))


def test_samples_are_of_what_is_held_out_or_of_the_first_two(tmp_path: Path) -> None:
    folders = Folders(data=make_pairs(tmp_path, 4))
    some, none = get_ready(tiny(), folders), get_ready(tiny("held_out=0"), folders)
    assert some.shown == some.held_out
    assert (len(none.held_out), none.shown.pictures.names) == (0, none.patches.pictures.names[:2])
    assert some.identity()["pictures"] != none.identity()["pictures"]
    assert some.identity()["recipe"] == some.recipe.to_values()


def test_pictures_that_workers_share_go_to_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uformer.train.setup._SENT_TO_WORKERS", 10)
    folders = Folders(data=make_pairs(tmp_path / "set"))
    for shared in (True, False):
        found = prepare(tiny(), folders, memory=10**9, cache=tmp_path / str(shared), shared=shared)
        assert (found.patches.pictures.store.path is not None) == shared


def make_noisy(folder: Path, channels: int = 3, count: int = 4) -> Path:
    rng = np.random.default_rng(0)
    for index in range(count):
        save(folder / f"{index}.png", rng.integers(0, 256, (40, 48, channels), np.uint8))
    return folder


def test_noisy_images_are_both_sides_of_a_pair_and_make_their_own_targets(tmp_path: Path) -> None:
    folders = Folders(data=make_noisy(tmp_path, 1))
    found = get_ready(find("noise2void"), folders, "patch=16")
    assert (found.recipe.network.in_channels, found.recipe.network.out_channels) == (1, 1)
    seen, target = found.patches[0]
    assert seen.shape == target.shape == (1, 16, 16)
    assert (~np.isnan(target)).sum() >= 4
    assert not found.held_out.truth
    one, two = (next(found.held_out.targets([0])) for _ in range(2))
    assert all(np.array_equal(*both, equal_nan=True) for both in zip(one, two, strict=True))


def test_a_sub_image_has_the_side_of_a_patch(tmp_path: Path) -> None:
    folders = Folders(data=make_noisy(tmp_path))
    assert get_ready(find("neighbor2neighbor"), folders, "patch=16").patches[0][0].shape == (3, 32, 32)
    with pytest.raises(PictureError, match="smaller than 64 x 64: 4"):
        get_ready(find("neighbor2neighbor"), folders, "patch=32")


def test_clean_partners_are_for_scores_only(tmp_path: Path) -> None:
    make_pairs(tmp_path, 4)
    found = get_ready(find("noise2void"), Folders(data=tmp_path), "patch=16", "mirrored=0", "augment=false")
    assert found.held_out.truth
    degraded, clean = next(found.held_out.pairs([0]))
    assert not np.array_equal(degraded, clean)
    for index in range(4):
        _, target = found.patches[index]
        values = {tuple(value) for value in target.reshape(3, -1).T if not np.isnan(value).any()}
        store, places = found.patches.pictures.store, found.patches.pictures.degraded
        noisy = {
            tuple(value) for place in places or () for value in store[place].reshape(-1, 3) / np.float32(255)
        }
        assert values <= noisy


def test_two_noisy_takes_have_no_truth_except_apart(tmp_path: Path) -> None:
    folders = Folders(data=make_pairs(tmp_path / "takes", 4))
    assert not get_ready(find("noise2noise"), folders, "patch=16").held_out.truth
    apart = dataclasses.replace(folders, validation=make_pairs(tmp_path / "apart"))
    assert get_ready(find("noise2noise"), apart, "patch=16").held_out.truth
    alone = dataclasses.replace(folders, validation=make_noisy(tmp_path / "alone"))
    with pytest.raises(OptionError, match="has only single images; .* so give pairs"):
        get_ready(find("noise2noise"), alone, "patch=16")


def test_single_noisy_images_are_scored_with_either(tmp_path: Path) -> None:
    folders = Folders(data=make_noisy(tmp_path / "noisy"))
    for name, truth in (("pairs", True), ("alone", False)):
        folder = (make_pairs if truth else make_noisy)(tmp_path / name)
        found = get_ready(find("noise2void"), dataclasses.replace(folders, validation=folder), "patch=16")
        assert found.held_out.truth == truth


def test_noisy_images_that_do_not_suit(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="noise2void needs noisy images: give --data DIR"):
        check_sources(find("noise2void"), ())
    with pytest.raises(
        OptionError, match="noise2noise needs two noisy takes .*; for single takes, use noise2void"
    ):
        get_ready(find("noise2noise"), Folders(data=make_noisy(tmp_path / "a")))
    with pytest.raises(OptionError, match="the noisy images have 5 channels and their partners 3"):
        get_ready(find("noise2void"), Folders(data=make_channels(tmp_path / "b", 5, 3)), "patch=16")


def test_only_rgb_images_start_from_the_recipe_s_weights(tmp_path: Path) -> None:
    recipe = find("noise2void")
    rgb = get_ready(recipe, Folders(data=make_noisy(tmp_path / "rgb")), "patch=16")
    gray = get_ready(recipe, Folders(data=make_noisy(tmp_path / "gray", 1)), "patch=16")
    assert starts_by_default(rgb, ("patch=16", "network.gradient_checkpointing=true"))
    assert not starts_by_default(rgb, ("network.embed_dim=8",))
    assert not starts_by_default(gray, ())
    begun = starting_from(rgb, "small", TINY, ())
    assert (begun.start, begun.recipe.network.embed_dim) == ("small", TINY.embed_dim)
    assert "starting from small" in begun.notes[-1]
