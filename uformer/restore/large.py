"""Restoring a picture from file to file."""

from pathlib import Path

from uformer.image.image import Header
from uformer.image.read import read
from uformer.image.write import MetadataPolicy, write
from uformer.restore.footprint import fits_in_memory
from uformer.restore.restorer import Progress, Restorer


def should_stream(header: Header, budget: int) -> bool:
    """Whether a picture must be restored by regions, from file to file; `budget` as of `Restorer.memory_budget`."""
    return not fits_in_memory(header.pixels, budget) and header.suffix in (".png", ".jpg", ".tif")


def restore_file(
    restorer: Restorer, source: Path, output: Path, *, metadata: MetadataPolicy = "keep", progress: Progress | None = None
) -> None:
    """Restore a picture file into another; raises PictureError."""
    write(restorer.restore_image(read(source), progress=progress), output, metadata=metadata)
