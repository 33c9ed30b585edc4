"""The image formats: how each is recognised, what it can hold, and how it is written."""

import mmap
from dataclasses import dataclass
from typing import Any

from uformer.errors import PictureError

Encoded = bytes | mmap.mmap
"""The bytes of a file, loaded or mapped."""


@dataclass(frozen=True, kw_only=True)
class Format:
    """One image format and the libvips operations that open and write it."""

    name: str
    suffixes: tuple[str, ...]
    """Images read from this format get the first one."""
    operation: str
    """The name in libvips: `<operation>load_buffer`, `<operation>save_buffer`."""
    bits: int
    """Maximum bits per sample that can be written."""
    lossless: bool = False
    """Whether writing with `options` is lossless."""
    floats: bool = False
    """Whether samples can be written as 32-bit floating-point numbers."""
    gray: bool
    """Whether one channel can be stored as such; otherwise it is repeated for R, G and B."""
    alpha: bool
    max_side: int
    """Longest side that the format (or its encoder) can hold, in pixels."""
    options: dict[str, Any]
    """Options of the saver."""
    lossless_options: dict[str, Any] | None = None
    """Options to use instead of `options` for lossless output."""
    becomes: str = ""
    """For a read-only format: the default suffix of an output."""

    @property
    def output_suffix(self) -> str:
        """The default suffix of an output."""
        return self.becomes or self.suffixes[0]


# At these qualities, JPEG, WebP and AVIF are equally close to a photograph (41 dB PSNR).
# More effort makes AVIF ten times slower and hardly smaller.
PNG = Format(
    name="PNG", suffixes=(".png",), operation="png", bits=16, lossless=True, gray=True, alpha=True,
    max_side=2**31 - 1,
    options={"compression": 6, "filter": "all"},
)  # fmt: skip
JPEG = Format(
    name="JPEG", suffixes=(".jpg", ".jpeg"), operation="jpeg", bits=8, gray=True, alpha=False,
    max_side=65_500,
    options={"Q": 95, "subsample_mode": "off", "optimize_coding": True},
)  # fmt: skip
WEBP = Format(
    name="WebP", suffixes=(".webp",), operation="webp", bits=8, gray=False, alpha=True, max_side=16_383,
    options={"Q": 98, "smart_subsample": True, "alpha_q": 100, "exact": True},  # alpha is lossless here too
    lossless_options={"lossless": True, "Q": 75, "exact": True},  # Q is effort here
)  # fmt: skip
TIFF = Format(
    name="TIFF", suffixes=(".tif", ".tiff"), operation="tiff", bits=16, floats=True, lossless=True, gray=True,
    alpha=True, max_side=2**31 - 1,
    options={"compression": "deflate", "predictor": "horizontal", "level": 4},  # 6 is slower, hardly smaller
)  # fmt: skip
AVIF = Format(
    name="AVIF", suffixes=(".avif",), operation="heif", bits=12, gray=False, alpha=True, max_side=16_384,
    options={"compression": "av1", "Q": 90, "subsample_mode": "off", "effort": 2},
    lossless_options={"compression": "av1", "lossless": True, "effort": 2},
)  # fmt: skip

# Read-only formats. libvips decodes GIF, but not HEIC and camera raw: see `external`.
GIF = Format(
    name="GIF", suffixes=(".gif",), operation="gif", bits=8, lossless=True, gray=False, alpha=True,
    max_side=0, options={}, becomes=".png",
)  # fmt: skip
HEIC = Format(
    name="HEIC", suffixes=(".heic", ".heif", ".hif"), operation="", bits=16, gray=False, alpha=True,
    max_side=0, options={}, becomes=".jpg",
)  # fmt: skip
RAW = Format(
    name="camera raw", operation="", bits=16, lossless=True, gray=True, alpha=False, max_side=0, options={},
    suffixes=(
        ".dng", ".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".srf", ".sr2", ".raf", ".orf", ".rw2",
        ".pef", ".srw", ".3fr", ".iiq", ".mrw", ".x3f", ".erf", ".mef", ".mos", ".dcr", ".kdc", ".raw",
        ".rwl",
    ),
    becomes=".tif",
)  # fmt: skip

# A folder of many files, read and written plane by plane, and not by libvips: see `zarr_stack`.
ZARR = Format(
    name="Zarr", suffixes=(".zarr",), operation="", bits=16, lossless=True, gray=True, alpha=True,
    max_side=2**31 - 1, options={},
)  # fmt: skip

# Written for camera raw only, and not by libvips: see `dng`. As an input, a DNG is camera raw like any other.
DNG = Format(
    name="DNG", suffixes=(".dng",), operation="", bits=16, lossless=True, gray=False, alpha=False,
    max_side=2**31 - 1, options={},
)  # fmt: skip

LOWEST_QUALITY = 90
"""Lowest quality of a written JPEG, even if the input was lower: else compression would restore the removed
blocks."""

FORMATS = (PNG, JPEG, WEBP, TIFF, AVIF)
SUFFIXES = tuple(suffix for each in FORMATS for suffix in each.suffixes)
"""Every suffix that can be read and written without an extra, in lower case."""

READ_ONLY = (GIF, HEIC, RAW)
"""Formats that are not written (but see DNG). HEIC and camera raw need an extra to be read."""

NONE_OF_OURS = "not a PNG, JPEG, WebP, TIFF or AVIF image"

_AVIF_BRANDS = (b"avif", b"avis")
_HEIC_BRANDS = (b"hei", b"hev", b"mif1", b"msf1")

_OTHERS = (
    (0, b"BM", "BMP"),
    (0, b"\xff\x0a", "JPEG XL"),
    (0, b"\0\0\0\x0cJXL ", "JPEG XL"),
    (0, b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000"),
    (0, b"II\xbc", "JPEG XR"),
    (0, b"8BPS", "Photoshop"),
    (0, b"gimp xcf", "GIMP"),
    (0, b"%!PS", "a PostScript document"),
    (0, b"%PDF", "a PDF document"),
    (0, b"\x76\x2f\x31\x01", "OpenEXR"),
    (0, b"#?R", "Radiance HDR"),
    (0, b"SDPX", "DPX"),
    (0, b"XPDS", "DPX"),
    (0, b"DDS ", "DirectDraw"),
    (0, b"BPG\xfb", "BPG"),
    (0, b"icns", "ICNS"),
    (0, b"\0\0\1\0", "ICO"),
    (0, b"qoif", "QOI"),
    (0, b"SIMPLE  =", "FITS"),
    (128, b"DICM", "DICOM"),
    (4, b"ftyp", "a video"),
    (0, b"\x1a\x45\xdf\xa3", "a video"),
    (0, b"PK\3\4", "a ZIP archive"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"\x93NUMPY", "a NumPy array"),
    (0, b"\x89HDF", "an HDF5 file"),
)
"""Position and value of the bytes that mark other files that people try, and their names."""

_IMAGES = {
    "BMP",
    "JPEG XL",
    "JPEG 2000",
    "JPEG XR",
    "BPG",
    "DPX",
    "DirectDraw",
    "GIMP",
    "ICNS",
    "Photoshop",
    "OpenEXR",
    "Radiance HDR",
    "ICO",
    "QOI",
    "FITS",
    "DICOM",
    "SVG",
    "Netpbm",
}


def supports(suffix: str) -> bool:
    """Whether all images can be read and written with this suffix (".png", any case)."""
    return suffix.lower() in SUFFIXES


def can_write(suffix: str) -> bool:
    """Whether an image can be written with this suffix (".png", any case).

    .dng is for camera raw only, and .zarr for Zarr.
    """
    return supports(suffix) or suffix.lower() in (*DNG.suffixes, *ZARR.suffixes)


def read_only(suffix: str) -> Format | None:
    """The read-only format of a suffix (".heic", any case); None for any other suffix."""
    return next((each for each in READ_ONLY if suffix.lower() in each.suffixes), None)


def is_known(suffix: str) -> bool:
    """Whether images with this suffix (".heic", any case) can be read, possibly with an extra."""
    return supports(suffix) or suffix.lower() in ZARR.suffixes or read_only(suffix) is not None


def output_suffix(suffix: str) -> str:
    """The default suffix of an output: that of the input, or another if the format cannot be written."""
    found = read_only(suffix)
    return found.becomes if found else suffix


def by_suffix(suffix: str) -> Format:
    """The format that is written for a suffix (".png", any case). Raises PictureError for an unknown one."""
    for each in (*FORMATS, DNG, ZARR):
        if suffix.lower() in each.suffixes:
            return each
    raise PictureError(f"suffix {suffix!r} is not one of {', '.join(SUFFIXES)}")


def sniff(data: bytes) -> Format | None:
    """The format of a file by its first bytes, whatever its name; None if it is not supported."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return PNG
    if data.startswith(b"\xff\xd8\xff"):
        return JPEG
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return WEBP
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return GIF
    if data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return TIFF
    if data[4:8] == b"ftyp":
        box = data[8 : min(int.from_bytes(data[:4], "big"), 256)]
        if any(box[i : i + 4] in _AVIF_BRANDS for i in range(0, len(box), 4)):
            return AVIF
        if data[8:12].startswith(_HEIC_BRANDS):
            return HEIC
    return None


def describe(data: bytes) -> str:
    """The error for an unsupported file, by its first 512 bytes: what it seems to be, and what to do."""
    kind = _kind(data)
    if kind in _IMAGES:
        article = "an" if kind in ("ICNS", "ICO", "OpenEXR", "SVG") else "a"
        return f"is {article} {kind} image, {NONE_OF_OURS}; convert it to one of these first"
    return f"is {kind}, {NONE_OF_OURS}" if kind else NONE_OF_OURS


def is_image(data: bytes) -> bool:
    """Whether a file is an image, from its first 512 bytes. SVG, which is text, does not count."""
    return sniff(data[:256]) is not None or _kind(data) in _IMAGES - {"SVG"}


def _kind(data: bytes) -> str:
    for position, mark, name in _OTHERS:
        if data[position : position + len(mark)] == mark:
            return name
    text = data.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if b"<svg" in text:
        return "SVG"
    if text.startswith((b"<!doctype html", b"<html", b"<head")):
        return "a web page (a failed download?)"
    if text.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer (run git lfs pull)"
    if data[:1] == b"P" and data[1:2] in b"1234567Ff" and data[2:3].isspace():
        return "Netpbm"
    return ""
