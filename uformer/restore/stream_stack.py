"""Restores a stack from standard input, to standard output, or both, by way of temporary files."""

import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from uformer.bars import Bars
from uformer.errors import PictureError
from uformer.image.any_stack import any_header, suffixes_for
from uformer.image.formats import ZARR
from uformer.image.value_range import ValueRange
from uformer.image.write import MetadataPolicy
from uformer.notices import Notify
from uformer.restore.options import RestoreOptions
from uformer.restore.planes import check_not_automatic, check_stack_output, restore_stack
from uformer.restore.restorer import Restorer

NAME = "standard input"


def stack_through(
    data: bytes | str,
    output: Path | None,
    options: RestoreOptions,
    make: Callable[[], Restorer],
    metadata: MetadataPolicy,
    bars: Bars,
    notify: Notify,
) -> tuple[list[ValueRange], int]:
    """Restore a stack, and return the range of each channel and the bits per sample.

    `data`: what standard input holds, or a path. `output`: None for standard output. Raises PictureError.
    """
    with tempfile.TemporaryDirectory(prefix="uformer-") as folder:
        source = Path(folder, "input.tif") if isinstance(data, bytes) else Path(data)
        if isinstance(data, bytes):
            source.write_bytes(data)
        name = NAME if isinstance(data, bytes) else str(source)
        suffix = suffixes_for(source)[0]
        written = Path(folder, f"output{suffix}") if output is None else output
        if output is None and suffix in ZARR.suffixes:
            raise PictureError(
                f"{source}: is a Zarr, which is a folder; name an output that ends in {suffix}"
            )

        def page_started(number: int, count: int) -> None:
            bars.renamed(f"{name}, page {number} of {count}")

        try:
            check_not_automatic(source, options)
            check_stack_output(source, written, metadata)
            bars.started(name)
            ranges = restore_stack(
                make(),
                source,
                written,
                metadata=metadata,
                progress=bars.tile,
                page_started=page_started,
                notify=lambda message: notify(message.replace(str(source), name)),
            )
        except PictureError as error:
            raise PictureError(str(error).replace(str(source), name)) from None
        if output is None:
            with open(written, "rb") as file:
                shutil.copyfileobj(file, sys.stdout.buffer)
            sys.stdout.buffer.flush()
        return ranges, any_header(source).depth
