"""A temporary file for the samples of a large image, from which libvips reads them row by row.

The file is an uncompressed BigTIFF, because libvips reads a TIFF strip by strip. It would map a file of bare
samples into memory as a whole, and all that it has read would count as the process's own memory.
"""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
from numpy.typing import NDArray

from uformer.image import vips

_ROWS = 16  # per strip


class Scratch:
    """A file for (H, W, C) samples of uint8, uint16 or float32, written in parts; created by `scratch`."""

    def __init__(self, file: IO[bytes], shape: tuple[int, int, int], kind: np.dtype[Any]) -> None:
        self._file, self._row = file, shape[1] * shape[2] * kind.itemsize
        self._start = _write_empty(file, shape, kind)

    def write(self, first: int, samples: NDArray[Any]) -> None:
        """Write rows (n, W, C), beginning at row `first` of the image."""
        self._file.seek(self._start + first * self._row)
        self._file.write(samples.data)

    def image(self) -> Any:
        """The pyvips image of the written samples, without metadata, to be read once from top to bottom."""
        self._file.seek(0)  # also flushes the buffer
        return vips.bare(vips.load_open("tiff", self._file.fileno()))


@contextlib.contextmanager
def scratch(folder: Path, shape: tuple[int, int, int], kind: np.dtype[Any]) -> Iterator[Scratch]:
    """A new file for samples, without a name; it disappears when its last user closes it or dies."""
    with tempfile.TemporaryFile(dir=folder) as file:
        yield Scratch(file, shape, kind)


def _write_empty(file: IO[bytes], shape: tuple[int, int, int], kind: np.dtype[Any]) -> int:
    """Write a BigTIFF with a hole in place of its samples, and return where they begin."""
    import tifffile  # noqa: PLC0415 - takes 50 ms, and only large images need it

    height, width, channels = shape
    found = tifffile.imwrite(
        tifffile.FileHandle(file, name="scratch"),  # tifffile needs a name, and this file has none
        shape=(height, width) if channels == 1 else shape,
        dtype=kind,
        bigtiff=True,
        photometric="minisblack" if channels < 3 else "rgb",
        planarconfig="contig" if channels > 1 else None,
        extrasamples=["unassalpha"] if channels in (2, 4) else None,
        rowsperstrip=_ROWS,
        metadata=None,
        software=False,
        returnoffset=True,
    )
    start, _size = cast("tuple[int, int]", found)
    return start
