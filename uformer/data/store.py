"""Decoded pictures, kept as compactly as their files have them: in memory, or in one memory-mapped file that processes share."""

import itertools
import json
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from uformer.errors import PictureError
from uformer.files import atomic_file
from uformer.image.read import read_samples
from uformer.image.samples import Samples
from uformer.staging import sweep

PIXELS, INDEX = "pictures.bin", "pictures.json"
_ALIGNMENT = 64  # bytes


class Store:
    """Pictures (H, W, C), uint8 or uint16, by their position; None for a file that could not be read.

    Backed by a file, it is pickled by name: the worker processes of a loader share its pages.
    """

    def __init__(
        self, failures: dict[int, str], *, pictures: Sequence[Samples | None] = (), path: Path | None = None
    ) -> None:
        self.failures = failures
        self.path = path
        self._pictures = list(pictures)
        if path is not None:
            self._pictures = _open(path)

    def __len__(self) -> int:
        return len(self._pictures)

    def __getitem__(self, index: int) -> Samples:
        picture = self._pictures[index]
        if picture is None:
            raise PictureError(
                f"picture {index} could not be read: {self.failures.get(index, 'it is damaged')}"
            )
        return picture

    def __getstate__(self) -> dict[str, Any]:
        return {
            "failures": self.failures,
            "path": self.path,
            "pictures": self._pictures if self.path is None else (),
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["failures"], pictures=state["pictures"], path=state["path"])  # type: ignore[misc]


def decode(files: Sequence[Path], *, memory: int, cache: Path | None = None) -> Store:
    """Decode picture files, once: into memory where they take at most `memory` bytes, else into a file in the folder `cache`.

    Without `cache`, always into memory. A cache that was made of the same files (by path, size and time) is used again. Files
    that cannot be read are in the answer's `failures`, with the reason. Raises OSError where the cache cannot be written.
    """
    stamps = [[str(path), *_stamp(path)] for path in files]
    if cache is not None and (found := _reopen(cache, stamps)):
        return found
    failures: dict[int, str] = {}
    pictures: list[Samples | None] = []
    decoded = _decoded(files, failures)
    size = 0
    for picture in decoded:
        pictures.append(picture)
        size += 0 if picture is None else picture.nbytes
        if size > memory and cache is not None:
            _write(cache, itertools.chain(_drain(pictures), decoded), stamps, failures)
            return Store(failures, path=cache)
    return Store(failures, pictures=pictures)


def wait_for(cache: Path, count: int, *, seconds: float = 120.0) -> Store:
    """The store of `count` pictures that a process, maybe on another machine, has just written.

    A network's file system may show it a little later. Raises PictureError where it does not.
    """
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if (found := _reopen(cache, None)) is not None and len(found) == count:
            return found
        time.sleep(0.5)
    raise PictureError(
        f"{cache}: the pictures that the first process decoded are not seen here; the run's folder must be on a shared disk"
    )


def remove_cache(cache: Path) -> None:
    """Remove the files of a cache, and its folder where nothing else is in it."""
    sweep(cache)
    for name in (INDEX, PIXELS):
        (cache / name).unlink(missing_ok=True)
    if cache.is_dir() and not any(cache.iterdir()):
        cache.rmdir()


def _decoded(files: Sequence[Path], failures: dict[int, str]) -> Iterator[Samples | None]:
    """The files' pictures in their order; libvips decodes several at a time."""

    def attempt(index: int) -> Samples | None:
        try:
            return read_samples(files[index])
        except PictureError as error:
            failures[index] = str(error)
            return None

    threads = min(os.cpu_count() or 1, 16)
    with ThreadPoolExecutor(threads) as workers:
        for start in range(0, len(files), 2 * threads):  # a few at a time, or all would wait in memory
            yield from workers.map(attempt, range(start, min(start + 2 * threads, len(files))))


def _drain(pictures: list[Samples | None]) -> Iterator[Samples | None]:
    while pictures:
        yield pictures.pop(0)


def _stamp(path: Path) -> tuple[int, int]:
    """Size and time of a file; zeros where there is none, which the reader will say."""
    try:
        return path.stat().st_size, path.stat().st_mtime_ns
    except OSError:
        return 0, 0


def _write(
    cache: Path, pictures: Iterator[Samples | None], stamps: list[list[Any]], failures: dict[int, str]
) -> None:
    cache.mkdir(parents=True, exist_ok=True)
    (cache / INDEX).unlink(missing_ok=True)
    with atomic_file(cache / PIXELS) as file:
        entries = [_append(file, picture) for picture in pictures]
    index = {
        "files": stamps,
        "failures": {str(key): value for key, value in failures.items()},
        "pictures": entries,
    }
    with atomic_file(cache / INDEX) as file:
        file.write(json.dumps(index).encode())


def _append(file: BinaryIO, picture: Samples | None) -> list[Any] | None:
    """Offset, shape and type of a picture written at the end of a file."""
    if picture is None:
        return None
    file.write(bytes(-file.tell() % _ALIGNMENT))
    offset = file.tell()
    file.write(np.ascontiguousarray(picture).data)
    return [offset, list(picture.shape), picture.dtype.str]


def _open(cache: Path) -> list[Samples | None]:
    entries = json.loads((cache / INDEX).read_text(encoding="utf-8"))["pictures"]
    flat: NDArray[np.uint8] = np.memmap(cache / PIXELS, np.uint8, mode="r")
    pictures: list[Samples | None] = []
    for entry in entries:
        if entry is None:
            pictures.append(None)
            continue
        offset, shape, kind = entry
        size = int(np.prod(shape)) * np.dtype(kind).itemsize
        pictures.append(flat[offset : offset + size].view(kind).reshape(shape))
    return pictures


def _reopen(cache: Path, stamps: list[list[Any]] | None) -> Store | None:
    """The store of a cache, None where there is none of these files (None: of any)."""
    try:
        index = json.loads((cache / INDEX).read_text(encoding="utf-8"))
        if stamps is None or index["files"] == stamps:
            return Store({int(key): value for key, value in index["failures"].items()}, path=cache)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None
