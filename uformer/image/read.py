"""Reading a picture file, once its header has shown that it can be afforded."""

import contextlib
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uformer.errors import PictureError
from uformer.files import one_line
from uformer.image import exif as tags
from uformer.image import formats, vips
from uformer.image.containers import is_animated, is_lossless_webp
from uformer.image.formats import Format
from uformer.image.image import Alpha, Image, Metadata, Pixels

Samples = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a picture may cost; a larger one is refused before its pixels are decoded."""

    max_pixels: int = 2**28
    """Width times height."""
    max_side: int = 100_000
    """Pixels."""
    max_bytes: int = 2**31
    """Size of the file."""


DEFAULT_LIMITS = Limits()


def read(source: str | os.PathLike[str] | bytes, *, limits: Limits = DEFAULT_LIMITS) -> Image:
    """Read a PNG, JPEG, WebP, TIFF or AVIF picture from a path or from its bytes; what it is decides its contents, not its name.

    A palette comes out as RGB. CMYK and Lab come out as sRGB, through the embedded profile, which is then dropped. Channels that are
    all equal (in a lossy file: within one level) come out as gray where the format has no gray (WebP, AVIF). Float TIFF must lie in
    [0, 1] and counts as 16-bit, AVIF of 10 or 12 bits too. A file of several pages or frames is refused: writing one of them would
    lose the others.

    Raises PictureError: not there, not one of these formats, damaged, cut off, or over a limit.
    """
    name, image, data, picture_format = _open(source, limits)
    with _naming(name, picture_format):
        return _decode(name, image, data, picture_format)


def read_samples(source: str | os.PathLike[str] | bytes, *, limits: Limits = DEFAULT_LIMITS) -> Samples:
    """The samples of a picture file, upright: (H, W, C) uint8 or uint16, alpha left out, no metadata.

    As `read`, errors too, with two differences: TIFF files of any number of channels come out whole (of more than four, or of three
    and more that are not said to be RGB), and gray pictures in formats that have no gray stay RGB. Float TIFF in [0, 1] becomes
    uint16.
    """
    name, image, data, picture_format = _open(source, limits)
    with _naming(name, picture_format):
        many = image.bands > 4 or (image.bands > 2 and image.interpretation in ("b-w", "grey16"))
        if not many or image.interpretation == "cmyk":
            image, _ = _to_gray_or_rgb(name, image, Metadata())
            if image.bands in (2, 4):
                image = image.extract_band(0, n=image.bands - 1)
        bits = vips.integer(image, "bits-per-sample", 16) if picture_format is formats.AVIF else 16
        orientation = _metadata(image, data, picture_format)[1]
        samples = _turned(image.numpy().reshape(image.height, image.width, image.bands), orientation)
        if samples.dtype == np.uint8 or (samples.dtype == np.uint16 and bits == 16):
            return np.ascontiguousarray(samples)
        pixels, _ = _scaled(name, samples, samples.shape[2], bits)
        return np.rint(pixels * 65535).astype(np.uint16)


def _open(source: str | os.PathLike[str] | bytes, limits: Limits) -> tuple[str, Any, bytes, Format]:
    """A name for messages, the picture whose pixels are not decoded yet, the encoded bytes and their format."""
    name, data = _load(source, limits)
    picture_format = formats.sniff(data)
    if picture_format is None:
        raise PictureError(f"{name}: not a PNG, JPEG, WebP, TIFF or AVIF picture")
    with _naming(name, picture_format):
        image = vips.load(f"{picture_format.operation}load_buffer", data)
        _check_header(name, image, data, picture_format, limits)
        return name, image, data, picture_format


@contextlib.contextmanager
def _naming(name: str, picture_format: Format) -> Iterator[None]:
    """Errors of libvips, and a lack of memory, become PictureErrors that name the file."""
    try:
        yield
    except vips.ERRORS as error:
        raise PictureError(f"{name}: cannot be read as {picture_format.name}: {vips.reason(error)}") from None
    except MemoryError:
        raise PictureError(f"{name}: does not fit into memory") from None


def _load(source: str | os.PathLike[str] | bytes, limits: Limits) -> tuple[str, bytes]:
    """A name for messages, and the encoded bytes."""
    if isinstance(source, bytes):
        name, data = "picture", source
    else:
        path = Path(source)
        name = one_line(path, 4096)
        try:
            if not stat.S_ISREG(path.stat().st_mode):
                raise PictureError(f"{name}: is not a file")
            with open(path, "rb") as file:  # libvips would take "[...]" at the end of a name for options
                data = file.read(limits.max_bytes + 1)
        except OSError as error:
            raise PictureError(f"{name}: {error.strerror or error}") from None
        except ValueError:
            raise PictureError(f"{name!r}: is not a file name") from None
    if not data:
        raise PictureError(f"{name}: is empty")
    if len(data) > limits.max_bytes:
        raise PictureError(f"{name}: larger than the limit of {limits.max_bytes} bytes")
    return name, data


def _check_header(name: str, image: Any, data: bytes, picture_format: Format, limits: Limits) -> None:
    """Refuse what is too large or cannot be given back whole."""
    width, height = image.width, image.height
    if max(width, height) > limits.max_side:
        raise PictureError(f"{name}: {width} x {height} pixels, a side is over the limit of {limits.max_side}")
    if width * height > limits.max_pixels:
        raise PictureError(f"{name}: {width} x {height} pixels, over the limit of {limits.max_pixels}")
    pages = vips.integer(image, "n-pages", 1)
    if pages > 1 or is_animated(data, picture_format):
        raise PictureError(f"{name}: holds {pages if pages > 1 else 'several'} pages or frames, expected one")
    if picture_format is formats.TIFF:
        first = tags.tiff_tags(data, (tags.DNG_VERSION, tags.NEW_SUBFILE_TYPE))
        if tags.DNG_VERSION in first or first.get(tags.NEW_SUBFILE_TYPE, (0,))[0] & 1:
            raise PictureError(f"{name}: is a camera's raw file, expected a developed picture")


def _decode(name: str, image: Any, data: bytes, picture_format: Format) -> Image:
    metadata, orientation = _metadata(image, data, picture_format)
    image, metadata = _to_gray_or_rgb(name, image, metadata)
    bits = vips.integer(image, "bits-per-sample", 16) if picture_format is formats.AVIF else 16
    samples = _turned(image.numpy().reshape(image.height, image.width, image.bands), orientation)
    channels = 1 if samples.shape[2] < 3 else 3
    pixels, alpha = _scaled(name, samples, channels, bits)
    lossless = is_lossless_webp(data) if picture_format is formats.WEBP else picture_format.lossless
    if not picture_format.gray and _is_gray(pixels, tolerance=0 if lossless else 1 / 255):
        pixels = np.ascontiguousarray(pixels[..., 1:2])
    return Image(
        pixels=pixels,
        alpha=alpha,
        depth=8 if samples.dtype == np.uint8 else 16,
        suffix=picture_format.suffixes[0],
        metadata=metadata,
        lossless=lossless,
    )


def _is_gray(pixels: Pixels, *, tolerance: float) -> bool:
    """Whether the channels differ by no more than the tolerance: a lossy WebP of a gray picture rounds them apart by one level."""
    green = pixels[..., 1]
    return all(float(np.abs(pixels[..., channel] - green).max()) <= tolerance * 1.01 for channel in range(pixels.shape[2]))


def _metadata(image: Any, data: bytes, picture_format: Format) -> tuple[Metadata, int]:
    """Metadata that say upright, and the orientation that the pixels still have."""
    xmp = vips.blob(image, "xmp-data")
    if picture_format is formats.TIFF:
        exif, orientation = tags.from_tiff(data), vips.integer(image, "orientation", 1)
    else:
        exif = vips.blob(image, "exif-data")
        exif = exif.removeprefix(b"Exif\0\0") if exif else None
        orientation = tags.orientation(exif) if exif else 1
        exif = tags.upright(exif) if exif else None
    if xmp and orientation != 1:
        xmp = re.sub(rb"(tiff:Orientation(?:>|=[\"']))[2-8]", rb"\g<1>1", xmp)
    if picture_format is formats.AVIF:
        orientation = 1  # libvips has turned it already, by the file's own transformations; EXIF does not count there
    across, down = (image.xres, image.yres) if orientation < 5 else (image.yres, image.xres)
    known = (across, down) != (1.0, 1.0)  # libvips' word for unknown
    icc, iptc = vips.blob(image, "icc-profile-data"), vips.blob(image, "iptc-data")
    return Metadata(icc=icc, exif=exif, xmp=xmp, iptc=iptc, resolution=(across, down) if known else None), orientation


def _to_gray_or_rgb(name: str, image: Any, metadata: Metadata) -> tuple[Any, Metadata]:
    """Gray or RGB, with or without alpha, and the metadata with a profile that fits."""
    if image.interpretation == "cmyk":
        depth = 16 if image.format == "ushort" else 8
        colour = image.extract_band(0, n=4).icc_transform("srgb", embedded=True, input_profile="cmyk", depth=depth)
        image = colour.bandjoin(image.extract_band(4)) if image.bands > 4 else colour
        metadata = _without_profile(metadata)
    elif image.interpretation in ("lab", "labs", "labq", "xyz", "yxy", "lch"):
        image = image.colourspace("rgb16")
        metadata = _without_profile(metadata)
    if image.bands > 4:
        raise PictureError(f"{name}: {image.bands} channels, expected gray or RGB, with or without alpha")
    if metadata.icc is not None and metadata.icc[16:20] != (b"GRAY" if image.bands < 3 else b"RGB "):
        metadata = _without_profile(metadata)  # one that does not fit the channels says nothing about them
    return image, metadata


def _without_profile(metadata: Metadata) -> Metadata:
    return Metadata(exif=metadata.exif, xmp=metadata.xmp, iptc=metadata.iptc, resolution=metadata.resolution)


def _turned(samples: Samples, orientation: int) -> Samples:
    """A view of the samples (H, W, C), upright."""
    if orientation in (5, 6, 7, 8):
        samples = samples.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        samples = samples[::-1]
    if orientation in (2, 3, 6, 7):
        samples = samples[:, ::-1]
    return samples


def _scaled(name: str, samples: Samples, channels: int, bits: int) -> tuple[Pixels, Alpha | None]:
    """Pixels in [0, 1], and alpha in 8 or 16 bits. `bits` is how many of a 16-bit sample's upper bits the file holds."""
    pixels = np.empty((*samples.shape[:2], channels), np.float32)
    plane = np.ascontiguousarray(samples[..., channels]) if samples.shape[2] > channels else None
    if samples.dtype in (np.float32, np.float64):
        low, high = float(samples.min()), float(samples.max())
        if not (low >= 0 and high <= 1):
            raise PictureError(f"{name}: float samples from {low:g} to {high:g}, expected 0 to 1")
        pixels[:] = samples[..., :channels]
        return pixels, None if plane is None else np.rint(plane * 65535).astype(np.uint16)
    if samples.dtype not in (np.uint8, np.uint16):
        raise PictureError(f"{name}: samples of type {samples.dtype}, expected uint8, uint16 or float")
    if samples.dtype == np.uint8 or bits == 16:
        np.divide(samples[..., :channels], np.float32(np.iinfo(samples.dtype).max), out=pixels, dtype=np.float32)
        return pixels, plane
    shift, peak = 16 - bits, (1 << bits) - 1
    np.divide(samples[..., :channels] >> shift, np.float32(peak), out=pixels, dtype=np.float32)
    return pixels, None if plane is None else (((plane >> shift).astype(np.uint32) * 65535 + peak // 2) // peak).astype(np.uint16)
