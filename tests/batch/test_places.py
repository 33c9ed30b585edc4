"""Places: paths and URLs are read, written and listed in the same way."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.registry import known_implementations

from uformer.batch import places
from uformer.errors import OptionError


@pytest.fixture(params=["disk", "memory"])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A folder on a disk, and one in the memory store of fsspec."""
    yield str(tmp_path / "home") if request.param == "disk" else "memory://home"
    fsspec.filesystem("memory").store.clear()


def test_files_come_back(home: str) -> None:
    place = places.join(home, "a/b c/ä.bin")
    assert places.files_below(home) == set()
    assert not places.exists(place)
    places.write_bytes(place, b"one")
    places.write_bytes(place, b"two")
    assert places.read_bytes(place) == b"two"
    assert places.files_below(home) == {"a/b c/ä.bin"}
    places.remove(place)
    places.remove(place)
    assert places.files_below(home) == set()


def test_no_file_goes_with_its_folder(home: str) -> None:
    places.write_bytes(places.join(home, "mine/1"), b"")
    with contextlib.suppress(OSError):
        places.remove(places.join(home, "mine"))
    places.remove_empty(places.join(home, "mine"))
    assert places.files_below(home) == {"mine/1"}
    places.remove(places.join(home, "mine/1"))
    places.remove_empty(places.join(home, "mine"))
    assert not places.exists(places.join(home, "mine"))


def test_a_remote_file_travels(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"picture")
    places.put(tmp_path / "a", "memory://far/away/a")
    places.fetch("memory://far/away/a", tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == b"picture"
    with pytest.raises(FileNotFoundError):
        places.fetch("memory://far/none", tmp_path / "c")


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("/a/../b/", "/b"),
        ("file:///a/b", "/a/b"),
        ("local:///a", "/a"),
        ("s3://bucket/a/", "s3://bucket/a"),
        ("x", os.path.join(os.getcwd(), "x")),  # noqa: PTH109, PTH118
    ],
)
@pytest.mark.skipif(os.name == "nt", reason="paths of another system")
def test_normal(place: str, expected: str) -> None:
    assert places.normal(place) == expected


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("nothing://a/b", "Protocol not known"),
        ("simplecache::s3://a/b", "chained URLs"),
    ],
)
def test_a_scheme_that_cannot_be(place: str, said: str) -> None:
    with pytest.raises(OptionError, match=said):
        places.open_remote(place)


def test_a_scheme_that_is_not_installed_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    places._file_system.cache_clear()
    monkeypatch.setitem(known_implementations, "s3", {"class": "s3fs.not_there.S3", "err": "Install s3fs"})
    with pytest.raises(OptionError, match="s3:// needs s3fs; run: pip install s3fs"):
        places.open_remote("s3://bucket/a")


def test_nor_one_that_lacks_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    places._file_system.cache_clear()
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    monkeypatch.delitem(sys.modules, "fsspec.implementations.http", raising=False)
    monkeypatch.setitem(
        known_implementations,
        "s3",
        {"class": "fsspec.implementations.http.HTTPFileSystem", "err": "Install it"},
    )
    with pytest.raises(OptionError, match="s3:// needs aiohttp; run: pip install aiohttp"):
        places.open_remote("s3://bucket/a")


def test_errors_that_a_store_invents_are_os_errors(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class NoCredentialsError(Exception): ...

    def refuse(*_arguments: object, **_more: object) -> None:
        raise NoCredentialsError("Unable to locate credentials")

    for name in ("cat_file", "pipe_file", "get_file", "put_file", "rm_file", "exists", "find", "glob"):
        monkeypatch.setattr(MemoryFileSystem, name, refuse)
    (tmp_path / "a").touch()
    for call in (
        lambda: places.read_bytes("memory://a"),
        lambda: places.write_bytes("memory://a", b""),
        lambda: places.fetch("memory://a", tmp_path / "b"),
        lambda: places.put(tmp_path / "a", "memory://a"),
        lambda: places.remove("memory://a"),
        lambda: places.exists("memory://a"),
        lambda: places.files_below("memory://a"),
    ):
        with pytest.raises(OSError, match="NoCredentialsError: Unable to locate credentials"):
            call()
