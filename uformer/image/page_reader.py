"""Read the images of a dataset one by one: image files, and pages of TIFF stacks and Zarr."""

import contextlib
import mmap
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from uformer.errors import PictureError
from uformer.image import formats, tiff, tiff_pages
from uformer.image.any_stack import opened_stack
from uformer.image.formats import Encoded
from uformer.image.read import read_samples
from uformer.image.samples import Samples
from uformer.image.stack import Stack
from uformer.image.zarr_stack import zarr_header
from uformer.zarr_folder import is_meant

T = TypeVar("T")

_KEPT_OPEN = 2  # stacks: those of a pair


class PageReader:
    """Reads samples, (H, W, C) of the file's type. The last stacks stay open for their next pages."""

    def __init__(self) -> None:
        self._opened: dict[Path, tuple[contextlib.ExitStack, Stack]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def read(self, path: Path, page: int | None = None) -> Samples:
        """Return the samples of an image file as `read_samples` does, or those of a page of a stack.

        Raises PictureError.
        """
        if page is not None:
            return self.stack(path).read_channels(page)
        if is_data(path):  # opened apart, because several threads may read single images
            with opened_stack(path) as stack:
                return stack.read_channels(0)
        return read_samples(path)

    def stack(self, path: Path) -> Stack:
        """Return an open stack; it may be closed when others are read. Raises PictureError."""
        if path not in self._opened:
            if len(self._opened) == _KEPT_OPEN:
                self._close_oldest()
            closing = contextlib.ExitStack()
            self._opened[path] = closing, closing.enter_context(opened_stack(path))
        return self._opened[path][1]

    def close(self) -> None:
        """Close all stacks. They are opened again if they are read again."""
        while self._opened:
            self._close_oldest()

    def _close_oldest(self) -> None:
        closing, _ = self._opened.pop(next(iter(self._opened)))
        closing.close()


def is_data(path: Path) -> bool:
    """Return whether an image is a Zarr or a TIFF of samples without a white, which are read as stacks."""
    return is_meant(path) or bool(_of_tiff(path, tiff.data_type))


def page_count(path: Path) -> int:
    """Return the number of images in a TIFF or Zarr; 1 for another file, and for one that cannot be read."""
    if is_meant(path):
        with contextlib.suppress(PictureError):
            return zarr_header(path).frames
        return 1
    counts = _of_tiff(path, tiff_pages.count)
    return 1 if counts is None else counts[0]


def _of_tiff(path: Path, find: Callable[[Encoded], T]) -> T | None:
    """Return what `find` finds in the bytes of a TIFF; None for another file and one that cannot be read."""
    if path.suffix.lower() not in formats.TIFF.suffixes:
        return None
    try:
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return find(data) if formats.sniff(data[:16]) is formats.TIFF else None
    except (OSError, ValueError):
        return None  # reading it will report that
