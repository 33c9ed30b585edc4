"""Folders and files on this machine, and on the remote systems of fsspec (s3://, gs://, hf://).

A place is a string: a path, or a URL (scheme://...). Local places, including file://, are returned as
absolute paths.
"""

import contextlib
import functools
import logging
import os
import posixpath
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec
from fsspec.registry import known_implementations

from uformer.errors import OptionError, UformerError
from uformer.files import atomic_file, one_line

for _package in ("aiobotocore", "botocore", "fsspec", "gcsfs", "s3fs"):
    # Without a handler, some packages (gcsfs) print tracebacks of errors that they also raise.
    logging.getLogger(_package).addHandler(logging.NullHandler())


def is_local(place: str) -> bool:
    """Return whether a place is on this machine, which includes mounted disks."""
    return "://" not in place or place.startswith(("file://", "local://"))


def normal(place: str) -> str:
    """Return a place in the form that is stored and compared: no file://, no "..", no slash at the end."""
    if not is_local(place):
        return place.rstrip("/")
    bare = place.removeprefix("file://").removeprefix("local://")
    return os.path.normpath(Path.cwd() / Path(bare).expanduser())


def join(folder: str, below: str) -> str:
    """Return a place inside a folder; `below` is a relative path with slashes."""
    return os.path.join(folder, *below.split("/")) if is_local(folder) else f"{folder.rstrip('/')}/{below}"  # noqa: PTH118


@functools.lru_cache(maxsize=1024)
def _file_system(scheme: str, host: str) -> Any:
    with _os_errors():
        try:
            return fsspec.core.url_to_fs(f"{scheme}://{host}")[0]
        except ImportError as error:
            package = str(known_implementations.get(scheme, {}).get("class", "")).partition(".")[0]
            # Either the package itself (s3fs) or one of its dependencies is missing.
            missing = getattr(error.__cause__, "name", None) or error.name or package
            raise OptionError(f"{scheme}:// needs {missing}; run: pip install {missing}") from None
        except ValueError as error:
            raise OptionError(f"{scheme}://{host}: {one_line(error)}") from None


@contextlib.contextmanager
def _os_errors() -> Iterator[None]:
    """Inside the block, turn the errors of packages behind fsspec (botocore, gcsfs, httpx) into OSErrors."""
    try:
        yield
    except (OSError, UformerError):
        raise
    except Exception as error:
        raise OSError(f"{type(error).__name__}: {one_line(error)}") from error


def open_remote(place: str) -> tuple[Any, str]:
    """Return the fsspec file system of a URL, and the path in it.

    Raises OptionError for a scheme that is unknown or whose package is not installed.
    """
    scheme, _, rest = place.partition("://")
    if "::" in place:
        raise OptionError(f"{place}: chained URLs (::) are not supported; use a plain URL")
    system = _file_system(scheme, rest.partition("/")[0])
    return system, system._strip_protocol(place)  # noqa: SLF001 - fsspec has no public name for this


def read_bytes(place: str) -> bytes:
    """Return the contents of a file. Raises OSError."""
    if is_local(place):
        return Path(place).read_bytes()
    system, path = open_remote(place)
    with _os_errors():
        return bytes(system.cat_file(path))


def write_bytes(place: str, data: bytes) -> None:
    """Write a file whole or not at all: by a rename on a disk, one put on an object store. Raises OSError."""
    if is_local(place):
        Path(place).parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(Path(place)) as file:
            file.write(data)
        return
    system, path = open_remote(place)
    _with_parent(system, path, lambda: system.pipe_file(path, data))


def fetch(place: str, path: Path) -> None:
    """Download a remote file. Raises OSError."""
    system, inside = open_remote(place)
    with _os_errors():
        system.get_file(inside, str(path))


def put(path: Path, place: str) -> None:
    """Upload a local file to a remote place. Raises OSError."""
    system, inside = open_remote(place)
    _with_parent(system, inside, lambda: system.put_file(str(path), inside))


def remove(place: str) -> None:
    """Remove a file if it exists. Raises OSError for a folder."""
    if is_local(place):
        Path(place).unlink(missing_ok=True)
        return
    system, inside = open_remote(place)
    with _os_errors(), contextlib.suppress(FileNotFoundError):
        system.rm_file(inside)


def remove_empty(folder: str) -> None:
    """Remove a folder if it exists and is empty."""
    with contextlib.suppress(OSError, NotImplementedError):  # an object store has no folders
        if is_local(folder):
            Path(folder).rmdir()
            return
        system, inside = open_remote(folder)
        with _os_errors():
            system.rmdir(inside)


def exists(place: str) -> bool:
    """Return whether a file or folder exists."""
    if is_local(place):
        return Path(place).exists()
    system, inside = open_remote(place)
    with _os_errors():
        return bool(system.exists(inside))


def files_below(folder: str) -> set[str]:
    """Return the paths of all files below a folder, relative to it and with slashes, from a single listing.

    Returns nothing if the folder does not exist.
    """
    if is_local(folder):
        root = Path(folder)
        found = set()
        for path, _, names in os.walk(root):
            below = Path(path).relative_to(root)
            found |= {(below / name).as_posix() for name in names}
        return found
    system, inside = open_remote(folder)
    system.invalidate_cache()
    return {
        PurePosixPath(path).relative_to(inside).as_posix() for path in find(system, inside) if path != inside
    }


def find(system: Any, inside: str, *, pattern: bool = False) -> list[str]:
    """Return the files of a remote system below a folder, or those that a pattern matches.

    Returns nothing if the folder does not exist. Raises OSError.
    """
    with _os_errors():
        try:
            return list(system.glob(inside) if pattern else system.find(inside))
        except FileNotFoundError:
            return []


def _with_parent(system: Any, path: str, write: Callable[[], None]) -> None:
    """Write a file, and create its folder only if the first try fails.

    An object store has no folders, and looking for one costs a request.
    """
    with _os_errors():
        try:
            write()
        except FileNotFoundError:
            system.makedirs(posixpath.dirname(path), exist_ok=True)
            write()


def as_text(place: str) -> str:
    r"""Return a place as valid UTF-8: any other byte of a file name becomes the text \udcXX."""
    return place.encode(errors="backslashreplace").decode()
