"""Read an image file, once its header has passed the limits."""

import os

import numpy as np

from uformer.image.gather import metadata_of
from uformer.image.image import Header, Image, Metadata, Pixels
from uformer.image.interpret import (
    as_image,
    bits_of,
    header_of,
    is_lossless,
    refuse_data,
    refuse_several,
    to_gray_or_rgb,
)
from uformer.image.opening import DEFAULT_LIMITS, Opened, examine, opened
from uformer.image.samples import Samples, finite, scaled, turned
from uformer.image.vet import Limits
from uformer.notices import Notify, warn

__all__ = ["DEFAULT_LIMITS", "Header", "Limits", "header", "read", "read_samples"]


def read(
    source: str | os.PathLike[str] | bytes, *, limits: Limits = DEFAULT_LIMITS, notify: Notify = warn
) -> Image:
    """Read a PNG, JPEG, WebP, TIFF or AVIF image from a path or from its bytes.

    The contents decide the format, not the name.

    - Palette and YCbCr become RGB. CMYK and Lab become sRGB, CMYK through the embedded profile; the profile
      is then dropped.
    - In formats without gray (WebP, AVIF), channels that are all equal (in a lossy file: within one level)
      become gray.
    - Float TIFF has a depth of 32. If samples lie outside [0, 1], the excess is in `beyond`.
      AVIF of 10 or 12 bits has a depth of 16.
    - Of several images in a HEIC file, the primary one is read. Animations, and TIFF files with several
      images, are refused.

    `notify` receives one line for each thing that the file holds and the result does not; by default, each
    becomes a Python warning.

    Raises PictureError if the file is missing, is in another format, is damaged or truncated, or exceeds a
    limit.
    """
    image, notes = examine(source, limits, _decode)
    for note in notes:
        notify(note)
    return image


def read_samples(source: str | os.PathLike[str] | bytes, *, limits: Limits = DEFAULT_LIMITS) -> Samples:
    """The upright samples of an image file: (H, W, C) uint8, uint16 or float32, without alpha.

    Like `read`, with the same errors and these differences:

    - TIFF files keep all channels if they have more than four, or at least three that are not declared as
      RGB.
    - Gray images in formats without gray stay RGB.
    - There are no notices.
    - Of several pages or frames, the first is read.
    - The values of float TIFF stay as they are.

    For TIFF of every type, use `PageReader`.
    """
    return examine(source, limits, _samples)


def _samples(file: Opened) -> Samples:
    refuse_data(file)
    image = file.image
    many = image.bands > 4 or (image.bands > 2 and image.interpretation in ("b-w", "grey16"))
    if not many or image.interpretation == "cmyk":
        image, _ = to_gray_or_rgb(file.name, image, Metadata())
        if image.bands in (2, 4):
            image = image.extract_band(0, n=image.bands - 1)
    samples = turned(file.samples(image), metadata_of(file)[1])
    bits = bits_of(file)
    if samples.dtype == np.uint8 or (samples.dtype == np.uint16 and bits == 16):
        return np.ascontiguousarray(samples)
    if samples.dtype.kind == "f":
        return np.ascontiguousarray(finite(file.name, samples))
    pixels, _, _ = scaled(file.name, samples, samples.shape[2], bits)
    return np.rint(pixels * 65535).astype(np.uint16)


def header(source: str | os.PathLike[str] | bytes, *, limits: Limits = DEFAULT_LIMITS) -> Header:
    """The header of an image file, without decoding its pixels or loading it. Raises the errors of `read`."""
    with opened(source, limits, mapped=True) as file:
        return header_of(file)


def _decode(file: Opened) -> tuple[Image, list[str]]:
    """The image, and a line for each thing that reading leaves out or changes."""
    refuse_several(file)
    image, picture_format = file.image, file.format
    gathered = metadata_of(file)
    metadata, orientation = gathered
    image, metadata = to_gray_or_rgb(file.name, image, metadata)
    samples = turned(file.samples(image), orientation)
    channels = 1 if samples.shape[2] < 3 else 3
    pixels, alpha, beyond = scaled(file.name, samples, channels, bits_of(file))
    lossless = is_lossless(file)
    if not picture_format.gray and channels == 3 and _is_gray(pixels, tolerance=0 if lossless else 1 / 255):
        pixels = np.ascontiguousarray(pixels[..., 1:2])
    notes = [f"{file.name}: {note}" for note in header_of(file, gathered).notes]
    return as_image(file, metadata, samples.dtype, pixels, alpha, beyond), notes


def _is_gray(pixels: Pixels, *, tolerance: float) -> bool:
    """Whether the channels differ by at most the tolerance.

    In a lossy WebP of a gray image, rounding makes them differ by one level.
    """
    green = pixels[..., 1]
    return all(
        float(np.abs(pixels[..., channel] - green).max()) <= tolerance * 1.01
        for channel in range(pixels.shape[2])
    )
