"""Reading a picture file, once its header has shown that it can be afforded."""

import os

import numpy as np

from uformer.errors import PictureError
from uformer.image.image import Header, Image, Metadata, Pixels
from uformer.image.interpret import as_image, bits_of, header_of, is_lossless, metadata_of, to_gray_or_rgb
from uformer.image.opening import DEFAULT_LIMITS, Opened, examine, opened
from uformer.image.samples import HAS_BEYOND, Samples, check_range, scaled, turned
from uformer.image.vet import Limits
from uformer.notices import Notify, warn

__all__ = ["DEFAULT_LIMITS", "Header", "Limits", "header", "read", "read_samples"]


def read(
    source: str | os.PathLike[str] | bytes, *, limits: Limits = DEFAULT_LIMITS, notify: Notify = warn
) -> Image:
    """Read a PNG, JPEG, WebP, TIFF or AVIF picture from a path or from its bytes; what it is decides its contents, not its name.

    A palette and YCbCr come out as RGB. CMYK and Lab come out as sRGB, CMYK through the embedded profile; the profile is then
    dropped. Channels that are all equal (in a lossy file: within one level) come out as gray where the format has no gray (WebP,
    AVIF). Float TIFF counts as 32 bits; what few of its samples have beyond [0, 1] comes in `beyond`. AVIF of 10 or 12 bits counts as
    16. Of several pages or frames the first is read. `notify` is told, one line each, what the file holds beyond the answer; by default
    that is a Python warning.

    Raises PictureError: not there, not one of these formats, damaged, cut off, or over a limit.
    """
    image, notes = examine(source, limits, _decode)
    for note in notes:
        notify(note)
    return image


def read_samples(source: str | os.PathLike[str] | bytes, *, limits: Limits = DEFAULT_LIMITS) -> Samples:
    """The samples of a picture file, upright: (H, W, C) uint8 or uint16, alpha left out, no metadata.

    As `read`, errors too, with these differences: TIFF files of any number of channels come out whole (of more than four, or of three
    and more that are not said to be RGB), gray pictures in formats that have no gray stay RGB, and nothing is warned of. Float TIFF in
    [0, 1] becomes uint16.
    """
    return examine(source, limits, _samples)


def _samples(file: Opened) -> Samples:
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
    pixels, _, beyond = scaled(file.name, samples, samples.shape[2], bits)
    if beyond is not None:
        raise PictureError(
            f"{file.name}: float samples from {samples.min():g} to {samples.max():g}, expected 0 to 1"
        )
    return np.rint(pixels * 65535).astype(np.uint16)


def header(source: str | os.PathLike[str] | bytes, *, limits: Limits = DEFAULT_LIMITS) -> Header:
    """What a picture file says of itself; its pixels are not decoded, and a file is not loaded. Errors as of `read`."""
    with opened(source, limits, mapped=True) as file:
        return header_of(file)


def _decode(file: Opened) -> tuple[Image, list[str]]:
    """The picture, and what it leaves out or changes, a line each."""
    image, picture_format = file.image, file.format
    metadata, orientation = metadata_of(file)
    image, metadata = to_gray_or_rgb(file.name, image, metadata)
    samples = turned(file.samples(image), orientation)
    channels = 1 if samples.shape[2] < 3 else 3
    pixels, alpha, beyond = scaled(file.name, samples, channels, bits_of(file))
    if beyond is not None:
        check_range(
            file.name,
            np.count_nonzero(beyond) / beyond.size,
            float((pixels + beyond).min()),
            float((pixels + beyond).max()),
        )
    lossless = is_lossless(file)
    if not picture_format.gray and channels == 3 and _is_gray(pixels, tolerance=0 if lossless else 1 / 255):
        pixels = np.ascontiguousarray(pixels[..., 1:2])
    notes = [f"{file.name}: {note}" for note in header_of(file).notes]
    if beyond is not None:
        notes.append(f"{file.name}: {HAS_BEYOND}")
    return as_image(file, metadata, samples.dtype, pixels, alpha, beyond), notes


def _is_gray(pixels: Pixels, *, tolerance: float) -> bool:
    """Whether the channels differ by no more than the tolerance: a lossy WebP of a gray picture rounds them apart by one level."""
    green = pixels[..., 1]
    return all(
        float(np.abs(pixels[..., channel] - green).max()) <= tolerance * 1.01
        for channel in range(pixels.shape[2])
    )
