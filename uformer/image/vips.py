"""libvips as this package uses it: trusted loaders only, nothing cached, its error texts unused.

libvips collects the texts of its errors and warnings in one buffer for the whole process, so a text may be another file's. Only whether an
operation raises belongs to that operation; `reasons` finds the words in the file's own bytes. pyvips decodes the buffer even where all
went well, and raises where a damaged file has left bytes there that are no text; so the buffer is kept empty.
"""

import hashlib
import mmap
from pathlib import Path
from typing import Any

import pyvips
from numpy.typing import NDArray

pyvips.block_untrusted_set(
    True
)  # a second fence: `formats` already names the one loader that may open a file
pyvips.cache_set_max(0)
pyvips.vips_lib.vips_error_freeze()  # from now on libvips writes no error texts
pyvips.vips_lib.vips_error_clear()

# What GLib's libraries log says no more than their errors, and pyvips hands it to Python's logging: if that frees an image which logs in
# turn, GLib sees a recursion and aborts the process. So it goes to a C function that does nothing, whatever it is called with.
_ALL_LEVELS, _NOTHING = (
    0xFF,
    pyvips.ffi.cast("GLogFunc", pyvips.ffi.addressof(pyvips.vips_lib, "vips_cache_get_max")),
)
for _domain in (b"VIPS", b"GLib-GObject", b"GLib"):
    pyvips.glib_lib.g_log_set_handler(_domain, _ALL_LEVELS, _NOTHING, pyvips.ffi.NULL)

Error: type[Exception] = pyvips.Error
"""What libvips raises."""

INTEGER = pyvips.GValue.gint_type
"""The type of a metadata field that is a number."""

KEEP_EXIF = int(pyvips.enums.ForeignKeep.EXIF)
KEEP_XMP = int(pyvips.enums.ForeignKeep.XMP)
KEEP_IPTC = int(pyvips.enums.ForeignKeep.IPTC)
KEEP_ICC = int(pyvips.enums.ForeignKeep.ICC)


def load(
    operation: str, data: bytes | mmap.mmap | None, *, path: Path | None = None, strict: bool = False
) -> Any:
    """A lazy pyvips image of the encoded bytes; decoding happens row by row when its pixels are asked for.

    Of a mapped file the bytes are read from `path`, as pyvips would copy the map. `strict`: what a decoder only warns of is an error
    too. Raises Error, here for a bad header, later for bad or missing pixels; OSError where the file is no longer there.
    """
    options = {"access": "sequential", "fail_on": "warning" if strict else "error"}
    if path is None or isinstance(data, bytes):
        return getattr(pyvips.Image, f"{operation}load_buffer")(data, **options)
    with open(path, "rb") as file:
        return load_open(operation, file.fileno(), **options)


def load_open(operation: str, descriptor: int, **options: Any) -> Any:
    """As `load`, of an open file from its present position on; the image holds a descriptor of its own."""
    options = {"access": "sequential", "fail_on": "error", **options}
    return getattr(pyvips.Image, f"{operation}load_source")(
        pyvips.Source.new_from_descriptor(descriptor), **options
    )


def save(image: Any, saver: str, options: dict[str, Any]) -> bytes:
    """The encoded bytes of a pyvips image. Raises Error."""
    return bytes(getattr(image, saver)(**options))


_ROWS = 64  # decoded at a time

_KINDS = {  # by numpy's name of a type: libvips' name, and what gray and RGB of it are called
    "uint8": ("uchar", "b-w", "srgb"),
    "uint16": ("ushort", "grey16", "rgb16"),
    "float32": ("float", "b-w", "scrgb"),
}


def from_samples(samples: NDArray[Any]) -> Any:
    """A pyvips image over (H, W, C) samples of uint8, uint16 or float32; 1 or 2 channels are gray, 3 or 4 are RGB."""
    height, width, bands = samples.shape
    kind, gray, rgb = _KINDS[samples.dtype.name]
    image = pyvips.Image.new_from_memory(samples.data, width, height, bands, kind)
    return image.copy(interpretation=gray if bands < 3 else rgb)


def blank(width: int, height: int, bands: int, *, wide: bool) -> Any:
    """A black pyvips image of 8 bits, or 16 if `wide`, which takes no memory."""
    _, gray, rgb = _KINDS["uint16" if wide else "uint8"]
    image = pyvips.Image.black(width, height, bands=bands).cast("ushort" if wide else "uchar")
    return image.copy(interpretation=gray if bands < 3 else rgb)


def profile(name: str) -> bytes:
    """A colour profile that libvips holds: "srgb" or "p3" (Display P3)."""
    return bytes(pyvips.Operation.call("profile_load", name))


def bare(image: Any) -> Any:
    """The image as `from_samples` would make it of its samples: without the metadata that its file says."""
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
    """What fetches parts of an image; used by one thread alone, and in reading order where the image was loaded from a file."""
    return pyvips.Region.new(image)


def digest(image: Any) -> bytes:
    """A hash of the samples of an image, which are decoded from top to bottom and not kept. Raises Error."""
    rows, found = region(image), hashlib.sha256()
    for top in range(0, image.height, _ROWS):
        found.update(rows.fetch(0, top, image.width, min(_ROWS, image.height - top)))
    return found.digest()


def kind(image: Any) -> str:
    """numpy's name of the type of an image's samples."""
    return {"uchar": "uint8", "ushort": "uint16", "float": "float32", "double": "float64"}.get(
        image.format, image.format
    )


def blob(image: Any, field: str) -> bytes | None:
    """A binary metadata field, None where absent or empty."""
    return (bytes(image.get(field)) or None) if image.get_typeof(field) == pyvips.GValue.blob_type else None


def size(image: Any, field: str) -> int:
    """Bytes of a binary metadata field, 0 where absent."""
    return len(blob(image, field) or b"")


def set_blob(image: Any, field: str, value: bytes) -> None:
    """Set a binary metadata field of an image that this process made."""
    image.set_type(pyvips.GValue.blob_type, field, value)


def integer(image: Any, field: str, default: int) -> int:
    """An integer metadata field, `default` where absent."""
    return int(image.get(field)) if image.get_typeof(field) else default


def text(image: Any, field: str) -> str:
    """A text field, empty where absent."""
    return str(image.get(field)) if image.get_typeof(field) else ""
