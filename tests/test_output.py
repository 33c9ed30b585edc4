"""Every command rejects an unusable output before any work, with the same message and exit code."""

import errno
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from uformer.cli import main
from uformer.errors import OptionError
from uformer.image.image import Image
from uformer.image.write import write
from uformer.output import check_output, check_output_folder


def test_a_file_that_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "old").touch()
    (tmp_path / "link").symlink_to("nothing")
    check_output(tmp_path / "new", overwrite=False)
    check_output(tmp_path / "link", overwrite=False)
    check_output(tmp_path / "old", overwrite=True, source=tmp_path / "other")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "old"]


def test_files_that_cannot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("old").touch()
    Path("folder").mkdir()
    Path("same").symlink_to("old")
    Path("astray").symlink_to("nowhere/file")
    refused = {
        "old": "old exists; add --overwrite to replace it, or give another name",
        "nowhere/new": "nowhere/new: there is no folder nowhere; create it first",
        "old/new": "old/new: Not a directory; give another name",
        "folder": "folder: exists and is not a regular file; give another name",
        "astray": f"astray: there is no folder {tmp_path.resolve()}/nowhere; create it first",
        "a\0b": "a\0b: not a file name; give another name",
    }
    for name, message in refused.items():
        with pytest.raises(OptionError) as error:
            check_output(Path(name), overwrite=False)
        assert str(error.value) == message
    with pytest.raises(OptionError, match="same: the output would replace the input; give another name"):
        check_output(Path("same"), overwrite=True, source=Path("old"))


def test_closed_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(dir: Path) -> None:  # noqa: A002 - tempfile's parameter name
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(dir))

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    with pytest.raises(OptionError, match="^new: cannot be written: Read-only file system$"):
        check_output(Path("new"), overwrite=False)
    with pytest.raises(OptionError, match="^a/b: cannot be written: Read-only file system$"):
        check_output_folder(Path("a/b"))


def test_folders(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    check_output_folder(tmp_path)
    check_output_folder(tmp_path / "a" / "b")
    with pytest.raises(OptionError, match="file: is a file; give a folder"):
        check_output_folder(tmp_path / "file")
    with pytest.raises(OptionError, match="Not a directory"):
        check_output_folder(tmp_path / "file" / "a")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


COMMANDS: dict[str, Any] = {
    "restore": ["photo.png", "-o", "nowhere/out.png"],
    "degrade": ["photo.png", "nowhere/out.png", "--task", "denoise"],
    "export": ["uformer_t.denoise", "--out", "nowhere/out.onnx"],
    "convert": ["uformer_t.denoise", "nowhere/out.pth"],
    "data": ["check", "set", "--sheet", "nowhere/out.png"],
    "eval": ["pairs", "set", "--json", "nowhere/out.json"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_says_the_same_of_a_missing_folder(
    tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    picture = Image(pixels=np.zeros((8, 8, 3), np.float32))
    for path in ("photo.png", "set/degraded/a.png", "set/clean/a.png"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        write(picture, tmp_path / path)
    assert main([command, *COMMANDS[command]]) == 2
    name = next(word for word in COMMANDS[command] if word.startswith("nowhere"))
    assert capsys.readouterr() == (
        "",
        f"uformer: error: {name}: there is no folder nowhere; create it first\n",
    )


FOLDERS: dict[str, Any] = {
    "degrade": ["set", "a-file", "--task", "denoise"],
    "batch": ["set", "a-file/out"],
    "eval": ["pairs", "set", "--save", "a-file"],
}


@pytest.mark.parametrize("command", FOLDERS)
def test_every_command_refuses_a_folder_that_cannot_be(
    tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    picture = Image(pixels=np.zeros((200, 200, 3), np.float32))
    for path in ("set/degraded/a.png", "set/clean/a.png"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        write(picture, tmp_path / path)
    (tmp_path / "a-file").touch()
    assert main([command, *FOLDERS[command]]) == 2
    assert capsys.readouterr().err in (
        "uformer: error: a-file: is a file; give a folder\n",
        f"uformer: error: {tmp_path}/a-file/out: cannot be written: Not a directory\n",
    )
