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
from uformer.train.recipes import debug
from uformer.train.setup import Folders, Named, Prepared, check_sources, prepare


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
