"""Restores images from file to file in bands of rows, so that they need not fit in memory."""

import contextlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from uformer.errors import PictureError
from uformer.image.image import Header, Image, Pixels
from uformer.image.read import header, read
from uformer.image.regions import BY_REGIONS, Regions, regions, write_parts
from uformer.image.write import MetadataPolicy, write
from uformer.notices import Notify, warn
from uformer.restore import memory
from uformer.restore.chain import shares
from uformer.restore.restorer import Progress, Restorer
from uformer.restore.tiles import Rows
from uformer.system_memory import available_memory

_ROWS = 64  # rounded and written at a time


def should_stream(head: Header, budget: int | None = None) -> bool:
    """Return whether an image should be restored by `restore_file` rather than in memory.

    Both give the same result. `budget`: memory limit of the process in bytes (`Restorer.memory_budget`);
    None: half of free memory.
    """
    most = memory.process_budget(None, free=available_memory()) if budget is None else budget
    return head.suffix in BY_REGIONS and not head.whole and not memory.fits_in_memory(head.pixels, most)


def restore_file(
    restorer: Restorer,
    source: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    metadata: MetadataPolicy = "keep",
    progress: Progress | None = None,
    notify: Notify = warn,
) -> None:
    """Restore an image file and write the result to `output`, in the format of its suffix.

    Only one row of tiles is in memory at a time; WebP and AVIF are decoded and encoded in memory. The output
    has the same bytes that `read`, `Restorer.restore_image` and `write` produce, and appears whole or not at
    all. Until it is complete, its samples are in a temporary file beside it. Raises PictureError.
    """
    source, output = Path(source), Path(output)
    head = header(source)
    if head.whole or head.suffix not in BY_REGIONS:
        image = restorer.restore_image(read(source, notify=notify), progress=progress, notify=notify)
        write(image, output, metadata=metadata, quality=restorer.options.quality, notify=notify)
        return
    folder = Path(os.path.realpath(output)).parent
    if not folder.is_dir():
        raise PictureError(f"{output}: there is no folder {folder}; create it first")
    with regions(source, folder=folder, notify=notify) as image_rows, contextlib.ExitStack() as stack:
        files = [stack.enter_context(tempfile.TemporaryFile(dir=folder)) for _ in restorer.stages[1:]]
        parts = _restored(restorer, image_rows, files, progress, notify)
        quality = restorer.options.quality
        write_parts(image_rows.frame, parts, output, metadata=metadata, quality=quality, notify=notify)


def _restored(
    restorer: Restorer,
    image_rows: Regions,
    files: Sequence[BinaryIO],
    progress: Progress | None,
    notify: Notify,
) -> Iterator[tuple[int, Image]]:
    """Yield the restored image in parts of a few rows, each with the number of its first row.

    `files`: for the pixels between each two stages of the restorer.
    """
    shape = image_rows.frame.pixels.shape
    *earlier, last = restorer.stages
    *counting, count = shares(progress, len(restorer.stages))

    def read_image(first: int, last: int) -> Pixels:
        return image_rows.part(first, last).pixels.transpose(2, 0, 1)

    read_rows: Rows = read_image
    for stage, counted, file in zip(earlier, counting, files, strict=True):
        between = _Between(file, shape)
        for first, rows in stage.restore_rows(read_rows, shape, progress=counted, notify=notify):
            between.write(first, rows)
        read_rows = between.read

    for first, rows in last.restore_rows(read_rows, shape, progress=count, notify=notify):
        for start in range(0, len(rows), _ROWS):
            chunk = rows[start : start + _ROWS]
            part = image_rows.part(first + start, first + start + len(chunk))
            yield first + start, part.with_pixels(chunk)


class _Between:
    """The float32 pixels of an image of `shape` (H, W, C) between two stages, in a file."""

    def __init__(self, file: BinaryIO, shape: tuple[int, ...]) -> None:
        _, self._width, self._channels = shape
        self._file, self._row = file, 4 * self._width * self._channels  # bytes

    def write(self, first: int, rows: Pixels) -> None:
        """Write rows (n, W, C), beginning at row `first`."""
        self._file.seek(first * self._row)
        self._file.write(np.ascontiguousarray(rows).data)

    def read(self, first: int, last: int) -> Pixels:
        """The rows (C, n, W) from `first` up to but not including `last`."""
        self._file.seek(first * self._row)
        data = self._file.read((last - first) * self._row)
        rows: Pixels = np.frombuffer(data, np.float32).reshape(last - first, self._width, self._channels)
        return rows.transpose(2, 0, 1)
