"""Files appear whole or not at all, errors are one line, and a missing extra says how to install it."""

import contextlib
import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uformer.errors import OptionError
from uformer.files import atomic_file, atomic_path, keep_time, one_line, require, require_folder, sha256_of
from uformer.staging import sweep

ROOT = Path(__file__).parents[1]

Writer = Callable[[Path, bytes], None]


def through_path(path: Path, data: bytes) -> None:
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def through_file(path: Path, data: bytes) -> None:
    with atomic_file(path) as file:
        file.write(data)


def through_file_with_a_name(path: Path, data: bytes) -> None:
    """Simulate a system or file system that does not support files without a name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("uformer.files._open_unnamed", lambda _folder: None)
        through_file(path, data)


@pytest.fixture(params=[through_path, through_file, through_file_with_a_name])
def write(request: pytest.FixtureRequest) -> Writer:
    return request.param


def test_the_file_appears_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "out.png"
    with atomic_path(path) as temporary:
        temporary.write_bytes(b"new")
        assert temporary.parent.parent == tmp_path
        assert temporary.name == "out.png"
        assert not path.exists()
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "out.png"
    path.write_bytes(b"old")
    with pytest.raises(error), atomic_path(path) as temporary, open(temporary, "wb") as file:
        _write_half(file, error)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("unnamed", [True, False])
def test_an_error_while_an_open_file_is_written(
    tmp_path: Path, error: type[BaseException], unnamed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not unnamed:
        monkeypatch.setattr("uformer.files._open_unnamed", lambda _folder: None)
    path = tmp_path / "out.png"
    path.write_bytes(b"old")
    with pytest.raises(error), atomic_file(path) as file:
        _write_half(file, error)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def _write_half(file: BinaryIO, error: type[BaseException]) -> None:
    file.write(b"half")
    raise error


def test_permissions(tmp_path: Path, write: Writer) -> None:
    new, old = tmp_path / "new", tmp_path / "old"
    old.touch()
    old.chmod(0o600)
    umask = os.umask(0o027)
    try:
        for path in (new, old):
            write(path, b"x")
    finally:
        os.umask(umask)
    assert new.stat().st_mode & 0o777 == 0o640  # like any new file
    assert old.stat().st_mode & 0o777 == 0o600  # unchanged


def test_a_read_only_file_is_replaced(tmp_path: Path, write: Writer) -> None:
    path = tmp_path / "out"
    path.touch(mode=0o400)
    write(path, b"x")
    assert path.read_bytes() == b"x"
    assert list(tmp_path.iterdir()) == [path]


def test_a_symbolic_link_is_followed(tmp_path: Path, write: Writer) -> None:
    (tmp_path / "folder").mkdir()
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "folder" / "target")
    for data in (b"new", b"newer"):
        write(link, data)
        assert link.is_symlink()
        assert (tmp_path / "folder" / "target").read_bytes() == data


@pytest.mark.parametrize(
    "name",
    [
        "ümlaut 写真.png",
        "-o",
        "a\nb.png",
        "x" * 251 + ".png",
        "ü" * 125 + ".jpeg",
        "a." + "x" * 253,
        ".hidden",
        "no suffix.",
    ],
)
def test_any_name(tmp_path: Path, name: str, write: Writer) -> None:
    for data in (b"new", b"newer"):
        write(tmp_path / name, data)
        assert (tmp_path / name).read_bytes() == data
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_what_cannot_be_written(tmp_path: Path, write: Writer) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for path in (
        tmp_path / "folder",
        tmp_path / "pipe",
        Path(os.devnull),
        tmp_path / "missing" / "out",
        Path("/"),
    ):
        with pytest.raises(OSError, match=r"not a regular file|No such file"):
            write(path, b"x")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "pipe"]


def test_a_file_that_somebody_makes_meanwhile_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "out"
    with atomic_file(path) as file:
        file.write(b"ours")
        path.write_bytes(b"theirs")
    assert path.read_bytes() == b"ours"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("number", [errno.EPERM, errno.EINVAL, errno.ENOTSUP])
def test_file_systems_that_refuse_chmod_and_fsync(
    tmp_path: Path, write: Writer, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("chmod", "fchmod", "fsync"):
        monkeypatch.setattr(os, name, _refusing(number))
    for data in (b"new", b"newer"):
        write(tmp_path / "out", data)
        assert (tmp_path / "out").read_bytes() == data
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_disk_that_fails_is_an_error(
    tmp_path: Path, write: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", _refusing(errno.EIO))
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        write(tmp_path / "out", b"x")
    assert not list(tmp_path.iterdir())


def test_file_systems_that_refuse_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", _refusing(errno.EPERM))
    for data in (b"new", b"newer"):
        through_file(tmp_path / "out", data)
        assert (tmp_path / "out").read_bytes() == data
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def _refusing(number: int) -> Callable[..., None]:
    def refuse(*_args: Any, **_options: Any) -> None:
        raise OSError(number, os.strerror(number))

    return refuse


@pytest.mark.parametrize("how", ["atomic_path", "atomic_file"])
def test_what_a_killed_process_left_goes_with_the_next_write(tmp_path: Path, how: str) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"old")
    kill = f"with f.{how}(pathlib.Path({str(path)!r})): os.kill(os.getpid(), 9)"
    code = f"import os, pathlib, uformer.files as f\n{kill}"
    ended = subprocess.run([sys.executable, "-c", code], check=False, cwd=ROOT)
    assert ended.returncode == -signal.SIGKILL
    assert path.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == (1 if how == "atomic_file" and _has_unnamed(tmp_path) else 2)
    sweep.cache_clear()  # like a new process
    through_file(tmp_path / "other", b"x")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["other", "out"]


def _has_unnamed(folder: Path) -> bool:
    with contextlib.suppress(AttributeError, OSError):
        os.close(os.open(folder, os.O_TMPFILE | os.O_RDWR))
        return True
    return False


@given(st.text(max_size=2000), st.integers(10, 200))
def test_one_line(text: str, limit: int) -> None:
    line = one_line(text, limit)
    assert line.isprintable()
    assert len(line) <= limit


def test_one_line_keeps_words() -> None:
    assert one_line("a\n  b\tc\x1b[31m") == "a b c [31m"
    assert one_line("word " * 100, 12) == "word word..."


def test_a_missing_extra_says_how_to_install_it() -> None:
    assert require("json", "any") is sys.modules["json"]
    with pytest.raises(
        OptionError, match=r'^no_such_module is not installed; run: pip install "uformer\[some\]"$'
    ):
        require("no_such_module", "some")
    with pytest.raises(OptionError, match=r"^no_such_module.part is not installed"):
        require("no_such_module.part", "some")


def test_a_module_that_is_broken_inside_is_not_called_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_inside.py").write_text("import another_module_that_is_missing")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="another_module_that_is_missing"):
        require("broken_inside", "some")


def test_sha256_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256_of(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    with pytest.raises(FileNotFoundError):
        sha256_of(tmp_path / "b")


def test_a_file_gets_the_time_of_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.touch()
    new.touch()
    os.utime(old, ns=(1, 10**18 + 123_456_700))
    keep_time(old, new)
    assert new.stat().st_mtime_ns == 10**18 + 123_456_700

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "utime", refuse)
    keep_time(old, new)


def test_a_file_in_place_of_a_folder_is_said_to_be_one(tmp_path: Path) -> None:
    require_folder(tmp_path)
    with pytest.raises(OptionError, match=r"/nowhere: no such folder; do this$"):
        require_folder(tmp_path / "nowhere", "do this")
    (tmp_path / "a.png").touch()
    with pytest.raises(OptionError, match=r"^--data a\.png: is a file; give a folder$"):
        require_folder(tmp_path / "a.png", shown="--data a.png")
