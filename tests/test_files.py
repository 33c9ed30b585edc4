"""Files appear whole or not at all, error texts are one line, and a missing extra says how to install it."""

import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uformer.errors import OptionError
from uformer.files import atomic_path, one_line, require


def test_the_file_appears_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "out.png"
    with atomic_path(path) as temporary:
        temporary.write_bytes(b"new")
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".png"
        assert not path.exists()
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "out.png"
    path.write_bytes(b"old")
    with pytest.raises(error), atomic_path(path) as temporary:
        _write_half(temporary, error)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def _write_half(path: Path, error: type[BaseException]) -> None:
    path.write_bytes(b"half")
    raise error


def test_permissions(tmp_path: Path) -> None:
    new, old = tmp_path / "new", tmp_path / "old"
    old.touch()
    old.chmod(0o600)
    umask = os.umask(0o027)
    try:
        for path in (new, old):
            with atomic_path(path) as temporary:
                temporary.write_bytes(b"x")
    finally:
        os.umask(umask)
    assert new.stat().st_mode & 0o777 == 0o640  # as any new file
    assert old.stat().st_mode & 0o777 == 0o600  # as it was


def test_a_read_only_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.touch(mode=0o400)
    with atomic_path(path) as temporary:
        temporary.write_bytes(b"x")
    assert path.read_bytes() == b"x"


def test_a_symbolic_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "folder" / "target")
    with atomic_path(link) as temporary:
        temporary.write_bytes(b"x")
    assert link.is_symlink()
    assert (tmp_path / "folder" / "target").read_bytes() == b"x"


@pytest.mark.parametrize(
    "name", ["ümlaut 写真.png", "-o", "a\nb.png", "x" * 251 + ".png", "ü" * 125 + ".jpeg", "a." + "x" * 253, ".hidden", "no suffix."]
)
def test_any_name(tmp_path: Path, name: str) -> None:
    with atomic_path(tmp_path / name) as temporary:
        temporary.write_bytes(b"x")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_what_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "folder", tmp_path / "pipe", Path(os.devnull), tmp_path / "missing" / "out", Path("/")):
        with pytest.raises(OSError, match=r"not a regular file|No such file"), atomic_path(path):
            pytest.fail("the block runs")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "pipe"]


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
    with pytest.raises(OptionError, match=r'^no_such_module is not installed; run: pip install "uformer\[some\]"$'):
        require("no_such_module", "some")
    with pytest.raises(OptionError, match=r"^no_such_module.part is not installed"):
        require("no_such_module.part", "some")


def test_a_module_that_is_broken_inside_is_not_called_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_inside.py").write_text("import another_module_that_is_missing")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="another_module_that_is_missing"):
        require("broken_inside", "some")
