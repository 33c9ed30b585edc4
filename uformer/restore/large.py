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
from uformer.image.value_range import NOT_SAMPLED, ValueRange, depends_on_values
from uformer.image.write import MetadataPolicy, write
from uformer.notices import Notify, warn
from uformer.restore import memory
from uformer.restore.progress import Progress, shares
from uformer.restore.reporting.change_report import Recorder
from uformer.restore.restorer import Restorer
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
    recorder: Recorder | None = None,
) -> ValueRange:
    """Restore an image file, write the result to `output`, and return the range of values that was restored.

    The suffix of `output` selects the format. Only one row of tiles is in memory at a time; WebP and AVIF are
    decoded and encoded in memory. The output has the same bytes that `read`, `Restorer.restore_image` and
    `write` produce, and appears whole or not at all. Until it is complete, its samples are in a temporary
    file beside it. `recorder`: receives the rows for a report. Raises PictureError.
    """
    source, output = Path(source), Path(output)
    head = header(source)
    if head.whole or head.suffix not in BY_REGIONS:
        image = read(source, notify=notify)
        if recorder is not None:
            recorder.begin(*image.pixels.shape)
        used = restorer.range_of_image(image, notify=notify)
        restored = restorer.restore_image(image, used=used, progress=progress, notify=notify)
        if recorder is not None:
            recorder.add_image(image, restored, used)
        write(restored, output, metadata=metadata, quality=restorer.options.quality, notify=notify)
        return used
    folder = Path(os.path.realpath(output)).parent
    if not folder.is_dir():
        raise PictureError(f"{output}: there is no folder {folder}; create it first")
    with regions(source, folder=folder, notify=notify) as image_rows, contextlib.ExitStack() as stack:
        depth = image_rows.frame.depth
        sample = image_rows.sampled() if depends_on_values(restorer.range, depth) else NOT_SAMPLED
        used = restorer.range_of(sample, depth, notify=notify)
        files = [stack.enter_context(tempfile.TemporaryFile(dir=folder)) for _ in restorer.stages[1:]]
        if recorder is not None:
            recorder.begin(*image_rows.frame.pixels.shape)
        parts = _restored(restorer, image_rows, files, used, progress, notify, recorder)
        quality = restorer.options.quality
        write_parts(image_rows.frame, parts, output, metadata=metadata, quality=quality, notify=notify)
    return used


def _restored(
    restorer: Restorer,
    image_rows: Regions,
    files: Sequence[BinaryIO],
    used: ValueRange,
    progress: Progress | None,
    notify: Notify,
    recorder: Recorder | None,
) -> Iterator[tuple[int, Image]]:
    """Yield the restored image in parts of a few rows, each with the number of its first row.

    `files`: for the pixels between each two stages of the restorer. `used`: the range of values of the image.
    """
    shape = image_rows.frame.pixels.shape

    def read_image(first: int, last: int) -> Pixels:
        return used.to_unit(image_rows.part(first, last).values).transpose(2, 0, 1)

    restorer = restorer.suited(read_image, shape, notify=notify)
    *earlier, last = restorer.stages
    *counting, count = shares(progress, len(restorer.stages))
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
            restored = part.with_values(used.from_unit(chunk, part.values))
            if recorder is not None:
                recorder.add_values(first + start, part.values, restored.values, part.depth, used)
            yield first + start, restored


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
