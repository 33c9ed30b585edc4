"""Writing a picture with all that came with it, whole or not at all."""

import os
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from uformer.errors import OptionError, PictureError
from uformer.files import atomic_path, one_line
from uformer.image import formats, vips
from uformer.image.containers import PLACEHOLDER, embed_density, embed_exif
from uformer.image.formats import SUFFIXES, Format, supports
from uformer.image.image import Image, Metadata

__all__ = ["SUFFIXES", "MetadataPolicy", "encode", "supports", "write"]

MetadataPolicy = Literal["keep", "strip"]

_UNKNOWN_RESOLUTION = (72 / 25.4, 72 / 25.4)
_CLASSIC_TIFF = 3 * 2**30  # bytes; its offsets end at 2^32
_STRIP_ROWS = 256  # rows that are rounded at a time: bounds the memory


def write(image: Image, path: str | os.PathLike[str], *, metadata: MetadataPolicy = "keep") -> None:
    """Write a picture in the format of the path's suffix; the file appears whole or not at all. See `encode`.

    Raises PictureError: unknown suffix, nothing that the format can hold, or a place that cannot be written to.
    """
    path = Path(path)
    name = one_line(path, 4096)
    try:
        data = encode(image, path.suffix, metadata=metadata)
    except PictureError as error:
        raise PictureError(f"{name}: {error}") from None
    try:
        with atomic_path(path) as temporary:
            temporary.write_bytes(data)
    except OSError as error:
        raise PictureError(f"{name}: cannot be written: {error.strerror or error}") from None
    except ValueError:
        raise PictureError(f"{name!r}: is not a file name") from None


def encode(image: Image, suffix: str, *, metadata: MetadataPolicy = "keep") -> bytes:
    """The bytes of a picture file in the format of `suffix` (".png", any case).

    | format | written as | bits | gray | alpha |
    |---|---|---|---|---|
    | PNG | lossless | 8, 16 | yes | exact |
    | TIFF | lossless, deflate | 8, 16 | yes | exact |
    | JPEG | quality 95, 4:4:4 | 8 | yes | refused |
    | WebP | lossless if the picture was read from a lossless file, else quality 98 | 8 | as RGB | exact |
    | AVIF | quality 90, 4:4:4; lossless with alpha, as its encoder has no other way to keep that exact | 8, 12 | as RGB | exact |

    Values outside of [0, 1] are clipped, and rounded to the nearest of the most bits that picture and format both have (of an alpha
    too). `strip` leaves out EXIF (with GPS), XMP and IPTC; the colour profile always stays, or the colours would change.

    Raises PictureError: unknown suffix, non-finite pixels, alpha into JPEG, a side or metadata that the format cannot hold. OptionError:
    neither keep nor strip.
    """
    target = formats.by_suffix(suffix)
    if metadata not in ("keep", "strip"):
        raise OptionError(f"metadata: {metadata!r} is not keep or strip")
    if image.alpha is not None and not target.alpha:
        raise PictureError(f"{target.name} cannot hold alpha; {_names_with_alpha()} can")
    if max(image.width, image.height) > target.max_side:
        raise PictureError(f"{target.name} cannot hold {image.width} x {image.height} pixels; {target.max_side} is its longest side")
    if not np.isfinite(image.pixels).all():
        raise PictureError("pixels that are not finite (NaN or infinity) cannot be written")
    keep = metadata == "keep"
    if keep and target is formats.JPEG:
        _check_segments(image.metadata)
    exif = image.metadata.exif if keep else None
    try:
        data = vips.save(_picture(image, target), f"{target.operation}save_buffer", _options(image, target, keep=keep))
    except vips.ERRORS as error:
        raise PictureError(f"{target.name} encoder: {vips.reason(error)}") from None
    if target is formats.JPEG and image.metadata.resolution is not None:
        data = embed_density(data, image.metadata.resolution)
    if exif is None:
        return data
    return embed_exif(data, target, exif, width=image.width, height=image.height, alpha=image.alpha is not None)


def _check_segments(metadata: Metadata) -> None:
    """A JPEG holds each of these in one segment of 65,533 bytes, header included; libvips would leave out what is larger."""
    for name, value, most in (("EXIF", metadata.exif, 65_527), ("XMP", metadata.xmp, 65_504), ("IPTC", metadata.iptc, 65_533)):
        if value is not None and len(value) > most:
            raise PictureError(f"{len(value)} bytes of {name} do not fit into JPEG ({most}); strip the metadata or write another format")


def _names_with_alpha() -> str:
    *names, last = (each.name for each in formats.FORMATS if each.alpha)
    return f"{', '.join(names)} and {last}"


def _picture(image: Image, target: Format) -> Any:
    """The pyvips image with the samples that the target will hold, and with all of the metadata."""
    bits = min(image.depth, target.bits)
    icc = image.metadata.icc
    gray_profile = icc is not None and icc[16:20] == b"GRAY"
    expand = image.channels == 1 and not gray_profile and (icc is not None or not target.gray)
    samples = _quantised(image, bits, channels=3 if expand else image.channels)
    picture = vips.from_samples(samples.data, image.width, image.height, samples.shape[2], wide=bits > 8)
    if icc is not None:
        vips.set_blob(picture, "icc-profile-data", icc)
    if gray_profile and not target.gray:
        colour = picture[0].icc_transform("srgb", embedded=True, depth=16 if bits > 8 else 8).copy()
        colour.remove("icc-profile-data")
        picture = colour.bandjoin(picture[1]) if picture.bands == 2 else colour
    across, down = image.metadata.resolution or _UNKNOWN_RESOLUTION
    picture = picture.copy(xres=across, yres=down)
    blobs = {"xmp-data": image.metadata.xmp, "iptc-data": image.metadata.iptc}
    for field, value in blobs.items():
        if value is not None:
            vips.set_blob(picture, field, value)
    if target is formats.AVIF:
        vips.set_blob(picture, "exif-data", PLACEHOLDER)
    return picture


def _options(image: Image, target: Format, *, keep: bool) -> dict[str, Any]:
    """The saver's options for this picture."""
    lossless = image.alpha is not None if target is formats.AVIF else image.lossless
    options = dict(target.lossless_options if lossless and target.lossless_options else target.options)
    options["keep"] = vips.KEEP_ICC
    if keep:
        options["keep"] |= vips.KEEP_XMP | vips.KEEP_IPTC
    if keep and image.metadata.exif is not None and target is formats.AVIF:
        options["keep"] |= vips.KEEP_EXIF
    if target is formats.AVIF:
        options["bitdepth"] = min(image.depth, target.bits)
    if target is formats.TIFF:
        options["bigtiff"] = image.pixels.nbytes // 4 * 2 > _CLASSIC_TIFF
    return options


def _quantised(image: Image, bits: int, *, channels: int) -> NDArray[Any]:
    """Samples (H, W, channels, and one for alpha if there is one), in the upper `bits` of uint8 or uint16."""
    peak = (1 << bits) - 1
    kind, shift = (np.dtype(np.uint8), 0) if bits == 8 else (np.dtype(np.uint16), 16 - bits)
    samples: NDArray[Any] = np.empty((image.height, image.width, channels + (image.alpha is not None)), kind)
    for top in range(0, image.height, _STRIP_ROWS):
        rows = slice(top, top + _STRIP_ROWS)
        values = np.rint(np.clip(image.pixels[rows], 0, 1) * np.float32(peak))
        samples[rows, :, :channels] = np.left_shift(values.astype(kind), shift)
        if image.alpha is not None:
            source = int(np.iinfo(image.alpha.dtype).max)
            plane = (image.alpha[rows].astype(np.uint32) * peak + source // 2) // source
            samples[rows, :, channels] = np.left_shift(plane.astype(kind), shift)
    return samples
