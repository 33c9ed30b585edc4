from pathlib import Path

import numpy as np
import pytest

from tests.data.pictures import lock, save
from tests.image.stacks import counts, save_imagej
from uformer.data.pairs import find, find_clean, find_pairs, search
from uformer.data.pictures import load
from uformer.errors import OptionError, PictureError
from uformer.image import extras

PIXELS = np.zeros((4, 4, 3), np.uint8)


def test_pairs_match_by_their_path_without_the_suffix(tmp_path: Path) -> None:
    for name in ("degraded/b.png", "degraded/x/a.jpg", "clean/b.tif", "clean/x/a.png"):
        save(tmp_path / name, PIXELS)
    found = find_pairs(tmp_path / "degraded", tmp_path / "clean")
    assert [source.name for source in found] == ["b", "x/a"]
    assert found[1].degraded == tmp_path / "degraded/x/a.jpg"
    assert found[1].clean == tmp_path / "clean/x/a.png"
    assert find(tmp_path) == found


def test_input_and_target_are_pairs_too(tmp_path: Path) -> None:
    for name in ("it/input/a.png", "it/target/a.png", "input/b.png"):
        save(tmp_path / name, PIXELS)
    assert find(tmp_path / "it") == find_pairs(tmp_path / "it/input", tmp_path / "it/target")
    assert [source.name for source in find(tmp_path)] == ["input/b.png", "it/target/a.png"]


def test_accents_match_however_they_are_written(tmp_path: Path) -> None:
    save(tmp_path / "degraded" / "caf\u00e9.png", PIXELS)
    save(tmp_path / "clean" / "cafe\u0301.png", PIXELS)
    assert len(find_pairs(tmp_path / "degraded", tmp_path / "clean")) == 1


@pytest.mark.parametrize("side", ["degraded", "clean"])
def test_a_picture_without_partner_is_named(tmp_path: Path, side: str) -> None:
    for name in ("degraded/a.png", "clean/a.png", f"{side}/one.png", f"{side}/two.png"):
        save(tmp_path / name, PIXELS)
    with pytest.raises(OptionError, match=f"{side}/one.png and 1 more: no image with the same name"):
        find(tmp_path)


def test_two_pictures_of_one_name_are_named(tmp_path: Path) -> None:
    for name in ("degraded/a.png", "clean/a.png", "clean/a.jpg"):
        save(tmp_path / name, PIXELS)
    with pytest.raises(OptionError, match=r"a.jpg and .*a.png: two images with the same name"):
        find(tmp_path)


def test_clean_pictures_leave_degraded_ones_out(tmp_path: Path) -> None:
    for name in ("a.png", "x/b.jpg", "x/degraded/c.png", ".hidden.png"):
        save(tmp_path / "set" / name, PIXELS)
    (tmp_path / "set" / "notes.txt").write_text("no picture")
    assert [source.name for source in find_clean(tmp_path / "set")] == ["a.png", "x/b.jpg"]
    assert all(source.degraded is None for source in find(tmp_path / "set"))


def test_clean_pictures_below_a_folder_of_that_name(tmp_path: Path) -> None:
    save(tmp_path / "degraded" / "a.png", PIXELS)
    assert len(find_clean(tmp_path / "degraded")) == 1


def test_missing_and_empty_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="no such folder"):
        find(tmp_path / "nowhere")
    with pytest.raises(OptionError, match=r"no images in it \(.png"):
        find(tmp_path)


def test_patterns_of_folders_as_gopro_has_them(tmp_path: Path) -> None:
    for name in ("s1/blur/1.png", "s1/blur_gamma/1.png", "s1/sharp/1.png", "s2/blur/1.png", "s2/sharp/1.png"):
        save(tmp_path / "GoPro" / name, PIXELS)
    found = find_pairs(tmp_path / "GoPro/*/blur", tmp_path / "GoPro/*/sharp")
    assert [source.name for source in found] == ["s1/1", "s2/1"]
    assert found[1].clean == tmp_path / "GoPro/s2/sharp/1.png"


def test_patterns_of_files_as_sidd_has_them(tmp_path: Path) -> None:
    for scene in ("0001_S6", "0002_GP"):
        for number in ("010", "011"):
            for kind in ("NOISY", "GT"):
                save(tmp_path / "Data" / scene / f"{scene[:4]}_{kind}_SRGB_{number}.png", PIXELS)
    found = find_pairs(tmp_path / "Data/*/*_NOISY_SRGB_*.png", tmp_path / "Data/*/*_GT_SRGB_*.png")
    assert [source.name for source in found] == [
        f"{s}/{s[:4]}/{n}" for s in ("0001_S6", "0002_GP") for n in ("010", "011")
    ]
    assert all("GT" in source.clean.name and "NOISY" in str(source.degraded) for source in found)


def test_a_pattern_that_nothing_matches_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "a.png", PIXELS)
    with pytest.raises(OptionError, match=r"x\*.png: no images match"):
        find_pairs(tmp_path / "x*.png", tmp_path / "*.png")


def test_what_training_made_is_left_out(tmp_path: Path) -> None:
    """A run inside its own data resumes with the same images, and no run learns from its samples."""
    for name in (
        "a.png",
        "runs/denoise/samples/1.png",
        "runs/denoise/curves.png",
        "photos.check.png",
        "runs/b.png",
    ):
        save(tmp_path / name, PIXELS)
    (tmp_path / "runs/denoise/state").mkdir()
    (tmp_path / "runs/denoise/config.yaml").touch()
    found = search(tmp_path)
    assert [source.name for source in found.strict()] == ["a.png", "runs/b.png"]
    assert found.left_out == [tmp_path / "photos.check.png", tmp_path / "runs/denoise"]


def test_folders_are_walked_as_restore_walks_them(tmp_path: Path) -> None:
    for name in ("set/a.png", "set/.thumbnails/t.png", "set/a.restored.png", "elsewhere/b.png"):
        save(tmp_path / name, PIXELS)
    (tmp_path / "set/link").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    assert [source.name for source in find(tmp_path / "set")] == ["a.png", "link/b.png"]


def test_a_folder_that_cannot_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("set/x/blur/a.png", "set/x/sharp/a.png", "set/x/other/a.png", "set/locked/a.png"):
        save(tmp_path / name, PIXELS)
    lock(monkeypatch, "locked", "other")
    with pytest.raises(PictureError, match="set/locked and 1 more: Permission denied; make it readable"):
        find(tmp_path / "set")
    assert [source.name for source in search(tmp_path / "set").sources] == ["x/blur/a.png", "x/sharp/a.png"]
    pair = find_pairs(tmp_path / "set/x*/blur", tmp_path / "set/x*/sharp")  # enters no locked folder
    assert len(pair) == 1


def test_heic_and_raw_are_images_if_their_extras_are_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "degraded/a.png", PIXELS)
    save(tmp_path / "degraded/b.png", PIXELS)
    for name in ("clean/a.HEIC", "clean/b.dng"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.setattr(extras, "_is_installed", lambda _: True)
    assert [source.name for source in find(tmp_path)] == ["a", "b"]
    assert len(search(tmp_path / "clean").sources) == 2
    monkeypatch.setattr(extras, "_is_installed", lambda module: module == "rawpy")
    found = search(tmp_path)
    assert [source.name for source in found.sources] == ["b"]
    assert found.unread == [tmp_path / "clean/a.HEIC"]
    assert search(tmp_path / "clean").unread == [tmp_path / "clean/a.HEIC"]


def test_each_page_of_a_stack_is_an_image(tmp_path: Path) -> None:
    for name, pages in (("degraded/a.tif", 3), ("clean/a.tif", 3), ("degraded/b.tif", 2), ("clean/b.tif", 3)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        save_imagej(tmp_path / name, counts(pages, 40, 40), "TYX")
    found = search(tmp_path)
    assert [(source.name, source.page) for source in found.sources] == [
        ("a, page 1", 0),
        ("a, page 2", 1),
        ("a, page 3", 2),
    ]
    assert [problem.why for problem in found.problems] == ["2 and 3 pages; both need the same number"]
    pictures, notes = load(found.sources, smallest=32, memory=10**9)
    assert (len(pictures), pictures.sizes[2], notes) == (3, (40, 40), [])
