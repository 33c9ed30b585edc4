"""Restores images from file to file in bands of rows, so that they need not fit in memory."""

import os
from collections.abc import Iterator
from pathlib import Path

from uformer.errors import PictureError
from uformer.image.image import Header, Image, Pixels
from uformer.image.read import header, read
from uformer.image.regions import BY_REGIONS, Regions, regions, write_parts
from uformer.image.value_range import FULL, ValueRange, sampled
from uformer.image.write import MetadataPolicy, write
from uformer.notices import Notify, warn
from uformer.restore import memory
from uformer.restore.restorer import Progress, Restorer
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
) -> ValueRange:
    """Restore an image file, write the result to `output`, and return the range of values that was restored.

    The suffix of `output` selects the format. Only one row of tiles is in memory at a time; WebP and AVIF are
    decoded and encoded in memory. The output has the same bytes that `read`, `Restorer.restore_image` and
    `write` produce, and appears whole or not at all. Until it is complete, its samples are in a temporary
    file beside it. Raises PictureError.
    """
    source, output = Path(source), Path(output)
    head = header(source)
    if head.whole or head.suffix not in BY_REGIONS:
        image = read(source, notify=notify)
        used = restorer.range_of(sampled(image.values), image.depth, notify=notify)
        restored = restorer.restore_image(image, used=used, progress=progress, notify=notify)
        write(restored, output, metadata=metadata, notify=notify)
        return used
    folder = Path(os.path.realpath(output)).parent
    if not folder.is_dir():
        raise PictureError(f"{output}: there is no folder {folder}; create it first")
    with regions(source, folder=folder, notify=notify) as image_rows:
        used = FULL
        if image_rows.frame.depth != 8 or restorer.options.range not in ("auto", "full"):
            used = restorer.range_of(image_rows.sampled(), image_rows.frame.depth, notify=notify)
        parts = _restored(restorer, image_rows, used, progress, notify)
        write_parts(image_rows.frame, parts, output, metadata=metadata, notify=notify)
    return used


def _restored(
    restorer: Restorer, image_rows: Regions, used: ValueRange, progress: Progress | None, notify: Notify
) -> Iterator[tuple[int, Image]]:
    """Yield the restored image in parts of a few rows, each with the number of its first row."""

    def read_rows(first: int, last: int) -> Pixels:
        return used.to_unit(image_rows.part(first, last).values).transpose(2, 0, 1)

    for first, rows in restorer.restore_rows(
        read_rows, image_rows.frame.pixels.shape, progress=progress, notify=notify
    ):
        for start in range(0, len(rows), _ROWS):
            chunk = rows[start : start + _ROWS]
            part = image_rows.part(first + start, first + start + len(chunk))
            yield first + start, part.with_values(used.from_unit(chunk, part.values))
