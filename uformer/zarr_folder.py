"""What a Zarr image on disk is: a folder with certain documents in it, many files that count as one image."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

SUFFIX = ".zarr"

DOCUMENTS = ("zarr.json", ".zgroup", ".zarray", ".zattrs")
"""The files that describe an array or a group, in format 3 and in format 2."""


def is_zarr(path: str | os.PathLike[str]) -> bool:
    """Whether a path is a folder that holds a Zarr array or group."""
    return any(os.path.isfile(os.path.join(path, name)) for name in DOCUMENTS[:3])  # noqa: PTH118 - fast


def is_meant(path: str | os.PathLike[str]) -> bool:
    """Whether a folder is a Zarr, or has the name of one."""
    return os.path.isdir(path) and (os.fspath(path).lower().rstrip("/\\").endswith(SUFFIX) or is_zarr(path))


def stamp(path: Path) -> tuple[int, int]:
    """Return the size of a file or of all files in a folder, and the newest modification time in nanoseconds.

    Raises OSError.
    """
    found = path.stat()
    if not stat.S_ISDIR(found.st_mode):
        return found.st_size, found.st_mtime_ns
    size, newest = 0, found.st_mtime_ns
    for status in _files(path):
        size, newest = size + status.st_size, max(newest, status.st_mtime_ns)
    return size, newest


def size_of(path: Path) -> int:
    """Return the size of a file, or of all files in a folder. Raises OSError."""
    return stamp(path)[0]


def _files(folder: Path) -> Iterator[os.stat_result]:
    for below, _, names in os.walk(folder):
        for name in names:
            yield os.stat(os.path.join(below, name))  # noqa: PTH116, PTH118 - a Zarr may hold a million files
