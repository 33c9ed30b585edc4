"""Open an image file: read its bytes, detect its format and check its limits before any pixel is decoded."""

import contextlib
import mmap
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from uformer import zarr_folder
from uformer.errors import PictureError
from uformer.files import one_line
from uformer.image import extras, formats, jpeg, png, raw, raw_exif, reasons, tiff, tiff_pages, vips
from uformer.image.containers import frames
from uformer.image.deadline import within
from uformer.image.external import External, ExternalError, external
from uformer.image.formats import Encoded, Format
from uformer.image.vet import Limits, objection
from uformer.system_memory import available_memory

Source = str | os.PathLike[str] | bytes

T = TypeVar("T")

DEFAULT_LIMITS = Limits()

_LARGE = 2**26  # bytes; larger files are mapped, not loaded
_MAY_SURPRISE = 2**26  # bytes; before decoding more, check whether it fits into memory


@dataclass(frozen=True, kw_only=True)
class Opened:
    """An image file whose header has been read and accepted."""

    name: str
    """The name in messages."""
    image: Any
    """The pyvips image; its pixels are decoded on demand."""
    data: Encoded
    path: Path | None
    """Path of the file; None for bytes."""
    format: Format
    frames: int
    """Pages or frames; 2 for any AVIF sequence. Reduced copies and masks of a TIFF do not count."""
    limits: Limits
    external: External | None = None
    """The decoder of HEIC and camera raw; `image` then holds the header and metadata, but no pixels."""

    def samples(self, image: Any) -> Any:
        """The samples (H, W, C) of a pyvips image derived from this one.

        Raises PictureError if they need too much memory or time.
        """
        size = image.width * image.height
        copies = 2 if self.format in (formats.GIF, formats.WEBP, formats.AVIF) else 4 if self.external else 1
        per_pixel = image.bands * _BYTES.get(image.format, 8) * copies + 4 * min(image.bands, 3)
        per_pixel += 2 * image.bands * bool(vips.integer(self.image, "interlaced", 0))
        if size * per_pixel > _MAY_SURPRISE and size * per_pixel > (available := available_memory()):
            need, have = (f"{each / 2**30:.1f} GiB" for each in (size * per_pixel, available))
            raise PictureError(
                f"{self.name}: reading {image.width} x {image.height} pixels takes {need} of memory; "
                f"{have} are free"
            )
        if self.external is not None:
            return self.external.pixels()[..., : image.bands]
        flat = self.in_time(image, image.numpy)
        return np.reshape(flat, (image.height, image.width, image.bands))

    def in_time(self, image: Any, work: Callable[[], T]) -> T:
        """The result of `work`, which decodes a pyvips image derived from this one.

        Raises PictureError if it takes too long.
        """
        try:
            return within(self.limits.max_seconds, image, work)
        except TimeoutError:
            raise PictureError(
                f"{self.name}: decoding takes longer than the limit of {self.limits.max_seconds:g} s"
            ) from None

    def again(self) -> Any:
        """A new lazy image of the same file, to be decoded from its first row on."""
        return _loaded(self.format, self.data, self.path)

    def is_complete(self) -> bool:
        """Whether a JPEG holds all the pixels that it claims.

        If it does, its pixels stay the same with extra bytes after its scans.
        An arithmetic decoder may always read ahead, so a file with arithmetic coding counts as complete.
        Raises vips.Error for damaged data.
        """
        frame = jpeg.frame(self.data)
        if frame is None or frame.arithmetic:
            return True
        operation, image = self.format.operation, self.again()
        shown = self.in_time(image, lambda: vips.digest(image))
        other = vips.load(operation, self.in_time(image, lambda: jpeg.with_other_ends(self.data)))
        return shown == self.in_time(other, lambda: vips.digest(other))


_BYTES = {"uchar": 1, "char": 1, "ushort": 2, "short": 2, "uint": 4, "int": 4, "float": 4}


class SuspectError(PictureError):
    """A JPEG about which its decoder warns, possibly for a harmless reason."""


def examine(source: Source, limits: Limits, work: Callable[[Opened], T]) -> T:
    """The result of `work` on an opened image file.

    Raises PictureError as `opened` does, and for a truncated JPEG. libjpeg only warns if the pixels of a JPEG
    end too early. But it also warns about harmless things, such as extra bytes between two segments, which
    cameras write. Whether this file caused a warning is known, but not the warning's text (see `vips`). So a
    JPEG with warnings is opened a second time, and read if it holds all its pixels.
    """
    try:
        with opened(source, limits, strict=True) as file:
            return work(file)
    except SuspectError:
        with opened(source, limits) as file:
            if file.format is formats.JPEG and not file.is_complete():
                raise PictureError(f"{file.name}: cannot be read as JPEG: {reasons.CUT_OFF}") from None
            return work(file)


@contextlib.contextmanager
def opened(source: Source, limits: Limits, *, mapped: bool = False, strict: bool = False) -> Iterator[Opened]:
    """Open an image file from its path or bytes.

    Inside the block, errors of libvips and a lack of memory become PictureErrors that name the file.
    `mapped`: map even a small file instead of loading it. Raises PictureError if the file is missing, is not
    in a supported format, has a damaged header or exceeds a limit. `strict`: raise SuspectError for a JPEG
    about which its decoder warns.
    """
    with contextlib.ExitStack() as stack:
        name, data = _load(source, limits, mapped=mapped)
        path = None if isinstance(source, bytes) else Path(source)
        if isinstance(data, mmap.mmap):
            stack.callback(_close, data)
        camera = raw.kind(data)
        picture_format = formats.RAW if camera else formats.sniff(data[:256])
        if picture_format is None:
            raise PictureError(f"{name}: {formats.describe(data[:512])}")
        title = f"camera raw ({camera})" if camera else picture_format.name
        if command := extras.missing(picture_format):
            raise PictureError(f"{name}: is {title}, which needs an extra; run: {command}")
        if reason := objection(data, picture_format, limits):
            raise PictureError(f"{name}: cannot be read as {title}: {reason}")
        try:
            other = None
            if not picture_format.operation:
                other = stack.enter_context(external(data, picture_format, limits.max_seconds))
                image = other.placeholder()
                if camera and (exif := raw_exif.exif(data)):
                    vips.set_blob(image, "exif-data", exif)
            else:
                image = _loaded(picture_format, data, path, strict=strict and picture_format is formats.JPEG)
            count = _check(name, image, data, picture_format, limits)
            yield Opened(
                name=name,
                image=image,
                data=data,
                path=path,
                format=picture_format,
                frames=count,
                limits=limits,
                external=other,
            )
        except ExternalError as error:
            raise PictureError(f"{name}: cannot be read as {title}: {error}") from None
        except TimeoutError:
            raise PictureError(
                f"{name}: decoding takes longer than the limit of {limits.max_seconds:g} s"
            ) from None
        except vips.Error:
            kind = SuspectError if strict and picture_format is formats.JPEG else PictureError
            raise kind(
                f"{name}: cannot be read as {picture_format.name}: {reasons.why(data, picture_format)}"
            ) from None
        except MemoryError:
            raise PictureError(f"{name}: does not fit into memory") from None


def _loaded(picture_format: Format, data: Encoded, path: Path | None, *, strict: bool = False) -> Any:
    """The lazy pyvips image of a file, with TIFF colours corrected. Raises the errors of `vips.load`."""
    if picture_format is formats.TIFF and tiff.data_type(data):
        return tiff.placeholder(data)
    image = vips.load(picture_format.operation, data, path=path, strict=strict)
    return tiff.to_rgb(image, data) if picture_format is formats.TIFF else image


def _close(data: mmap.mmap) -> None:
    with contextlib.suppress(BufferError):  # libvips still uses it; it closes with its last user
        data.close()


def _load(source: Source, limits: Limits, *, mapped: bool) -> tuple[str, Encoded]:
    """A name for messages, and the encoded bytes."""
    if isinstance(source, bytes):
        _check_size("image", len(source), limits.max_bytes)
        return "image", source
    path = Path(source)
    name = one_line(path, 4096)
    try:
        return name, _contents(name, path, limits, mapped=mapped)
    except OSError as error:
        raise PictureError(f"{name}: {error.strerror or error}") from None
    except PictureError:  # a subclass of ValueError
        raise
    except ValueError:
        raise PictureError(f"{name!r}: is not a file name") from None


def _contents(name: str, path: Path, limits: Limits, *, mapped: bool) -> Encoded:
    if zarr_folder.is_meant(path):
        raise PictureError(
            f"{name}: is a Zarr, which only `uformer restore`, `degrade`, `train`, `data check` and "
            "`eval pairs` read"
        )
    if not stat.S_ISREG(path.stat().st_mode):
        raise PictureError(f"{name}: is not a file")
    with open(path, "rb") as file:  # libvips would read "[...]" at the end of a name as options
        size = os.fstat(file.fileno()).st_size
        paged = mapped and formats.sniff(file.read(16)) is formats.TIFF
        file.seek(0)
        _check_size(name, size, limits.max_stack_bytes if paged else limits.max_bytes)
        if mapped or size > _LARGE:
            return mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)
        data = file.read(_LARGE)
        _check_size(name, len(data), limits.max_bytes)
        return data


def _check_size(name: str, size: int, most: int) -> None:
    if size == 0:
        raise PictureError(f"{name}: is empty")
    if size > most:
        raise PictureError(f"{name}: is larger than the limit of {most} bytes")


def check_pixels(beginning: str, width: int, height: int, limits: Limits) -> None:
    """Raise PictureError, with this beginning, for an image with too many pixels or too long a side."""
    if max(width, height) > limits.max_side:
        raise PictureError(
            f"{beginning} {width} x {height} pixels; a side is over the limit of {limits.max_side}"
        )
    if width * height > limits.max_pixels:
        raise PictureError(f"{beginning} {width} x {height} pixels, over the limit of {limits.max_pixels}")


def _check(name: str, image: Any, data: Encoded, picture_format: Format, limits: Limits) -> int:
    """Refuse an image over a limit, and return its number of frames."""
    check_pixels(f"{name}: has", image.width, image.height, limits)
    if picture_format is formats.TIFF:
        (count, _), most = tiff_pages.count(data), limits.max_pages
    else:
        count, most = max(vips.integer(image, "n-pages", 1), frames(data, picture_format)), limits.max_frames
    if count > most:
        raise PictureError(f"{name}: holds {count} frames, over the limit of {most}")
    metadata = sum(
        vips.size(image, field) for field in ("icc-profile-data", "exif-data", "xmp-data", "iptc-data")
    )
    if picture_format is formats.PNG:  # libvips does not see all of them
        blocks = [*png.metadata(data), *(contents for _, contents in png.kept(data))]
        metadata = vips.size(image, "icc-profile-data") + sum(len(block) for block in blocks if block)
    elif picture_format is formats.JPEG:
        metadata += sum(map(len, jpeg.extended_xmp(data) + jpeg.comments(data)))
    if metadata > limits.max_metadata:
        raise PictureError(
            f"{name}: has {metadata} bytes of metadata, over the limit of {limits.max_metadata}"
        )
    return count
