import os
import pwd
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import platformdirs
import platformdirs.windows
import pytest
from platformdirs.api import PlatformDirsABC
from platformdirs.macos import MacOS
from platformdirs.unix import Unix
from platformdirs.windows import Windows

from uformer.restore.backends import cache
from uformer.weights.checkpoint import State

ROOT = Path(__file__).parents[3]
BLOB = bytes(range(256)) * 40


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_gives_back_what_it_was_given(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    assert cache.load(folder, "key") is None
    cache.store(folder, "key", BLOB)
    assert cache.load(folder, "key") == BLOB
    assert cache.load(folder, "other") is None
    assert files(folder) == ["key.compiled"]


def test_another_suffix_is_another_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MAX_FILES", 1)
    cache.store(tmp_path, "key", BLOB)
    cache.store(tmp_path, "key", b"yes", ".checked")
    assert files(tmp_path) == ["key.checked", "key.compiled"]
    assert (cache.load(tmp_path, "key"), cache.load(tmp_path, "key", ".checked")) == (BLOB, b"yes")


def test_a_key_changes_with_all_that_it_is_made_of() -> None:
    state: State = {"a": np.zeros(4, np.float32), "b": np.ones(2, np.float16)}
    keys = [
        cache.key_of({"size": (1, 2), "device": "cpu"}, state),
        cache.key_of({"size": (2, 2), "device": "cpu"}, state),
        cache.key_of({"size": (1, 2), "device": "cpu"}, state, [b"source"]),
        cache.key_of({"size": (1, 2), "device": "cpu"}, {**state, "b": np.zeros(2, np.float16)}),
        cache.key_of({"size": (1, 2), "device": "cpu"}, {**state, "a": np.zeros((2, 2), np.float32)}),
    ]
    assert len(set(keys)) == len(keys)
    assert cache.key_of({"device": "cpu", "size": (1, 2)}, dict(reversed(list(state.items())))) == keys[0]


@pytest.mark.parametrize("length", [0, 5, 30, 51, 1000])
def test_a_truncated_file_is_not_there(tmp_path: Path, length: int) -> None:
    cache.store(tmp_path, "key", BLOB)
    path = tmp_path / "key.compiled"
    path.write_bytes(path.read_bytes()[:length])
    assert cache.load(tmp_path, "key") is None


@pytest.mark.parametrize("at", [0, 20, 60, -1])
def test_a_changed_byte_is_noticed(tmp_path: Path, at: int) -> None:
    cache.store(tmp_path, "key", BLOB)
    path = tmp_path / "key.compiled"
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    assert cache.load(tmp_path, "key") is None
    cache.store(tmp_path, "key", BLOB)
    assert cache.load(tmp_path, "key") == BLOB


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        cache.store(folder, "key", BLOB)
        assert cache.load(folder, "key") is None
    assert (tmp_path / "file").read_text() == "mine"


def test_an_entry_that_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "key.compiled").mkdir()
    cache.store(tmp_path, "key", BLOB)
    assert cache.load(tmp_path, "key") is None
    assert files(tmp_path) == ["key.compiled"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    cache.store(tmp_path, "key", BLOB)
    assert cache.load(tmp_path, "key") is None


def test_a_read_only_file_system() -> None:
    folder = Path("/proc/uformer")
    cache.store(folder, "key", BLOB)
    assert cache.load(folder, "key") is None


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))

    script = (
        "from pathlib import Path; from uformer.restore.backends import cache;"
        f" cache.store(Path({str(tmp_path)!r}), 'key', {BLOB!r})"
    )
    subprocess.run([sys.executable, "-B", "-c", script], check=True, timeout=60, cwd=ROOT, preexec_fn=limit)
    assert files(tmp_path) == []


def test_old_entries_go_beyond_the_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MAX_FILES", 3)
    for index, key in enumerate("abcd"):
        cache.store(tmp_path, key, BLOB)
        os.utime(tmp_path / f"{key}.compiled", (index, index))
    assert files(tmp_path) == ["b.compiled", "c.compiled", "d.compiled"]
    assert cache.load(tmp_path, "b") == BLOB  # used just now, so the newest
    cache.store(tmp_path, "e", BLOB)
    assert files(tmp_path) == ["b.compiled", "d.compiled", "e.compiled"]


def test_old_entries_go_beyond_the_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MAX_BYTES", 2.5 * len(BLOB))
    for index, key in enumerate("abc"):
        cache.store(tmp_path, key, BLOB)
        os.utime(tmp_path / f"{key}.compiled", (index, index))
    assert files(tmp_path) == ["b.compiled", "c.compiled"]
    cache.store(tmp_path, "large", BLOB * 10)
    assert files(tmp_path) == ["large.compiled"]


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(platformdirs, "PlatformDirs", Unix)
    monkeypatch.setenv("UFORMER_CACHE", str(tmp_path))
    assert cache.default_cache_dir() == tmp_path
    monkeypatch.delenv("UFORMER_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "relative, so not to be used")
    assert cache.default_cache_dir() == tmp_path / ".cache" / "uformer"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache.default_cache_dir() == tmp_path / "xdg" / "uformer"


@pytest.mark.parametrize(
    ("system", "expected"), [(MacOS, "Library/Caches/uformer"), (Windows, "local/uformer/Cache")]
)
def test_where_other_systems_keep_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, system: type[PlatformDirsABC], expected: str
) -> None:
    monkeypatch.setattr(platformdirs, "PlatformDirs", system)
    monkeypatch.setattr(platformdirs.windows, "get_win_folder", lambda _name: str(tmp_path / "local"))
    for name in ("UFORMER_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.default_cache_dir() == tmp_path / expected


def test_without_a_home_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("UFORMER_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)
    assert cache.default_cache_dir() is None
