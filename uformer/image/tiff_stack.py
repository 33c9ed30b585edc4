"""A TIFF file of planes: several pages (time, depth, channels), channels beyond RGB, or data of instruments.

tifffile reads the pages one by one. `tiff_stack_writer` writes a file of the same pages.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from uformer.errors import PictureError
from uformer.files import one_line
from uformer.image import formats, vips
from uformer.image.image import Header
from uformer.image.read import header
from uformer.image.samples import Samples
from uformer.image.stack import Stack, planes_of

if TYPE_CHECKING:
    import tifffile

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE = 0, 1, 2, 3
_GRAY = (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _PALETTE)
_ALPHA = (1, 2)  # values of ExtraSamples
_NONE, _DEFLATE = 1, (8, 32946)  # compressions that tifffile decodes by itself; libvips decodes the others
_LARGE_CHUNK = 2**26  # bytes; a larger strip or tile must belong to a large page
_NO_PREDICTOR, _HORIZONTAL = 1, 2

DAMAGED = (
    *(ValueError, TypeError, LookupError, AttributeError, RuntimeError, ArithmeticError),
    *(struct.error, zlib.error),
)
"""What tifffile raises for damaged files."""


@dataclass(frozen=True, kw_only=True)
class TiffStack(Stack):
    """An open TIFF file of pages of one size and type."""

    source: Path | bytes
    file: tifffile.TiffFile
    indices: tuple[int, ...]
    """Positions of the images among all pages of the file; reduced copies and masks are left out."""
    virtual: int | None = None
    """Where the pixels begin, if the file has one directory for all pages (ImageJ above 4 GB)."""

    @property
    def count(self) -> int:
        """Number of pages."""
        return len(self.indices)

    def tags_of(self, page: int) -> tifffile.TiffPage:
        """Return the page of tifffile that has the tags of a page."""
        import tifffile  # noqa: PLC0415 - takes 50 ms, and only stacks need it

        found = self.file.pages[self.indices[page] if self.virtual is None else 0]
        if not isinstance(found, tifffile.TiffPage):
            raise PictureError(f"{self.name}: page {page + 1} cannot be read")
        return found

    def read_page(self, page: int) -> Samples:
        described = self.tags_of(page)
        try:
            if self.virtual is not None:
                start = self.virtual + page * described.nbytes
                flat = self.file.filehandle.read_array(
                    self.dtype.newbyteorder(self.file.byteorder), described.size, offset=start
                )
                samples = np.asarray(flat).reshape(described.shape)
            elif _is_decoded_by_tifffile(described):
                _check_chunks(described)
                samples = described.asarray()
            else:
                samples = _decoded_by_vips(self.source, self.indices[page])
        except (vips.Error, OSError, MemoryError, *DAMAGED) as error:
            why = "does not fit into memory" if isinstance(error, MemoryError) else "is damaged or cut off"
            raise PictureError(f"{self.name}: page {page + 1} {why}") from None
        if samples.ndim == 3 and described.axes.startswith("S"):  # channels one after the other
            samples = samples.transpose(1, 2, 0)
        return samples


def is_tiff_stack(source: str | os.PathLike[str] | bytes) -> bool:
    """Whether a file is restored plane by plane. Raises PictureError for a TIFF that cannot be read."""
    try:
        start = source[:16] if isinstance(source, bytes) else _start_of(source)
    except (OSError, ValueError):
        return False  # reading it will report that
    return formats.sniff(start) is formats.TIFF and bool(header(source).stack)


def _start_of(path: str | os.PathLike[str]) -> bytes:
    with open(path, "rb") as file:
        return file.read(16)


@contextlib.contextmanager
def opened_tiff(source: str | os.PathLike[str] | bytes) -> Iterator[TiffStack]:
    """Open a TIFF file of planes, from its path or its bytes.

    Raises PictureError if its header is refused, or if its pages differ in size or type.
    """
    import tifffile  # noqa: PLC0415 - takes 50 ms, and only stacks need it

    source = source if isinstance(source, bytes) else Path(source)
    name = "image" if isinstance(source, bytes) else one_line(source, 4096)
    head = header(source)
    with contextlib.ExitStack() as closing:
        try:
            file = closing.enter_context(_file(source))
            stack = _read_layout(name, source, file, head)
        except PictureError:  # a subclass of ValueError
            raise
        except OSError as error:
            raise PictureError(f"{name}: {error.strerror or error}") from None
        except (tifffile.TiffFileError, *DAMAGED):
            raise PictureError(f"{name}: cannot be read as TIFF: its directories are damaged") from None
        yield stack


def _file(source: Path | bytes) -> tifffile.TiffFile:
    import tifffile  # noqa: PLC0415 - takes 50 ms, and only stacks need it

    return tifffile.TiffFile(io.BytesIO(source) if isinstance(source, bytes) else source)


def _read_layout(name: str, source: Path | bytes, file: tifffile.TiffFile, head: Header) -> TiffStack:
    pages = _pages(name, file)
    images = [(index, page) for index, page in enumerate(pages) if not (page.is_reduced or page.is_mask)]
    first = images[0][1]
    for number, (_, page) in enumerate(images, start=1):
        if _kind(page) != _kind(first):
            raise PictureError(
                f"{name}: page {number} ({_described(page)}) differs from page 1 ({_described(first)}); only "
                "pages of one size and type can be restored together, so save each page as a file of its own"
            )
    if first.dtype is None or first.dtype.kind not in "uif":
        raise PictureError(f"{name}: has samples of type {first.dtype}; integers or floats are expected")
    if first.photometric not in (*_GRAY, _RGB) or (first.photometric == _PALETTE and not file.is_imagej):
        colours = "in palette colours" if first.photometric == _PALETTE else "neither gray nor RGB"
        raise PictureError(f"{name}: is a stack {colours}; save it in gray or RGB first")
    decoded_by_vips = first.photometric in (_BLACK_IS_ZERO, _RGB) and first.dtype.itemsize < 8
    if not (decoded_by_vips or _is_decoded_by_tifffile(first)):
        raise PictureError(
            f"{name}: is compressed in a way that cannot be read here; save it uncompressed or with deflate"
        )
    virtual = None
    indices = tuple(index for index, _ in images)
    if head.frames > len(images):
        if len(images) > 1 or not first.is_contiguous:
            raise PictureError(f"{name}: should hold {head.frames} images, but only {len(images)} are there")
        virtual, indices = first.dataoffsets[0], tuple(range(head.frames))
        if virtual + head.frames * first.nbytes > file.filehandle.size:
            raise PictureError(f"{name}: should hold {head.frames} images, but the file is cut off")
    groups = _channels_of(source, len(indices) if virtual is not None else len(pages))
    return TiffStack(
        name=name,
        source=source,
        file=file,
        indices=indices,
        planes=planes_of([groups[index] for index in indices], _parts(first)),
        height=first.imagelength,
        width=first.imagewidth,
        dtype=np.dtype(first.dtype).newbyteorder("="),
        virtual=virtual,
    )


def _pages(name: str, file: tifffile.TiffFile) -> list[tifffile.TiffPage]:
    """Return all pages of a file. tifffile would follow a loop of directories for ever."""
    import tifffile  # noqa: PLC0415 - takes 50 ms, and only stacks need it

    found: list[tifffile.TiffPage] = []
    offsets: set[int] = set()
    for page in file.pages:
        if page.offset in offsets:
            raise PictureError(f"{name}: cannot be read as TIFF: its directories form a loop")
        offsets.add(page.offset)
        if isinstance(page, tifffile.TiffPage):
            found.append(page)
    return found


def _kind(page: tifffile.TiffPage) -> tuple[Any, ...]:
    return page.shape, page.dtype, page.photometric, page.planarconfig


def _described(page: tifffile.TiffPage) -> str:
    """Describe size and type of a page: 640 x 480 pixels, 3 channels, uint16."""
    channels = f", {page.samplesperpixel} channels" if page.samplesperpixel > 1 else ""
    return f"{page.imagewidth} x {page.imagelength} pixels{channels}, {page.dtype}"


def _parts(page: tifffile.TiffPage) -> list[tuple[int, ...]]:
    """Return the samples of a pixel that are restored together; alpha belongs to no part."""
    colours = 3 if page.photometric == _RGB else 1
    extras = enumerate(page.extrasamples, start=page.samplesperpixel - len(page.extrasamples))
    alpha = {index for index, kind in extras if kind in _ALPHA}
    further = [(index,) for index in range(colours, page.samplesperpixel) if index not in alpha]
    return [tuple(range(colours)), *further]


def _channels_of(source: Path | bytes, count: int) -> list[int]:
    """Return the channel of each page, by the axes that ImageJ or OME gives the file."""
    found: dict[int, tuple[int, int]] = {}
    # A file of its own: `series` may replace the pages of its file by TiffFrames, which have no tags.
    with _file(source) as file:
        for number, series in enumerate(file.series):
            # Some writers leave pages out (None), or describe pages that lie in other files.
            pages = [
                page.index if page is not None and page.parent is file else None for page in series.pages
            ]
            if len(pages) == 1 < count == math.prod(series.shape[:-2]):
                pages = list(range(count))  # one directory for all pages
            leading = next(
                (n for n in range(len(series.shape)) if math.prod(series.shape[:n]) == len(pages)), 0
            )
            at = series.axes[:leading].find("C")
            for position, index in enumerate(pages):
                if isinstance(index, int):
                    place = np.unravel_index(position, series.shape[:leading]) if at >= 0 else ()
                    found.setdefault(index, (number, int(place[at]) if at >= 0 else 0))
    numbers = {group: number for number, group in enumerate(sorted(set(found.values())))}
    return [numbers[found[index]] if index in found else 0 for index in range(count)]


def _is_decoded_by_tifffile(page: tifffile.TiffPage) -> bool:
    return page.compression in (_NONE, *_DEFLATE) and page.predictor in (_NO_PREDICTOR, _HORIZONTAL)


def _check_chunks(page: tifffile.TiffPage) -> None:
    """Raise ValueError if a strip or tile unpacks to more than it should, which tifffile would not notice."""
    most = math.prod(page.chunks) * page.dtype.itemsize if page.dtype else 0
    if most > max(_LARGE_CHUNK, 4 * page.nbytes):
        raise ValueError("strips or tiles larger than the page")
    if page.compression not in _DEFLATE:
        return
    for offset, size in zip(page.dataoffsets, page.databytecounts, strict=True):
        page.parent.filehandle.seek(offset)
        if len(zlib.decompressobj().decompress(page.parent.filehandle.read(size), most + 1)) > most:
            raise ValueError("a strip or tile that is too long")


def _decoded_by_vips(source: Path | bytes, page: int) -> Samples:
    """Return the samples of a page whose compression tifffile does not decode by itself."""
    if isinstance(source, bytes):
        return np.asarray(vips.load("tiff", source, page=page).numpy())
    with open(source, "rb") as file:
        return np.asarray(vips.load_open("tiff", file.fileno(), page=page).numpy())
