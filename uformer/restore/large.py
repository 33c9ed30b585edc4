"""Restoring a picture from file to file by regions, so that it need not fit into memory."""

import os
from collections.abc import Iterator
from pathlib import Path

from uformer.errors import PictureError
from uformer.image.image import Header, Image
from uformer.image.read import header, read
from uformer.image.regions import BY_REGIONS, Regions, regions, write_parts
from uformer.image.write import MetadataPolicy, write
from uformer.notices import Notify, warn
from uformer.restore import memory
from uformer.restore.restorer import Pixels, Progress, Restorer
from uformer.system_memory import available_memory

_ROWS = 64  # rounded and written at a time


def should_stream(head: Header, budget: int | None = None) -> bool:
    """Whether a picture is better restored by `restore_file` than in memory; the result is the same.

    `budget`: most bytes that the whole process may take, as of `Restorer.memory_budget`; None: half of what is free.
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
    """Restore a picture file into another, in the format of its suffix, holding one row of tiles at a time.

    The output is byte for byte what `read`, `Restorer.restore_image` and `write` would make, and appears whole or not at all; while it
    is made, its samples lie in a temporary file beside it. WebP and AVIF are read and encoded in memory. Raises PictureError.
    """
    source, output = Path(source), Path(output)
    head = header(source)
    if head.whole or head.suffix not in BY_REGIONS:
        image = restorer.restore_image(read(source, notify=notify), progress=progress, notify=notify)
        write(image, output, metadata=metadata, notify=notify)
        return
    folder = Path(os.path.realpath(output)).parent
    if not folder.is_dir():
        raise PictureError(f"{output}: there is no folder {folder}; create it first")
    with regions(source, folder=folder, notify=notify) as picture:
        parts = _restored(restorer, picture, progress, notify)
        write_parts(picture.frame, parts, output, metadata=metadata, notify=notify)


def _restored(
    restorer: Restorer, picture: Regions, progress: Progress | None, notify: Notify
) -> Iterator[tuple[int, Image]]:
    """The restored picture in parts of a few rows, each with the number of its first row."""

    def read_rows(first: int, last: int) -> Pixels:
        return picture.part(first, last).pixels.transpose(2, 0, 1)

    for first, rows in restorer.restore_rows(
        read_rows, picture.frame.pixels.shape, progress=progress, notify=notify
    ):
        for start in range(0, len(rows), _ROWS):
            chunk = rows[start : start + _ROWS]
            yield first + start, picture.part(first + start, first + start + len(chunk)).with_pixels(chunk)
