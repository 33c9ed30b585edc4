"""Reading a picture file, once its header has shown that it can be afforded."""

import dataclasses
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uformer.errors import PictureError
from uformer.image import exif_block, formats, iptc, jpeg, png, tiff, vips, xmp_packet
from uformer.image.containers import has_other_colours, is_lossless_webp
from uformer.image.ifd import Directory
from uformer.image.image import Alpha, Header, Image, Metadata, Pixels
from uformer.image.opening import DEFAULT_LIMITS, Opened, examine, opened
from uformer.image.vet import Limits
from uformer.notices import Notify, warn

__all__ = ["DEFAULT_LIMITS", "Header", "Limits", "Samples", "header", "read", "read_samples"]

Samples = NDArray[Any]

_COLOUR_SPACES = {"cmyk": "CMYK", "lab": "Lab", "labs": "Lab", "labq": "Lab", "xyz": "XYZ", "yxy": "xyY", "lch": "LCh"}
"""libvips' names of those that are converted to sRGB, and what people call them."""

HAS_BEYOND = "has samples outside of 0 to 1; what they have beyond it stays as it is"

MOST_BEYOND = 0.05
"""Share of a float picture's samples that may lie outside of [0, 1]; more, and its white is not 1."""


def read(source: str | os.PathLike[str] | bytes, *, limits: Limits = DEFAULT_LIMITS, notify: Notify = warn) -> Image:
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
        raise PictureError(f"{file.name}: float samples from {samples.min():g} to {samples.max():g}, expected 0 to 1")
    return np.rint(pixels * 65535).astype(np.uint16)


def header(source: str | os.PathLike[str] | bytes, *, limits: Limits = DEFAULT_LIMITS) -> Header:
    """What a picture file says of itself; its pixels are not decoded, and a file is not loaded. Errors as of `read`."""
    with opened(source, limits, mapped=True) as file:
        return header_of(file)


def header_of(file: Opened) -> Header:
    """What a file whose header has been read says of itself."""
    image, orientation = file.image, metadata_of(file)[1]
    space = _COLOUR_SPACES.get(image.interpretation)
    colours = 4 if space == "CMYK" else 1 if image.bands < 3 else 3
    width, height = (image.width, image.height) if orientation < 5 else (image.height, image.width)
    notes = []
    if file.frames > 1:
        number = "several" if file.format is formats.AVIF else f"{file.frames}"
        notes.append(f"holds {number} {'pages' if file.format is formats.TIFF else 'frames'}; only the first is read")
    if space:
        notes.append(f"is {space}; converted to sRGB")
    if colours == 1 and vips.integer(image, "bits-per-sample", 8) == 1:
        notes.append("has 1 bit a pixel; comes out as 8-bit gray")
    if not vips.size(image, "icc-profile-data") and has_other_colours(file.data, file.format):
        notes.append("says that its colours are not sRGB's, but has no colour profile; they come out as if they were")
    if file.format is formats.TIFF:
        notes += tiff.notes(file.data)
    depth = {"uchar": 8, "float": 32, "double": 32}.get(image.format, 16)
    if space:
        depth = 8 if space == "CMYK" and image.format != "ushort" else 16
    return Header(
        width=width,
        height=height,
        channels=1 if colours == 1 else 3,
        alpha=image.bands > colours,
        depth=depth,
        suffix=file.format.suffixes[0],
        orientation=orientation,
        frames=file.frames,
        converted=space is not None,
        notes=tuple(notes),
    )


def _decode(file: Opened) -> tuple[Image, list[str]]:
    """The picture, and what it leaves out or changes, a line each."""
    image, picture_format = file.image, file.format
    metadata, orientation = metadata_of(file)
    image, metadata = to_gray_or_rgb(file.name, image, metadata)
    samples = turned(file.samples(image), orientation)
    channels = 1 if samples.shape[2] < 3 else 3
    pixels, alpha, beyond = scaled(file.name, samples, channels, bits_of(file))
    if beyond is not None:
        check_range(file.name, np.count_nonzero(beyond) / beyond.size, float((pixels + beyond).min()), float((pixels + beyond).max()))
    lossless = _is_lossless(file)
    if not picture_format.gray and _is_gray(pixels, tolerance=0 if lossless else 1 / 255):
        pixels = np.ascontiguousarray(pixels[..., 1:2])
    notes = [f"{file.name}: {note}" for note in header_of(file).notes]
    if beyond is not None:
        notes.append(f"{file.name}: {HAS_BEYOND}")
    return as_image(file, metadata, samples.dtype, pixels, alpha, beyond), notes


def _is_lossless(file: Opened) -> bool:
    return is_lossless_webp(file.data) if file.format is formats.WEBP else file.format.lossless


def as_image(
    file: Opened, metadata: Metadata, kind: np.dtype[Any], pixels: Pixels, alpha: Alpha | None = None, beyond: Pixels | None = None
) -> Image:
    """What was read of a file, all or a part, as an Image; `kind`: numpy's type of the file's samples."""
    return Image(
        pixels=pixels,
        alpha=alpha,
        beyond=beyond,
        depth={"u": 8 * kind.itemsize, "f": 32}[kind.kind],
        suffix=file.format.suffixes[0],
        metadata=metadata,
        lossless=_is_lossless(file),
        jpeg=jpeg.coding(file.data) if file.format is formats.JPEG else None,
    )


def bits_of(file: Opened) -> int:
    """How many of a 16-bit sample's upper bits the file holds."""
    return vips.integer(file.image, "bits-per-sample", 16) if file.format is formats.AVIF else 16


def _is_gray(pixels: Pixels, *, tolerance: float) -> bool:
    """Whether the channels differ by no more than the tolerance: a lossy WebP of a gray picture rounds them apart by one level."""
    green = pixels[..., 1]
    return all(float(np.abs(pixels[..., channel] - green).max()) <= tolerance * 1.01 for channel in range(pixels.shape[2]))


def metadata_of(file: Opened) -> tuple[Metadata, int]:
    """Metadata that say upright, and the orientation that the pixels still have."""
    image, picture_format = file.image, file.format
    xmp = vips.blob(image, "xmp-data")
    if picture_format is formats.TIFF:
        exif, orientation = exif_block.from_tiff(file.data), vips.integer(image, "orientation", 1)
        told = exif_block.ORIENTATION in Directory(file.data)
        records = exif_block.iptc_of_tiff(file.data)
        photoshop = iptc.wrapped(records) if records else None
    else:
        exif = vips.blob(image, "exif-data")
        if picture_format is formats.PNG:
            exif, xmp = png.metadata(file.data)
        exif = exif.removeprefix(b"Exif\0\0") if exif else None
        orientation, told = (exif_block.orientation(exif), exif_block.has_orientation(exif)) if exif else (1, False)
        exif = exif_block.upright(exif) if exif else None
        photoshop = vips.blob(image, "iptc-data")
    if xmp:
        orientation = orientation if told else xmp_packet.orientation(xmp)
        xmp = xmp_packet.upright(xmp)
    if picture_format is formats.AVIF:
        orientation = 1  # libvips has turned it already, by the file's own transformations; EXIF does not count there
    across, down = (image.xres, image.yres) if orientation < 5 else (image.yres, image.xres)
    known = (across, down) != (1.0, 1.0)  # libvips' word for unknown
    icc = vips.blob(image, "icc-profile-data")
    return Metadata(icc=icc, exif=exif, xmp=xmp, iptc=photoshop, resolution=(across, down) if known else None), orientation


def to_gray_or_rgb(name: str, image: Any, metadata: Metadata) -> tuple[Any, Metadata]:
    """Gray or RGB, with or without alpha, and the metadata with a profile that fits."""
    if image.interpretation == "cmyk":
        depth = 16 if image.format == "ushort" else 8
        colour = image.extract_band(0, n=4).icc_transform("srgb", embedded=True, input_profile="cmyk", depth=depth)
        image = colour.bandjoin(image.extract_band(4)) if image.bands > 4 else colour
        metadata = dataclasses.replace(metadata, icc=None)
    elif image.interpretation in ("lab", "labs", "labq"):  # in TIFF of the white of D50; libvips' own conversion takes it for D65
        image = image.colourspace("lab").icc_export(output_profile="srgb", pcs="lab", depth=16)
        metadata = dataclasses.replace(metadata, icc=None)
    elif image.interpretation in _COLOUR_SPACES:
        image = image.colourspace("rgb16")
        metadata = dataclasses.replace(metadata, icc=None)
    if image.bands > 4:
        raise PictureError(f"{name}: {image.bands} channels, expected gray or RGB, with or without alpha")
    if metadata.icc is not None and not _fits(metadata.icc, gray=image.bands < 3):
        metadata = dataclasses.replace(metadata, icc=None)
    return image, metadata


def _fits(icc: bytes, *, gray: bool) -> bool:
    """Whether a colour profile says something about these channels: one that is damaged or of other channels does not."""
    return icc[36:40] == b"acsp" and icc[:4] == len(icc).to_bytes(4, "big") and icc[16:20] == (b"GRAY" if gray else b"RGB ")


def turned(samples: Samples, orientation: int) -> Samples:
    """A view of the samples (H, W, C), upright."""
    if orientation in (5, 6, 7, 8):
        samples = samples.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        samples = samples[::-1]
    if orientation in (2, 3, 6, 7):
        samples = samples[:, ::-1]
    return samples


def scaled(name: str, samples: Samples, channels: int, bits: int) -> tuple[Pixels, Alpha | None, Pixels | None]:
    """Pixels in [0, 1], alpha, and what float samples have beyond [0, 1]. `bits`: how many of a 16-bit sample's upper bits count."""
    if samples.dtype in (np.float32, np.float64):
        return _from_float(name, samples, channels)
    if samples.dtype not in (np.uint8, np.uint16):
        raise PictureError(f"{name}: samples of type {samples.dtype}, expected uint8, uint16 or float")
    pixels = np.empty((*samples.shape[:2], channels), np.float32)
    plane = np.ascontiguousarray(samples[..., channels]) if samples.shape[2] > channels else None
    if samples.dtype == np.uint8 or bits == 16:
        np.divide(samples[..., :channels], np.float32(np.iinfo(samples.dtype).max), out=pixels, dtype=np.float32)
        return pixels, plane, None
    shift, peak = 16 - bits, (1 << bits) - 1
    np.divide(samples[..., :channels] >> shift, np.float32(peak), out=pixels, dtype=np.float32)
    return pixels, None if plane is None else (((plane >> shift).astype(np.uint32) * 65535 + peak // 2) // peak).astype(np.uint16), None


def _from_float(name: str, samples: Samples, channels: int) -> tuple[Pixels, Alpha | None, Pixels | None]:
    """The same for float samples, with alpha as it is."""
    with np.errstate(over="ignore"):  # float64 beyond float32 becomes infinity, which is refused
        values = samples.astype(np.float32)
    if not np.isfinite(values).all():
        raise PictureError(f"{name}: float samples that are not finite (NaN or infinity)")
    pixels = np.clip(values[..., :channels], 0, 1)
    alpha = np.ascontiguousarray(values[..., channels]) if values.shape[2] > channels else None
    beyond = values[..., :channels] - pixels
    return np.ascontiguousarray(pixels), alpha, beyond if beyond.any() else None


def check_range(name: str, share: float, low: float, high: float) -> None:
    """Refuse a float picture of which too large a share of the samples, from low to high, lies outside of [0, 1]."""
    if share > MOST_BEYOND:
        raise PictureError(
            f"{name}: float samples from {low:g} to {high:g}, {share:.0%} of them outside of 0 to 1; scale them so that white is 1"
        )
