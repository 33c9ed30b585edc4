"""Opening a picture file: its bytes, its format, and whether it can be afforded, before any pixel is decoded."""

import contextlib
import mmap
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uformer.errors import PictureError
from uformer.files import one_line
from uformer.image import exif as tags
from uformer.image import formats, vips
from uformer.image.containers import is_animated
from uformer.image.exif import Encoded
from uformer.image.formats import Format

Source = str | os.PathLike[str] | bytes


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a picture may cost; a larger one is refused before its pixels are decoded."""

    max_pixels: int = 500_000_000
    """Width times height."""
    max_side: int = 1_000_000
    """Pixels."""
    max_bytes: int = 2**32
    """Size of the file."""


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A picture file whose header has been read and found good."""

    name: str
    """For messages."""
    image: Any
    """pyvips; its pixels are decoded when they are asked for."""
    data: Encoded
    format: Format
    frames: int
    """Pages or frames; 2 where there are several and it takes decoding to count them."""


@contextlib.contextmanager
def opened(source: Source, limits: Limits, *, mapped: bool = False) -> Iterator[Opened]:
    """A picture file from its path or bytes; inside, errors of libvips and a lack of memory become PictureErrors that name it.

    `mapped`: a file is not loaded, its bytes are read where they are looked at. Raises PictureError: not there, not one of our
    formats, a damaged header, or over a limit.
    """
    with contextlib.ExitStack() as stack:
        name, data = _load(source, limits, mapped=mapped)
        if isinstance(data, mmap.mmap):
            stack.callback(_close, data)
        picture_format = formats.sniff(data[:256])
        if picture_format is None:
            raise PictureError(f"{name}: not a PNG, JPEG, WebP, TIFF or AVIF picture")
        try:
            image = vips.load(f"{picture_format.operation}load_buffer", data)
            yield Opened(name=name, image=image, data=data, format=picture_format, frames=_check(name, image, data, picture_format, limits))
        except vips.ERRORS as error:
            raise PictureError(f"{name}: cannot be read as {picture_format.name}: {vips.reason(error)}") from None
        except MemoryError:
            raise PictureError(f"{name}: does not fit into memory") from None


def _close(data: mmap.mmap) -> None:
    with contextlib.suppress(BufferError):  # libvips still looks at it; it closes with the last who does
        data.close()


def _load(source: Source, limits: Limits, *, mapped: bool) -> tuple[str, Encoded]:
    """A name for messages, and the encoded bytes."""
    if isinstance(source, bytes):
        if not source:
            raise PictureError("picture: is empty")
        if len(source) > limits.max_bytes:
            raise PictureError(f"picture: larger than the limit of {limits.max_bytes} bytes")
        return "picture", source
    path = Path(source)
    name = one_line(path, 4096)
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise PictureError(f"{name}: is not a file")
        with open(path, "rb") as file:  # libvips would take "[...]" at the end of a name for options
            size = os.fstat(file.fileno()).st_size
            if size == 0:
                raise PictureError(f"{name}: is empty")
            if size > limits.max_bytes:
                raise PictureError(f"{name}: larger than the limit of {limits.max_bytes} bytes")
            return name, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if mapped else file.read(limits.max_bytes)
    except OSError as error:
        raise PictureError(f"{name}: {error.strerror or error}") from None
    except PictureError:  # which is a ValueError
        raise
    except ValueError:
        raise PictureError(f"{name!r}: is not a file name") from None


def _check(name: str, image: Any, data: Encoded, picture_format: Format, limits: Limits) -> int:
    """Refuse what is too large or cannot be given back whole; the number of frames."""
    width, height = image.width, image.height
    if max(width, height) > limits.max_side:
        raise PictureError(f"{name}: {width} x {height} pixels, a side is over the limit of {limits.max_side}")
    if width * height > limits.max_pixels:
        raise PictureError(f"{name}: {width} x {height} pixels, over the limit of {limits.max_pixels}")
    pages = vips.integer(image, "n-pages", 1)
    frames = pages if pages > 1 else 1 + is_animated(data, picture_format)
    if frames > 1:
        raise PictureError(f"{name}: holds {pages if pages > 1 else 'several'} pages or frames, expected one")
    if picture_format is formats.TIFF:
        first = tags.tiff_tags(data, (tags.DNG_VERSION, tags.NEW_SUBFILE_TYPE))
        if tags.DNG_VERSION in first or first.get(tags.NEW_SUBFILE_TYPE, (0,))[0] & 1:
            raise PictureError(f"{name}: is a camera's raw file, expected a developed picture")
    return frames
