"""Stacks of any kind: which files are stacks, and opening and writing them."""

import itertools
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from operator import attrgetter
from pathlib import Path

from uformer.image import tiff_stack_writer
from uformer.image.formats import TIFF, ZARR
from uformer.image.image import Header
from uformer.image.read import header
from uformer.image.samples import Values
from uformer.image.stack import Plane, WritePage
from uformer.image.tiff_stack import TiffStack, is_tiff_stack, opened_tiff
from uformer.image.zarr_stack import ZarrStack, opened_zarr, zarr_header
from uformer.image.zarr_stack_writer import writing_zarr
from uformer.zarr_folder import is_meant

AnyStack = TiffStack | ZarrStack

PageStarted = Callable[[int, int], None]
"""Called before each page with its number, from 1, and the number of all pages."""


def is_stack(source: str | os.PathLike[str] | bytes) -> bool:
    """Whether an image is restored plane by plane. Raises PictureError for a TIFF that cannot be read."""
    return (not isinstance(source, bytes) and is_meant(source)) or is_tiff_stack(source)


def any_header(source: str | os.PathLike[str]) -> Header:
    """Return the header of an image file or a Zarr. Raises PictureError."""
    return zarr_header(source) if is_meant(source) else header(source)


def opened_stack(source: str | os.PathLike[str]) -> AbstractContextManager[AnyStack]:
    """Open a TIFF stack or a Zarr. Raises PictureError if it cannot be restored plane by plane."""
    return opened_zarr(source) if is_meant(source) else opened_tiff(source)


def suffixes_for(source: str | os.PathLike[str]) -> tuple[str, ...]:
    """Return the suffixes that the output of a stack may have."""
    return ZARR.suffixes if is_meant(source) else TIFF.suffixes


def writing(stack: AnyStack, path: Path) -> AbstractContextManager[WritePage]:
    """Return a function that writes the pages of `stack` with other samples, to an output that appears whole.

    The output is of the kind of the stack. Raises PictureError if it cannot be written.
    """
    if isinstance(stack, ZarrStack):
        return writing_zarr(stack, path)
    return tiff_stack_writer.writing_tiff(stack, path)


def rewrite(
    stack: AnyStack,
    write_page: WritePage,
    change: Callable[[Values, Plane], Values],
    page_started: PageStarted | None = None,
) -> None:
    """Write the pages of a stack, with values that `change` makes of each plane's. Raises PictureError."""
    for page, planes in itertools.groupby(stack.planes, key=attrgetter("page")):
        if page_started is not None:
            page_started(page + 1, stack.count)
        samples = stack.read(page).copy()
        for plane in planes:
            stack.put(change(stack.values(samples, plane), plane), plane, samples)
        write_page(page, samples)


def left_out(stack: AnyStack) -> Sequence[str]:
    """Return what a stack holds that is not written, in words."""
    return stack.left_out if isinstance(stack, ZarrStack) else tiff_stack_writer.left_out(stack)
