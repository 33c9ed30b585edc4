"""TIFF stacks, and TIFF of types that only stacks hold: checked before they wait, and restored in memory."""

import io
from collections.abc import Callable

from uformer.errors import OptionError
from uformer.image.image import Header
from uformer.image.tiff_stack import opened_tiff
from uformer.image.tiff_stack_writer import writing_to
from uformer.image.write import MetadataPolicy
from uformer.notices import Notify
from uformer.restore.planes import Ranges, reported, restore_pages
from uformer.restore.progress import Progress
from uformer.restore.restorer import Restorer
from uformer.serve.problems import Problem, refused_as
from uformer.serve.settings import Settings

NOT_HELD = "the planes of a stack are not held"
"""Why the answer of a stack is not held."""


def check_stack(data: bytes, settings: Settings) -> None:
    """Raise Problem for a stack that cannot be restored or exceeds a limit. No pixel is decoded."""
    with refused_as(400, "not-a-picture"), opened_tiff(data) as stack:
        planes, size = len(stack.planes), stack.count * stack.tags_of(0).nbytes
        pixels = planes * stack.width * stack.height
    if pixels > settings.max_pixels:
        each = f"{planes} planes of {stack.width} x {stack.height} ({pixels:,} pixels)"
        detail = f"the stack has {each}; the limit is {settings.max_pixels:,} pixels"
        raise Problem(413, "too-many-pixels", detail)
    if size > settings.max_kept:
        detail = f"the stack takes {size:,} bytes uncompressed; the limit is {settings.max_kept:,} bytes"
        raise Problem(413, "too-many-bytes", detail)


def check_wishes(head: Header, answer: str, metadata: MetadataPolicy | None) -> None:
    """Raise OptionError for a format or a policy for metadata that a stack cannot have. None: not given."""
    if answer not in ("same", "tif"):
        raise OptionError(f"format: the image {head.stack}, and is returned as TIFF; use format=same or tif")
    if metadata not in (None, "keep"):
        raise OptionError(
            f"metadata: the image {head.stack}, and its tags hold axes and pixel size; use metadata=keep"
        )


def restored_stack(
    restorer: Restorer, data: bytes, *, progress: Progress, check: Callable[[], None], notify: Notify
) -> tuple[bytes, Ranges]:
    """Return the TIFF of a restored stack, and the ranges of its channels. Raises PictureError.

    `check`: called before each page; an exception that it raises ends the work.
    """
    file = io.BytesIO()
    with opened_tiff(data) as stack:
        with writing_to(stack, file) as write_page:
            ranges = restore_pages(
                restorer,
                stack,
                write_page,
                progress=progress,
                page_started=lambda _number, _count: check(),
                notify=notify,
            )
        return file.getvalue(), reported(ranges, stack.depth)
