"""libvips as this package uses it: only trusted loaders, no cache, and no error texts.

libvips collects the texts of its errors and warnings in one buffer for the whole process, so a text may be
about another file. Only the fact that an operation raises belongs to that operation; `reasons` finds the
cause in the file's own bytes. pyvips decodes the buffer even after success, and raises if a damaged file has
left bytes in it that are not text. So the buffer is kept empty.
"""

import hashlib
import mmap
import os
from pathlib import Path
from typing import Any

import pyvips
from numpy.typing import NDArray

from uformer.processors import thread_limit

pyvips.block_untrusted_set(True)  # a second barrier: `formats` already selects the one loader for a file
pyvips.cache_set_max(0)
pyvips.vips_lib.vips_error_freeze()  # from now on libvips writes no error texts
pyvips.vips_lib.vips_error_clear()

# The logs of GLib's libraries say no more than their errors, and pyvips passes them to Python's logging. If
# that frees an image that logs in turn, GLib detects a recursion and aborts the process. So the logs go to a
# C function that does nothing, whatever its arguments.
_ALL_LEVELS, _NOTHING = (
    0xFF,
    pyvips.ffi.cast("GLogFunc", pyvips.ffi.addressof(pyvips.vips_lib, "vips_cache_get_max")),
)
for _domain in (b"VIPS", b"GLib-GObject", b"GLib"):
    pyvips.glib_lib.g_log_set_handler(_domain, _ALL_LEVELS, _NOTHING, pyvips.ffi.NULL)


def use_threads(count: int) -> None:
    """Set the number of threads with which libvips works on one image, in this process."""
    pyvips.vips_lib.vips_concurrency_set(count)


if (_limit := thread_limit()) is not None and "VIPS_CONCURRENCY" not in os.environ:
    use_threads(_limit)

Error: type[Exception] = pyvips.Error
"""The exception for every error of libvips."""

INTEGER = pyvips.GValue.gint_type
"""The type of an integer metadata field."""

KEEP_EXIF = int(pyvips.enums.ForeignKeep.EXIF)
KEEP_XMP = int(pyvips.enums.ForeignKeep.XMP)
KEEP_IPTC = int(pyvips.enums.ForeignKeep.IPTC)
KEEP_ICC = int(pyvips.enums.ForeignKeep.ICC)


def load(
    operation: str,
    data: bytes | mmap.mmap | None,
    *,
    path: Path | None = None,
    strict: bool = False,
    **options: Any,
) -> Any:
    """A lazy pyvips image of the encoded bytes, which are decoded row by row on demand.

    A mapped file is read from `path`, because pyvips would copy the map. `strict`: a decoder's warning is an
    error too. Raises Error, here for a bad header, later for bad or missing pixels, and OSError if the file
    has disappeared.
    """
    options = {"access": "sequential", "fail_on": "warning" if strict else "error", **options}
    if path is None or isinstance(data, bytes):
        return getattr(pyvips.Image, f"{operation}load_buffer")(data, **options)
    with open(path, "rb") as file:
        return load_open(operation, file.fileno(), **options)


def load_open(operation: str, descriptor: int, **options: Any) -> Any:
    """Like `load`, for an open file from its current position on; the image holds its own descriptor."""
    options = {"access": "sequential", "fail_on": "error", **options}
    return getattr(pyvips.Image, f"{operation}load_source")(
        pyvips.Source.new_from_descriptor(descriptor), **options
    )


def save(image: Any, saver: str, options: dict[str, Any]) -> bytes:
    """The encoded bytes of a pyvips image. Raises Error."""
    return bytes(getattr(image, saver)(**options))


def turned_jpeg(data: bytes, orientation: int, *, quality: int) -> tuple[bytes, int, int]:
    """A small JPEG, turned upright from an EXIF orientation, and its width and height. Raises Error."""
    image = pyvips.Image.jpegload_buffer(data, fail_on="error").copy_memory()
    image.set_type(INTEGER, "orientation", orientation)
    image = image.autorot()
    return (
        bytes(image.jpegsave_buffer(Q=quality, keep="none", optimize_coding=True)),
        image.width,
        image.height,
    )


_ROWS = 64  # rows decoded at a time

_KINDS = {  # numpy dtype -> libvips format, and the interpretations for gray and RGB
    "uint8": ("uchar", "b-w", "srgb"),
    "uint16": ("ushort", "grey16", "rgb16"),
    "float32": ("float", "b-w", "scrgb"),
}


def from_samples(samples: NDArray[Any]) -> Any:
    """A pyvips image over (H, W, C) samples of uint8, uint16 or float32; C: 1 or 2 gray, 3 or 4 RGB."""
    height, width, bands = samples.shape
    kind, gray, rgb = _KINDS[samples.dtype.name]
    image = pyvips.Image.new_from_memory(samples.data, width, height, bands, kind)
    return image.copy(interpretation=gray if bands < 3 else rgb)


def blank(width: int, height: int, bands: int, *, wide: bool) -> Any:
    """A black pyvips image of 8 bits, or 16 if `wide`. It needs no memory for its pixels."""
    _, gray, rgb = _KINDS["uint16" if wide else "uint8"]
    image = pyvips.Image.black(width, height, bands=bands).cast("ushort" if wide else "uchar")
    return image.copy(interpretation=gray if bands < 3 else rgb)


def bare(image: Any) -> Any:
    """The image as `from_samples` would make it of its samples, without its file's metadata."""
    _, gray, rgb = next(names for names in _KINDS.values() if names[0] == image.format)
    image = image.copy(interpretation=gray if image.bands < 3 else rgb, xres=1.0, yres=1.0)
    for field in image.get_fields():
        if field not in _ESSENTIAL:
            image.remove(field)
    return image


_ESSENTIAL = {
    "width",
    "height",
    "bands",
    "format",
    "coding",
    "interpretation",
    "xoffset",
    "yoffset",
    "xres",
    "yres",
    "filename",
}


def region(image: Any) -> Any:
    """A pyvips region, which fetches parts of an image.

    It is for one thread. If the image was loaded from a file, its parts must be fetched from top to bottom.
    """
    return pyvips.Region.new(image)


def digest(image: Any) -> bytes:
    """A hash of an image's samples, which are decoded from top to bottom and not kept. Raises Error."""
    rows, found = region(image), hashlib.sha256()
    for top in range(0, image.height, _ROWS):
        found.update(rows.fetch(0, top, image.width, min(_ROWS, image.height - top)))
    return found.digest()


def kind(image: Any) -> str:
    """The name of the numpy dtype of an image's samples."""
    return {"uchar": "uint8", "ushort": "uint16", "float": "float32", "double": "float64"}.get(
        image.format, image.format
    )


def blob(image: Any, field: str) -> bytes | None:
    """A binary metadata field; None if absent or empty."""
    return (bytes(image.get(field)) or None) if image.get_typeof(field) == pyvips.GValue.blob_type else None


def size(image: Any, field: str) -> int:
    """The size in bytes of a binary metadata field; 0 if absent."""
    return len(blob(image, field) or b"")


def set_blob(image: Any, field: str, value: bytes) -> None:
    """Set a binary metadata field of an image that this process created."""
    image.set_type(pyvips.GValue.blob_type, field, value)


def integer(image: Any, field: str, default: int) -> int:
    """An integer metadata field; `default` if absent."""
    return int(image.get(field)) if image.get_typeof(field) else default


def text(image: Any, field: str) -> str:
    """A text field; empty if absent."""
    return str(image.get(field)) if image.get_typeof(field) else ""
