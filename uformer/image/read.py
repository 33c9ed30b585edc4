"""Reading a picture file, once its header has shown that it can be afforded."""

import os
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uformer.errors import PictureError
from uformer.image import exif as tags
from uformer.image import formats, vips
from uformer.image.containers import is_lossless_webp
from uformer.image.image import Alpha, Header, Image, Metadata, Pixels
from uformer.image.source import DEFAULT_LIMITS, Limits, Opened, opened

__all__ = ["DEFAULT_LIMITS", "Header", "Limits", "Samples", "header", "read", "read_samples"]

Samples = NDArray[Any]


_CONVERTED = ("cmyk", "lab", "labs", "labq", "xyz", "yxy", "lch")


def read(source: str | os.PathLike[str] | bytes, *, limits: Limits = DEFAULT_LIMITS) -> Image:
    """Read a PNG, JPEG, WebP, TIFF or AVIF picture from a path or from its bytes; what it is decides its contents, not its name.

    A palette comes out as RGB. CMYK and Lab come out as sRGB, through the embedded profile, which is then dropped. Channels that are
    all equal (in a lossy file: within one level) come out as gray where the format has no gray (WebP, AVIF). Float TIFF must lie in
    [0, 1] and counts as 16-bit, AVIF of 10 or 12 bits too. A file of several pages or frames is refused: writing one of them would
    lose the others.

    Raises PictureError: not there, not one of these formats, damaged, cut off, or over a limit.
    """
    with opened(source, limits) as file:
        return _decode(file)


def read_samples(source: str | os.PathLike[str] | bytes, *, limits: Limits = DEFAULT_LIMITS) -> Samples:
    """The samples of a picture file, upright: (H, W, C) uint8 or uint16, alpha left out, no metadata.

    As `read`, errors too, with two differences: TIFF files of any number of channels come out whole (of more than four, or of three
    and more that are not said to be RGB), and gray pictures in formats that have no gray stay RGB. Float TIFF in [0, 1] becomes
    uint16.
    """
    with opened(source, limits) as file:
        image = file.image
        many = image.bands > 4 or (image.bands > 2 and image.interpretation in ("b-w", "grey16"))
        if not many or image.interpretation == "cmyk":
            image, _ = _to_gray_or_rgb(file.name, image, Metadata())
            if image.bands in (2, 4):
                image = image.extract_band(0, n=image.bands - 1)
        bits = vips.integer(image, "bits-per-sample", 16) if file.format is formats.AVIF else 16
        orientation = _metadata(file)[1]
        samples = _turned(image.numpy().reshape(image.height, image.width, image.bands), orientation)
        if samples.dtype == np.uint8 or (samples.dtype == np.uint16 and bits == 16):
            return np.ascontiguousarray(samples)
        pixels, _ = _scaled(file.name, samples, samples.shape[2], bits)
        return np.rint(pixels * 65535).astype(np.uint16)


def header(source: str | os.PathLike[str] | bytes, *, limits: Limits = DEFAULT_LIMITS) -> Header:
    """What a picture file says of itself; its pixels are not decoded, and a large file is not loaded. Errors as of `read`."""
    with opened(source, limits, mapped=True) as file:
        image, orientation = file.image, _metadata(file)[1]
        converted = image.interpretation in _CONVERTED
        colours = 4 if image.interpretation == "cmyk" else 1 if image.bands < 3 else 3
        width, height = (image.width, image.height) if orientation < 5 else (image.height, image.width)
        return Header(
            width=width,
            height=height,
            channels=1 if colours == 1 else 3,
            alpha=image.bands > colours,
            depth=8 if image.format == "uchar" else 16,
            suffix=file.format.suffixes[0],
            orientation=orientation,
            frames=file.frames,
            converted=converted,
        )


def _decode(file: Opened) -> Image:
    image, picture_format = file.image, file.format
    metadata, orientation = _metadata(file)
    image, metadata = _to_gray_or_rgb(file.name, image, metadata)
    bits = vips.integer(image, "bits-per-sample", 16) if picture_format is formats.AVIF else 16
    samples = _turned(image.numpy().reshape(image.height, image.width, image.bands), orientation)
    channels = 1 if samples.shape[2] < 3 else 3
    pixels, alpha = _scaled(file.name, samples, channels, bits)
    lossless = is_lossless_webp(file.data) if picture_format is formats.WEBP else picture_format.lossless
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


def _metadata(file: Opened) -> tuple[Metadata, int]:
    """Metadata that say upright, and the orientation that the pixels still have."""
    image, picture_format = file.image, file.format
    xmp = vips.blob(image, "xmp-data")
    if picture_format is formats.TIFF:
        exif, orientation = tags.from_tiff(file.data), vips.integer(image, "orientation", 1)
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
    elif image.interpretation in _CONVERTED:
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
