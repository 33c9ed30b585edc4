"""Pairs are found in the layouts in which datasets are published."""

import os
import unicodedata
from pathlib import Path

import pytest

from tests.evaluate.conftest import save_picture
from uformer.errors import OptionError, PictureError
from uformer.evaluate.pairing import pairs_in, pairs_of, pictures_in
from uformer.evaluate.protocols import PROTOCOLS

CASES = {
    "pairs": ["degraded/a.png clean/a.png", "degraded/b.png clean/b.jpg"],
    "gopro": [
        "test/S1/blur/1.png test/S1/sharp/1.png",
        "test/S1/blur/2.png test/S1/sharp/2.png",
        "test/S2/blur/1.png test/S2/sharp/1.png",
    ],
    "hide": ["test/test-close-ups/1.png GT/1.png", "test/test-long-shot/2.png GT/2.png"],
    "realblur-j": ["s1/blur/blur_1.png s1/gt/gt_1.png", "s1/blur/blur_2.png s1/gt/gt_2.png"],
    "dpdd": ["test_c/source/1.png test_c/target/2.png", "test_c/source/3.png test_c/target/4.png"],
    "rain100l": ["rainy/rain-001.png norain-001.png", "rainy/rain-002.png norain-002.png"],
    "rain100h": ["rain/X2/norain-001x2.png norain/norain-001.png"],
    "rain": ["input/1.png target/1.jpg"],
    "spad": ["rain/000.png gt/000gt.png", "rain/001.png gt/001gt.png"],
}


@pytest.mark.parametrize("name", CASES)
def test_the_owners_layout(tmp_path: Path, name: str) -> None:
    for line in CASES[name]:
        for path in line.split():
            save_picture(tmp_path / path)
    found = pairs_in(tmp_path, PROTOCOLS[name].layouts)
    assert [
        f"{pair.degraded.relative_to(tmp_path)} {pair.clean.relative_to(tmp_path)}" for pair in found
    ] == CASES[name]
    assert len({pair.name for pair in found}) == len(found)


def test_a_list_picks_the_pairs(tmp_path: Path) -> None:
    rows = ["J/s1/gt/gt_1.png J/s1/blur/blur_1.png", "J/s2/blur/blur_7.png J/s2/gt/gt_7.png", ""]
    (tmp_path / "RealBlur_J_test_list.txt").write_text("\n".join(rows))
    found = pairs_in(tmp_path, PROTOCOLS["realblur-j"].layouts)
    assert [(pair.name, pair.degraded, pair.clean) for pair in found] == [
        ("s1/blur_1", tmp_path / "J/s1/blur/blur_1.png", tmp_path / "J/s1/gt/gt_1.png"),
        ("s2/blur_7", tmp_path / "J/s2/blur/blur_7.png", tmp_path / "J/s2/gt/gt_7.png"),
    ]


@pytest.mark.parametrize(
    "line",
    ["one", "J/s/gt/1.png J/s/gt/2.png", "../../gt/1.png ../../blur/1.png", "/a/gt/1.png /a/blur/1.png"],
)
def test_a_list_with_another_line_is_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / "RealBlur_J_test_list.txt").write_text(line)
    with pytest.raises(OptionError, match="RealBlur_J_test_list.txt, line 1: expected two paths"):
        pairs_in(tmp_path, PROTOCOLS["realblur-j"].layouts)


def test_an_image_without_partner_refers_to_the_folder_that_was_searched(tmp_path: Path) -> None:
    save_picture(tmp_path / "degraded/a.png")
    save_picture(tmp_path / "clean/b.png")
    (pair,) = pairs_of(tmp_path / "degraded", tmp_path / "clean")
    assert pair.clean == tmp_path / "clean"


def test_the_same_name_wins_over_the_same_stem_and_accents_are_accents(tmp_path: Path) -> None:
    for name in ("a.png", "a.jpg"):
        save_picture(tmp_path / "degraded" / name)
        save_picture(tmp_path / "clean" / name)
    save_picture(tmp_path / "degraded" / (unicodedata.normalize("NFC", "é") + ".png"))
    save_picture(tmp_path / "clean" / (unicodedata.normalize("NFD", "é") + ".jpg"))
    found = pairs_of(tmp_path / "degraded", tmp_path / "clean")
    assert [pair.clean.name for pair in found[:2]] == ["a.jpg", "a.png"]
    assert found[2].clean.suffix == ".jpg"


def test_unequal_numbers_have_no_order(tmp_path: Path) -> None:
    save_picture(tmp_path / "test_c/source/1.png")
    for name in ("1.png", "2.png"):
        save_picture(tmp_path / "test_c/target" / name)
    with pytest.raises(OptionError, match="source holds 1 images, but .*target holds 2"):
        pairs_in(tmp_path, PROTOCOLS["dpdd"].layouts)


def test_missing_and_empty_folders(tmp_path: Path) -> None:
    assert pairs_in(tmp_path / "nowhere", PROTOCOLS["gopro"].layouts) == []
    save_picture(tmp_path / "a/1.png")
    with pytest.raises(OptionError, match="nowhere: .*folder"):
        pairs_of(tmp_path / "a", tmp_path / "nowhere")
    (tmp_path / "b").mkdir()
    with pytest.raises(OptionError, match="b: no images in it"):
        pairs_of(tmp_path / "a", tmp_path / "b")


def test_subfolders_count_as_in_training_and_are_part_of_the_name(tmp_path: Path) -> None:
    for name in ("1.png", "trip/1.png", "trip/2.png"):
        save_picture(tmp_path / "degraded" / name)
        save_picture(tmp_path / "clean" / name)
    for found in (
        pairs_in(tmp_path, PROTOCOLS["pairs"].layouts),
        pairs_of(tmp_path / "degraded", tmp_path / "clean"),
    ):
        assert [(pair.name, pair.clean.relative_to(tmp_path / "clean").as_posix()) for pair in found] == [
            ("1", "1.png"),
            ("trip/1", "trip/1.png"),
            ("trip/2", "trip/2.png"),
        ]


def test_what_uformer_made_is_not_measured(tmp_path: Path) -> None:
    for name in ("a.png", "a.restored.png", "mine.check.png"):
        save_picture(tmp_path / "degraded" / name)
        save_picture(tmp_path / "clean" / name)
    assert pictures_in(tmp_path / "clean") == [Path("a.png")]
    assert [pair.name for pair in pairs_of(tmp_path / "degraded", tmp_path / "clean")] == ["a"]


def test_an_unreadable_subfolder_is_an_error_and_not_a_smaller_dataset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_picture(tmp_path / "degraded/trip/1.png")
    save_picture(tmp_path / "clean/trip/1.png")
    scan = os.scandir

    def refuse(path: Path) -> "os._ScandirIterator[str]":
        if Path(path).name == "trip":
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr("os.scandir", refuse)
    with pytest.raises(PictureError, match="degraded/trip: Permission denied"):
        pairs_in(tmp_path, PROTOCOLS["pairs"].layouts)
