"""Which images below a folder may be learned from: not those that our commands made."""

from pathlib import Path

import pytest

from uformer.data.eligible import PAIRED, is_run, none_in, paired, pictures_below
from uformer.errors import OptionError
from uformer.evaluate.protocols import find


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def test_pairs_lie_where_eval_finds_them() -> None:
    assert {(layout.degraded, layout.clean) for layout in find("pairs").layouts} == set(PAIRED)


@pytest.mark.parametrize(("degraded", "clean"), PAIRED)
def test_both_folders_make_pairs(degraded: str, clean: str, tmp_path: Path) -> None:
    (tmp_path / degraded).mkdir()
    assert paired(tmp_path) is None
    (tmp_path / clean).mkdir()
    assert paired(tmp_path) == (tmp_path / degraded, tmp_path / clean)


@pytest.mark.parametrize(
    ("names", "expected"),
    [(["config.yaml", "state/s"], True), (["config.yaml"], False), (["state/s"], False)],
)
def test_a_run_is_known_by_two_things(names: list[str], expected: bool, tmp_path: Path) -> None:
    assert is_run(touch(tmp_path, *names)) == expected


def test_a_run_of_ours_is_known(tmp_path: Path) -> None:
    from uformer.train.folder import RunFolder

    RunFolder(tmp_path / "run").create({})
    assert is_run(tmp_path / "run")


def test_left_out(tmp_path: Path) -> None:
    run = ("r/config.yaml", "r/state/s", "r/samples/1.png")
    touch(tmp_path, "a.png", "a.restored.png", "x.check.png", "b/c.png", "skipped/d.png", *run)
    found = pictures_below(tmp_path, enter=lambda below: below.name != "skipped")
    assert found.pictures == [Path("a.png"), Path("b/c.png")]
    assert found.left_out == [Path("a.restored.png"), Path("r"), Path("x.check.png")]


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="nowhere: no such folder"):
        pictures_below(tmp_path / "nowhere")
    assert str(none_in(tmp_path)).endswith("no images in it (.png, .jpg, .jpeg, .webp, .tif, .tiff, .avif)")


def test_a_zarr_is_one_image(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.zarr/zarr.json")
    assert pictures_below(tmp_path / "in").pictures == [Path("a.zarr")]
    with pytest.raises(OptionError, match=r"a.zarr: is a Zarr, .*; name the folder that it lies in"):
        pictures_below(tmp_path / "in/a.zarr")
