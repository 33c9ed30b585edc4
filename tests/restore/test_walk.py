"""Walking folders and patterns: every image once, no hidden files, no circles."""

import os
from pathlib import Path

import pytest

from uformer.restore.walk import is_pattern, match, original, output_name, walk


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    root = tmp_path / "photos"
    for name in (
        "b.png",
        "a.jpg",
        "A.PNG",
        "notes.txt",
        ".hidden.png",
        "sub/c.tif",
        "sub/deep/d.webp",
        ".cache/e.png",
        "sub/f.avif",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def names(paths: list[Path]) -> list[str]:
    return [path.as_posix() for path in paths]


def test_pictures_of_all_folders_in_order_of_names(photos: Path) -> None:
    found = walk(photos)
    assert names(found.pictures) == ["A.PNG", "a.jpg", "b.png", "sub/c.tif", "sub/deep/d.webp", "sub/f.avif"]
    assert names(found.folders) == ["sub", "sub/deep"]
    assert not found.unreadable
    assert not found.left_out


def test_a_folder_may_be_named_like_a_picture(photos: Path) -> None:
    (photos / "album.png").mkdir()
    (photos / "album.png" / "x.png").touch()
    assert "album.png/x.png" in names(walk(photos).pictures)
    assert "album.png" not in names(walk(photos).pictures)


def test_outputs_of_earlier_runs_are_left_out_beside_their_originals_only(photos: Path) -> None:
    for name in (
        "b.restored.png",
        "alone.restored.png",
        "b.restored.jpg",
        "sub.restored/c.tif",
        "else.restored/g.png",
    ):
        (photos / name).parent.mkdir(exist_ok=True)
        (photos / name).touch()
    found = walk(photos)
    assert set(names(found.left_out)) == {"b.restored.png", "sub.restored"}
    assert {"alone.restored.png", "b.restored.jpg", "else.restored/g.png"} < set(names(found.pictures))
    assert not [name for name in names(found.pictures) if name.startswith("sub.restored")]


def test_the_folder_of_the_outputs_is_not_entered_by_whatever_name(photos: Path) -> None:
    (photos / "link").symlink_to("sub", target_is_directory=True)
    assert names(walk(photos, without=photos / "link").pictures) == ["A.PNG", "a.jpg", "b.png"]


def test_links_in_circles_end_and_nothing_comes_twice(photos: Path, tmp_path: Path) -> None:
    (photos / "sub" / "up").symlink_to("..", target_is_directory=True)
    (photos / "aaa").symlink_to("sub", target_is_directory=True)
    (photos / "self").symlink_to("self")
    (photos / "circle.png").symlink_to("circle.png")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "g.png").touch()
    (tmp_path / "other" / "back").symlink_to(photos, target_is_directory=True)
    (photos / "first").symlink_to("../other", target_is_directory=True)
    (photos / "second").symlink_to("../other", target_is_directory=True)
    found = names(walk(photos).pictures)
    assert found == [
        "A.PNG",
        "a.jpg",
        "b.png",
        "circle.png",
        "first/g.png",
        "sub/c.tif",
        "sub/deep/d.webp",
        "sub/f.avif",
    ]


def test_a_linked_root_is_entered(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(photos, target_is_directory=True)
    assert len(walk(tmp_path / "link").pictures) == 6


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read anything")
def test_an_unreadable_folder_is_said_and_the_others_are_walked(photos: Path) -> None:
    (photos / "sub").chmod(0)
    try:
        found = walk(photos)
    finally:
        (photos / "sub").chmod(0o700)
    assert names(found.pictures) == ["A.PNG", "a.jpg", "b.png"]
    assert found.unreadable == [(Path("sub"), "Permission denied")]


def test_a_folder_that_cannot_be_listed_is_said(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scandir = os.scandir

    def refuse(path: Path) -> object:
        if Path(path).name == "sub":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found = walk(photos)
    assert names(found.pictures) == ["A.PNG", "a.jpg", "b.png"]
    assert found.unreadable == [(Path("sub"), "Permission denied")]


PATTERNS = {
    "*.png": ["b.png"],
    "*.PNG": ["A.PNG"],
    "*.[jp]*g": ["a.jpg", "b.png"],
    "*": ["A.PNG", "a.jpg", "b.png"],
    "?.png": ["b.png"],
    "**": ["A.PNG", "a.jpg", "b.png", "sub/c.tif", "sub/deep/d.webp", "sub/f.avif"],
    "**/*": ["A.PNG", "a.jpg", "b.png", "sub/c.tif", "sub/deep/d.webp", "sub/f.avif"],
    "**/[c-d].*": ["sub/c.tif", "sub/deep/d.webp"],
    "**/deep/*": ["sub/deep/d.webp"],
    "s*/*": ["sub/c.tif", "sub/f.avif"],
    "*/*/*": ["sub/deep/d.webp"],
    "x*": [],
    ".*": [],
    "[": [],
}


@pytest.mark.parametrize("pattern", PATTERNS)
def test_patterns(photos: Path, pattern: str) -> None:
    root, found = match(str(photos / pattern))
    assert root == photos
    assert names(found.pictures) == PATTERNS[pattern]


def test_a_pattern_begins_below_the_folders_that_are_there(photos: Path) -> None:
    (photos / "trip [2024]").mkdir()
    (photos / "trip [2024]" / "x.png").touch()
    root, found = match(str(photos / "trip [2024]" / "*.png"))
    assert root == photos / "trip [2024]"
    assert names(found.pictures) == ["x.png"]


def test_a_pattern_in_the_home_folder(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(photos))
    monkeypatch.setenv("USERPROFILE", str(photos))
    assert names(match("~/*.png")[1].pictures) == ["b.png"]


def test_only_folders_that_a_pattern_needs_are_entered(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entered = []
    scandir = os.scandir

    def note(path: Path) -> object:
        entered.append(Path(path).name)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", note)
    match(str(photos / "x*" / "*.png"))
    match(str(photos / "*.png"))
    assert entered == ["photos", "photos"]


def test_a_pattern_that_is_there_is_a_name(photos: Path) -> None:
    (photos / "a[1].png").touch()
    assert not is_pattern(str(photos / "a[1].png"))
    assert is_pattern(str(photos / "a[2].png"))
    assert not is_pattern(str(photos / "a.png"))


@pytest.mark.parametrize("name", ["a.png", "a.b.jpeg", "ä [1] .TIF", "a.restored.png", "x" * 250 + ".png"])
def test_names_of_outputs_lead_back(name: str) -> None:
    path = Path("folder") / name
    for folder in (True, False):
        output = path.with_name(output_name(path, folder=folder))
        assert output != path
        assert original(output, folder=folder) == path
    assert original(Path("photo.png")) == Path("photo.png")
    assert original(Path(".restored.png")) == Path(".restored.png")


def test_a_zarr_is_an_image_and_not_a_folder_of_images(tmp_path: Path) -> None:
    for name in ("a.zarr/0", "a.restored.zarr/0", "sub/plain"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "a.zarr/0/x.png").touch()
    (tmp_path / "sub/plain/.zarray").touch()
    (tmp_path / "sub/b.png").touch()
    found = walk(tmp_path)
    assert [path.as_posix() for path in found.pictures] == ["a.zarr", "sub/b.png"]
    assert [path.as_posix() for path in found.left_out] == ["a.restored.zarr"]
    assert [path.as_posix() for path in found.others] == ["sub/plain"]
