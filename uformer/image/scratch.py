"""The samples of a large image in a temporary file, from which libvips reads them row by row.

The file is an uncompressed BigTIFF, since libvips reads a TIFF by strips. It would map a file of bare samples into memory as a whole,
where all that it has read counts as the process's own.
"""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
from numpy.typing import NDArray

from uformer.image import vips

_ROWS = 16  # of a strip


class Scratch:
    """A file for (H, W, C) samples of uint8, uint16 or float32 that are written in parts, each at its first row; made by `scratch`."""

    def __init__(self, file: IO[bytes], shape: tuple[int, int, int], kind: np.dtype[Any]) -> None:
        self._file, self._row = file, shape[1] * shape[2] * kind.itemsize
        self._start = _write_empty(file, shape, kind)

    def write(self, first: int, samples: NDArray[Any]) -> None:
        """Write rows (n, W, C), the first being row `first` of the image."""
        self._file.seek(self._start + first * self._row)
        self._file.write(samples.data)

    def image(self) -> Any:
        """The pyvips image of what was written, to be read once from top to bottom, with nothing but samples."""
        self._file.seek(0)  # writes what is buffered, too
        return vips.bare(vips.load_open("tiff", self._file.fileno()))


@contextlib.contextmanager
def scratch(folder: Path, shape: tuple[int, int, int], kind: np.dtype[Any]) -> Iterator[Scratch]:
    """A new file for samples, without a name in the folder: it is gone when all have closed it, or are killed."""
    with tempfile.TemporaryFile(dir=folder) as file:
        yield Scratch(file, shape, kind)


def _write_empty(file: IO[bytes], shape: tuple[int, int, int], kind: np.dtype[Any]) -> int:
    """Write a BigTIFF with a hole in place of its samples, and return where they begin."""
    import tifffile  # noqa: PLC0415 - it takes 50 ms, which only large images are worth

    height, width, channels = shape
    found = tifffile.imwrite(
        tifffile.FileHandle(file, name="scratch"),  # tifffile asks a file for its name, and this one has none
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
