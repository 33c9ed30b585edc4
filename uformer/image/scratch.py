"""The samples of a large picture in a temporary file, from which libvips reads them row by row.

The file is an uncompressed BigTIFF, since libvips reads a TIFF by strips. A file of bare samples it would map into memory as a whole,
where all that has been read counts as the process's own.
"""

import contextlib
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from uformer.image import vips

_ROWS = 16  # of a strip
_SHORT, _LONG, _LONG8 = 3, 4, 16  # types of TIFF values


class Scratch:
    """A file for (H, W, C) samples of uint8, uint16 or float32 that are written in parts, each at its first row; made by `scratch`."""

    def __init__(self, file: IO[bytes], shape: tuple[int, int, int], kind: np.dtype[Any]) -> None:
        self._file, self._row = file, shape[1] * shape[2] * kind.itemsize
        header = _header(shape, kind)
        self._start = len(header)
        self._file.write(header)
        self._file.truncate(self._start + shape[0] * self._row)

    def write(self, first: int, samples: NDArray[Any]) -> None:
        """Write rows (n, W, C), the first being row `first` of the picture."""
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


def _header(shape: tuple[int, int, int], kind: np.dtype[Any]) -> bytes:
    """All of a BigTIFF file but its samples (TIFF 6.0, sections 2 and 8)."""
    height, width, channels = shape
    strips = -(-height // _ROWS)
    entries = [
        (256, _LONG, [width]),
        (257, _LONG, [height]),
        (258, _SHORT, [kind.itemsize * 8] * channels),
        (259, _SHORT, [1]),  # no compression
        (262, _SHORT, [1 if channels < 3 else 2]),  # gray or RGB
        (273, _LONG8, [0] * strips),  # where the strips begin
        (277, _SHORT, [channels]),
        (278, _LONG, [_ROWS]),
        (279, _LONG8, [0] * strips),  # their sizes
        *([(338, _SHORT, [2])] if channels in (2, 4) else []),  # the last channel is alpha
        (339, _SHORT, [3 if kind.kind == "f" else 1] * channels),
    ]
    after = 16 + 8 + 20 * len(entries) + 8
    row = width * channels * kind.itemsize
    start = after + 2 * 8 * strips
    tables = {
        273: [start + k * _ROWS * row for k in range(strips)],
        279: [min(_ROWS, height - k * _ROWS) * row for k in range(strips)],
    }
    ifd, tail = struct.pack("<Q", len(entries)), b""
    for tag, type_, values in entries:
        numbers = tables.get(tag, values)
        packed = struct.pack(f"<{len(numbers)}{ {_SHORT: 'H', _LONG: 'I', _LONG8: 'Q'}[type_] }", *numbers)
        if tag in tables and strips > 1:
            packed, tail = struct.pack("<Q", after + len(tail)), tail + packed
        ifd += struct.pack("<HHQ", tag, type_, len(numbers)) + packed.ljust(8, b"\0")
    return (b"II" + struct.pack("<HHHQ", 43, 8, 0, 16) + ifd + bytes(8) + tail).ljust(start, b"\0")
