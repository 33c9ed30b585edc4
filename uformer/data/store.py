"""Decoded images in their original bit depth, in memory or in a memory-mapped file that processes share."""

import itertools
import json
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from uformer.errors import PictureError
from uformer.files import atomic_file
from uformer.image.page_reader import PageReader
from uformer.image.samples import Samples
from uformer.image.value_range import ValueRange, range_of_samples
from uformer.processors import available_processors
from uformer.staging import sweep
from uformer.zarr_folder import stamp

PIXELS, INDEX = "pictures.bin", "pictures.json"
_ALIGNMENT = 64  # bytes


class Store:
    """Images (H, W, C), in the types of their files, by position.

    Raises PictureError for a file that could not be read. A store that is backed by a file is pickled by
    path, so the loader's worker processes share its pages.
    """

    def __init__(
        self, failures: dict[int, str], *, pictures: Sequence[Samples | None] = (), path: Path | None = None
    ) -> None:
        self.failures = failures
        self.path = path
        self._ranges: dict[tuple[int, str], ValueRange] = {}
        self._pictures = list(pictures)
        if path is not None:
            self._pictures = _open(path)

    def __len__(self) -> int:
        return len(self._pictures)

    def __getitem__(self, index: int) -> Samples:
        picture = self._pictures[index]
        if picture is None:
            raise PictureError(
                f"image {index} could not be read: {self.failures.get(index, 'it is damaged')}"
            )
        return picture

    def range_of(self, index: int, asked: str) -> ValueRange:
        """Return the range of values of an image, as restoring it with this `--range` would find it."""
        if (index, asked) not in self._ranges:
            self._ranges[index, asked] = range_of_samples(self[index], asked)
        return self._ranges[index, asked]

    def __getstate__(self) -> dict[str, Any]:
        return {
            "failures": self.failures,
            "path": self.path,
            "pictures": self._pictures if self.path is None else (),
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["failures"], pictures=state["pictures"], path=state["path"])  # type: ignore[misc]


def decode(
    files: Sequence[Path],
    *,
    pages: Sequence[int | None] | None = None,
    memory: int,
    cache: Path | None = None,
) -> Store:
    """Decode image files, once. `pages`: the page of each that is a stack, None for the others.

    They go into memory if they take at most `memory` bytes or if there is no `cache`; otherwise they go into
    a file in the folder `cache`. A cache of the same files (by path, size and time) is used again. Files that
    cannot be read are in the result's `failures`, with the reason. Raises OSError if the cache cannot be
    written.
    """
    chosen = [None] * len(files) if pages is None else list(pages)
    stamps = [
        [str(path), *_stamp(path), *([] if page is None else [page])]
        for path, page in zip(files, chosen, strict=True)
    ]
    if cache is not None and (found := _reopen(cache, stamps)):
        return found
    failures: dict[int, str] = {}
    pictures: list[Samples | None] = []
    decoded = _decoded(files, chosen, failures)
    size = 0
    for picture in decoded:
        pictures.append(picture)
        size += 0 if picture is None else picture.nbytes
        if size > memory and cache is not None:
            _write(cache, itertools.chain(_drain(pictures), decoded), stamps, failures)
            return Store(failures, path=cache)
    return Store(failures, pictures=pictures)


def wait_for(cache: Path, count: int, *, seconds: float = 120.0) -> Store:
    """Return the store of `count` images that a process, maybe on another machine, has just written.

    A network file system may show it with a delay. Raises PictureError if it does not appear in `seconds`.
    """
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if (found := _reopen(cache, None)) is not None and len(found) == count:
            return found
        time.sleep(0.5)
    raise PictureError(
        f"{cache}: the images decoded by the first process do not appear here; "
        "put the run folder on a disk that all machines share"
    )


def remove_cache(cache: Path) -> None:
    """Remove the files of a cache, and its folder if it is then empty."""
    sweep(cache)
    for name in (INDEX, PIXELS):
        (cache / name).unlink(missing_ok=True)
    if cache.is_dir() and not any(cache.iterdir()):
        cache.rmdir()


def _decoded(
    files: Sequence[Path], pages: Sequence[int | None], failures: dict[int, str]
) -> Iterator[Samples | None]:
    """Yield the files' images in order, or None for a failure.

    Several files are decoded at the same time, but the pages of a stack one by one.
    """

    def attempt(index: int) -> Samples | None:
        try:
            return reader.read(files[index], pages[index])
        except PictureError as error:
            failures[index] = str(error)
            return None

    threads = min(available_processors(), 16)
    with ThreadPoolExecutor(threads) as workers, PageReader() as reader:
        for of_stacks, found in itertools.groupby(
            range(len(files)), key=lambda index: pages[index] is not None
        ):
            indices = list(found)
            if of_stacks:
                yield from map(attempt, indices)
                continue
            for start in range(0, len(indices), 2 * threads):  # in small groups, to bound the memory
                yield from workers.map(attempt, indices[start : start + 2 * threads])


def _drain(pictures: list[Samples | None]) -> Iterator[Samples | None]:
    while pictures:
        yield pictures.pop(0)


def _stamp(path: Path) -> tuple[int, int]:
    """Return the size and modification time of a file, or zeros if it is missing. The reader reports that."""
    try:
        return stamp(path)
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
    """Append an image to a file and return its offset, shape and type."""
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
    """Return the store of a cache, or None if it was not made of files with these stamps (None fits any)."""
    try:
        index = json.loads((cache / INDEX).read_text(encoding="utf-8"))
        if stamps is None or index["files"] == stamps:
            return Store({int(key): value for key, value in index["failures"].items()}, path=cache)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None
