"""Images larger than memory: read rows from a file on demand, and write rows as they arrive.

A part of an image is an `Image` of some of its rows. A frame describes the whole image: it is an `Image` of
the full size whose pixels and alpha are zeros that take no memory. Both sides use temporary files: reading
needs one of the size of the decoded samples if the image must be rotated or flipped vertically, and writing
needs one of the size of the written samples.
"""

import contextlib
import mmap
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from uformer.errors import PictureError
from uformer.files import atomic_path, one_line
from uformer.image import exif_block, formats, value_range, vips
from uformer.image.carry import MetadataPolicy
from uformer.image.formats import Format
from uformer.image.gather import metadata_of
from uformer.image.image import Image, Metadata, Pixels
from uformer.image.interpret import as_image, bits_of, header_of, refuse_several, to_gray_or_rgb
from uformer.image.opening import DEFAULT_LIMITS, Opened, examine, opened
from uformer.image.prepare import (
    behind,
    check,
    dressed,
    embedded,
    into_tiff,
    layout,
    saver_options,
)
from uformer.image.samples import Samples, quantised, scaled, turned
from uformer.image.scratch import scratch
from uformer.image.vet import Limits
from uformer.notices import Notify, warn
from uformer.staging import staging

BY_REGIONS = (formats.PNG.suffixes[0], formats.JPEG.suffixes[0], formats.TIFF.suffixes[0])
"""Suffixes of the formats that are read by regions; other decoders hold the whole image in memory."""

_ROWS = 64  # rows decoded at a time
_BACK = 128  # rows above the last requested ones that can be requested again without another decoding
_FULL = 2**20  # bytes; with less free space, a failed encoder has filled the disk
_HEAD = 2**16  # bytes at the beginning of a PNG or JPEG in which metadata is inserted


class Regions:
    """The upright rows of an image file; created by `regions`, for use by one thread.

    Each row is decoded once if they are requested from top to bottom; a request may go back a few rows.
    """

    frame: Image

    def __init__(self, file: Opened, scratch: IO[bytes]) -> None:
        self._file, self._scratch = file, scratch
        metadata, self._orientation = metadata_of(file)
        self._image, metadata = to_gray_or_rgb(file.name, file.image, metadata)
        # One region for all rows, because a decoder that goes from top to bottom serves only one.
        self._region = vips.region(self._image)
        self._kind = np.dtype(vips.kind(self._image))
        self._held: Samples = np.empty((0, self._image.width, self._image.bands), self._kind)
        self._first = 0  # number of the first row in `_held`
        self._stored_rows = 0
        bands, turn = self._image.bands, self._orientation >= 5
        shape = (self._image.width, self._image.height) if turn else (self._image.height, self._image.width)
        alpha = (
            np.broadcast_to(np.zeros((), self._kind if self._kind.kind == "u" else np.float32), shape)
            if bands in (2, 4)
            else None
        )
        pixels = np.broadcast_to(np.float32(0), (*shape, 1 if bands < 3 else 3))
        self.frame = as_image(file, metadata, self._kind, pixels, alpha)

    def part(self, first: int, last: int) -> Image:
        """Rows `first` to `last` - 1, as `read` returns them. Raises PictureError for damaged data."""
        samples = self._samples(first, last)
        return as_image(
            self._file,
            self.frame.metadata,
            self._kind,
            *scaled(self._file.name, samples, self.frame.channels, bits_of(self._file)),
        )

    def _samples(self, first: int, last: int) -> Samples:
        """The upright samples of these rows."""
        if self._orientation > 2:
            return self._stored(first, last)
        if first < self._first:  # decoding cannot go back, so start again
            image, _ = to_gray_or_rgb(self._file.name, self._file.again(), Metadata())
            self._region, self._held, self._first = vips.region(image), self._held[:0], 0
        end = self._first + len(self._held)
        oldest = max(first - _BACK, self._first) if first <= end else first
        kept = self._held[oldest - self._first :]
        at = max(end, first)
        fresh = [self._decoded(start, min(start + _ROWS, last)) for start in range(at, last, _ROWS)]
        self._held, self._first = np.concatenate([kept, *fresh]), oldest
        return turned(self._held[first - oldest : last - oldest], self._orientation)

    def _decoded(self, first: int, last: int) -> Samples:
        width, bands = self._image.width, self._image.bands
        return np.frombuffer(self._region.fetch(0, first, width, last - first), self._kind).reshape(
            -1, width, bands
        )

    def _stored(self, first: int, last: int) -> Samples:
        """The upright samples of rows that are stored as another rectangle of the file.

        They are read from the scratch file, because decoding goes only from top to bottom.
        """
        height, width, bands = self._image.height, self._image.width, self._image.bands
        for row in range(self._stored_rows, height, _ROWS):
            self._scratch.write(np.ascontiguousarray(self._decoded(row, min(row + _ROWS, height))).data)
            self._stored_rows = height
        rows, columns = (0, height), (0, width)
        if self._orientation in (3, 4):
            rows = (height - last, height - first)
        else:
            columns = (width - last, width - first) if self._orientation in (7, 8) else (first, last)
        samples: Samples = np.empty((rows[1] - rows[0], columns[1] - columns[0], bands), self._kind)
        for row, out in enumerate(samples, start=rows[0]):
            self._scratch.seek((row * width + columns[0]) * bands * self._kind.itemsize)
            self._scratch.readinto(out.data)  # type: ignore[attr-defined]
        return turned(samples, self._orientation)

    def sampled(self) -> Pixels:
        """The values of the image from which its range is found, as `value_range.sampled` returns them."""
        height, width = self.frame.pixels.shape[:2]
        every = value_range.step(height, width)
        parts = []
        for first in range(0, height, _ROWS):
            rows = self.part(first, min(first + _ROWS, height)).values
            parts.append(rows[-first % every :: every, ::every].copy())
        return np.concatenate(parts)

    def scan(self) -> list[str]:
        """Decode all rows to check them, and return the notices. Raises PictureError for damaged data."""
        refuse_several(self._file)
        for first in range(0, self._image.height, _ROWS):
            samples = self._decoded(first, min(first + _ROWS, self._image.height))
            if self._kind.kind == "f":  # raises for values that are not finite
                scaled(self._file.name, samples, self.frame.channels, 32)
        return list(header_of(self._file).notes)


@contextlib.contextmanager
def regions(
    source: str | os.PathLike[str], *, folder: Path, limits: Limits = DEFAULT_LIMITS, notify: Notify = warn
) -> Iterator[Regions]:
    """The rows of an image file in one of the formats BY_REGIONS; notices and errors are those of `read`.

    The whole file is decoded once before, so that damage is found at once and not when half of it is
    restored. `folder`: for temporary files. A progressive JPEG or interlaced PNG is still decoded as a whole.
    """
    with _nameless(folder) as unused:
        notes = examine(
            source, limits, lambda file: file.in_time(file.image, lambda: Regions(file, unused).scan())
        )
    with opened(source, limits, mapped=True) as file, _nameless(folder) as temporary:
        if file.format.suffixes[0] not in BY_REGIONS:
            raise PictureError(f"{file.name}: {file.format.name} cannot be read by regions")
        for note in notes:
            notify(f"{file.name}: {note}")
        yield Regions(file, temporary)


@contextlib.contextmanager
def _nameless(folder: Path) -> Iterator[IO[bytes]]:
    """A temporary file in a folder, which leaves nothing behind."""
    with staging(folder) as inside, tempfile.TemporaryFile(dir=inside) as file:
        yield file


def write_parts(
    frame: Image,
    parts: Iterable[tuple[int, Image]],
    path: Path,
    *,
    metadata: MetadataPolicy = "keep",
    quality: int | None = None,
    notify: Notify = warn,
) -> None:
    """Write an image whose rows arrive in parts, each with the number of its first row; parts may repeat.

    The file is the same as `write` makes of the whole image, and it appears whole or not at all. Raises the
    errors of `write`.
    """
    name = one_line(path, 4096)
    target = formats.by_suffix(path.suffix)
    try:
        shown = check(frame, target, metadata, notify=notify)
        with atomic_path(path) as temporary:
            folder = (
                temporary.parent / "parts"
            )  # its name differs from that of `temporary`, as it has no suffix
            folder.mkdir()
            encoded = folder / f"encoded{path.suffix}"
            picture = dressed(_through_file(frame, parts, target, shown.icc, folder), target, shown)
            try:
                getattr(picture, f"{target.operation}save")(
                    str(encoded), **saver_options(frame, target, shown, quality=quality)
                )
            except vips.Error:
                free = shutil.disk_usage(encoded.parent).free
                why = f"only {free:,} bytes are free there" if free < _FULL else "try another format"
                raise PictureError(f"the {target.name} encoder failed; {why}") from None
            _finish(encoded, temporary, frame, target, shown)
    except PictureError as error:
        text = str(error)
        raise PictureError(text if text.startswith(name) else f"{name}: {text}") from None
    except OSError as error:
        raise PictureError(f"{name}: cannot be written: {error.strerror or error}") from None


def _through_file(
    frame: Image, parts: Iterable[tuple[int, Image]], target: Format, icc: bytes | None, folder: Path
) -> Any:
    """A pyvips image of the samples to write, which are stored in a file."""
    bits, colours = layout(frame, target, icc)
    channels = colours + (frame.alpha is not None)
    kind = np.dtype("u1" if bits == 8 else "f4" if bits == 32 else "u2")
    row = frame.width * channels * kind.itemsize
    if row * frame.height > (free := shutil.disk_usage(folder).free):
        raise PictureError(
            f"restoring it needs {row * frame.height / 1e9:.1f} GB of disk space there; "
            f"{free / 1e9:.1f} GB are free"
        )
    with scratch(folder, (frame.height, frame.width, channels), kind) as file:
        for first, part in parts:
            if not np.isfinite(part.pixels).all():
                raise PictureError("pixels that are not finite (NaN or infinity) cannot be written")
            file.write(first, quantised(part, bits, channels=colours))
        return file.image()


def _finish(encoded: Path, path: Path, frame: Image, target: Format, shown: Metadata) -> None:
    """Move the encoded file to `path`, and add the metadata that libvips does not write."""
    if target is formats.TIFF:
        encoded.replace(path)
        with open(path, "rb+") as file:
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                change = exif_block.tiff_change(data, **into_tiff(shown))
            if change is not None:
                position, pointer, tail = change
                file.seek(position)
                file.write(pointer)
                file.seek(0, os.SEEK_END)
                file.write(tail)
        return
    with open(encoded, "rb") as file, open(path, "wb") as out:
        whole = target not in (formats.PNG, formats.JPEG)
        size = os.fstat(file.fileno()).st_size
        out.write(embedded(file.read() if whole else file.read(_HEAD), frame, target, shown, size=size))
        shutil.copyfileobj(file, out, 2**20)
        out.write(behind(shown))
