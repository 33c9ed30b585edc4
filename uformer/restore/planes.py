"""Restores a TIFF stack or a Zarr from file to file, plane by plane, and any other image file whole.

The planes of a channel share one range of values, which is found before the first one is restored. A range
for each page would make a time series flicker.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from uformer.errors import PictureError
from uformer.image.any_stack import (
    AnyStack,
    PageStarted,
    any_header,
    is_stack,
    left_out,
    opened_stack,
    rewrite,
    suffixes_for,
    writing,
)
from uformer.image.formats import by_suffix
from uformer.image.image import Image
from uformer.image.prepare import check
from uformer.image.read import read
from uformer.image.samples import Values
from uformer.image.stack import Plane, Stack, WritePage
from uformer.image.value_range import ValueRange
from uformer.image.write import MetadataPolicy, write
from uformer.notices import Notify, ignore, warn
from uformer.restore.options import RestoreOptions
from uformer.restore.progress import Progress, shares

Ranges = tuple[float, float] | list[tuple[float, float] | None] | None
"""What users are told about the ranges of channels, in the units of the file; None for the full range."""


class PlaneRestorer(Protocol):
    """What is needed of a Restorer here."""

    options: RestoreOptions

    @property
    def range(self) -> str: ...

    def range_of(self, sample: Values, depth: int, *, notify: Notify = warn) -> ValueRange: ...

    def restore_pixels(
        self,
        pixels: Values,
        *,
        used: ValueRange = ...,
        progress: Progress | None = None,
        notify: Notify = warn,
    ) -> Values: ...

    def restore_image(self, image: Image, *, progress: Progress | None = None) -> Image: ...


def restore_path(
    restorer: PlaneRestorer,
    source: str | os.PathLike[str],
    output: Path,
    *,
    progress: Progress | None = None,
) -> None:
    """Restore an image file, or all pages of a TIFF stack or Zarr, to another file. Raises PictureError."""
    if is_stack(source):
        restore_stack(restorer, source, output, progress=progress)
        return
    image = read(source)
    check(image, by_suffix(output.suffix), "keep", notify=ignore)  # before the network runs for nothing
    write(restorer.restore_image(image, progress=progress), output, quality=restorer.options.quality)


def check_not_automatic(source: str | os.PathLike[str], options: RestoreOptions) -> None:
    """Raise PictureError if the task shall be chosen for a stack."""
    if options.automatic and is_stack(source):
        why = any_header(source).stack
        raise PictureError(f"{source}: {why}, and auto looks at single photos only; name the task")


def check_stack_output(source: str | os.PathLike[str], output: Path, metadata: MetadataPolicy) -> None:
    """Raise PictureError if a stack cannot be written to `output`, or not with this policy for metadata."""
    suffix, *others = suffixes_for(source)
    if output.suffix.lower() not in (suffix, *others):
        raise PictureError(
            f"{source}: {any_header(source).stack}, and is written as {by_suffix(suffix).name}; "
            f"name an output that ends in {suffix}, not {output.suffix or output.name}"
        )
    inside, outside = (Path(os.path.realpath(path)) for path in (source, output))
    if inside.is_relative_to(outside) or outside.is_relative_to(inside):
        raise PictureError(f"{output}: would replace or change the input {source}; give another name")
    if metadata != "keep":
        raise PictureError(
            f"{source}: {any_header(source).stack}, and its tags hold axes and pixel size; "
            f"--metadata {metadata} is not possible, use keep"
        )


def restore_stack(
    restorer: PlaneRestorer,
    source: str | os.PathLike[str],
    output: Path,
    *,
    metadata: MetadataPolicy = "keep",
    progress: Progress | None = None,
    page_started: PageStarted | None = None,
    notify: Notify = warn,
) -> list[ValueRange]:
    """Restore all planes of a stack, write one of the same layout, and return the range of each channel.

    RGB planes are restored in colour, every other channel as gray; alpha stays unchanged. Only one page is in
    memory at a time. The output appears whole or not at all. Raises PictureError.
    """
    check_stack_output(source, output, metadata)
    check_not_automatic(source, restorer.options)
    with opened_stack(source) as stack:
        if lost := left_out(stack):
            notify(f"{stack.name}: holds {', '.join(lost)}; left out")
        with writing(stack, output) as write_page:
            return restore_pages(
                restorer, stack, write_page, progress=progress, page_started=page_started, notify=notify
            )


def restore_pages(
    restorer: PlaneRestorer,
    stack: AnyStack,
    write_page: WritePage,
    *,
    progress: Progress | None = None,
    page_started: PageStarted | None = None,
    notify: Notify = warn,
) -> list[ValueRange]:
    """Restore all planes of an open stack, write its pages, and return the range of each channel."""
    ranges = _ranges(restorer, stack, notify)
    counting = iter(shares(progress, len(stack.planes)))

    def restore(values: Values, plane: Plane) -> Values:
        used = ranges[plane.channel]
        return restorer.restore_pixels(values, used=used, progress=next(counting), notify=notify)

    rewrite(stack, write_page, restore, page_started)
    return ranges


def reported(ranges: Sequence[ValueRange], depth: int) -> Ranges:
    """Return what users are told about the ranges of the channels: one for all if they are the same."""
    found = [used.reported(depth) for used in ranges]
    return found[0] if len(set(found)) == 1 else found


def _ranges(restorer: PlaneRestorer, stack: Stack, notify: Notify) -> list[ValueRange]:
    """Return the range of values of each channel, as the options select it."""
    return [
        restorer.range_of(stack.sample(channel, restorer.range), stack.depth, notify=notify)
        for channel in range(stack.channels)
    ]
