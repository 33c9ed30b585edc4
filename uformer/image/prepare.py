"""Decisions before an image is encoded: metadata to keep, bits and channels, and encoder options."""

import dataclasses
from typing import Any, Literal

from uformer.errors import OptionError, PictureError
from uformer.image import formats, vips
from uformer.image.containers import PLACEHOLDER, embed_density, embed_exif
from uformer.image.formats import Format
from uformer.image.image import Image, Metadata
from uformer.image.privacy import safe
from uformer.notices import Notify, warn

MetadataPolicy = Literal["keep", "strip", "safe"]

_UNKNOWN_RESOLUTION = (72 / 25.4, 72 / 25.4)
_CLASSIC_TIFF = 3 * 2**30  # bytes; its offsets end at 2^32
_CODED_AT_ONCE = 2**24
"""Pixels; a larger JPEG is written without optimised Huffman tables and progressive scans.

These make a file slightly smaller but need all coefficients in memory, at 12 bytes per pixel.
"""


def embedded(data: bytes, image: Image, target: Format, shown: Metadata) -> bytes:
    """The encoded image with the resolution and EXIF, which libvips does not write.

    For PNG and JPEG, `data` may be only the beginning of the file.
    """
    if target is formats.JPEG and image.metadata.resolution is not None:
        data = embed_density(data, image.metadata.resolution)
    if shown.exif is None:
        return data
    return embed_exif(
        data, target, shown.exif, width=image.width, height=image.height, alpha=image.alpha is not None
    )


def check(image: Image, target: Format, policy: MetadataPolicy, *, notify: Notify = warn) -> Metadata:
    """Check, without looking at pixels, that the target can hold the image, and return the metadata to write.

    Raises the errors of `encode`.
    """
    if policy not in ("keep", "strip", "safe"):
        raise OptionError(f"metadata: {policy!r} must be keep, strip or safe")
    if target is formats.DNG and not image.camera_raw:
        raise PictureError(
            "only a camera raw image can be written as DNG; use .tif, which also holds 16 bits"
        )
    if image.alpha is not None and not target.alpha:
        raise PictureError(f"{target.name} cannot hold alpha; {_names_with_alpha()} can")
    if max(image.width, image.height) > target.max_side:
        raise PictureError(
            f"{target.name} cannot hold {image.width} x {image.height} pixels; "
            f"the limit is {target.max_side} per side"
        )
    return _shown(image.metadata, policy, target, notify)


def _shown(metadata: Metadata, policy: MetadataPolicy, target: Format, notify: Notify) -> Metadata:
    """The metadata that the policy permits and the target can hold."""
    if policy == "strip":
        return Metadata(icc=metadata.icc, resolution=metadata.resolution)
    shown = metadata if policy == "keep" else safe(metadata)
    if target is formats.JPEG:
        _check_segments(shown)
    elif target is not formats.TIFF and shown.iptc is not None:
        notify(f"{target.name} cannot hold IPTC; it is left out")
        shown = dataclasses.replace(shown, iptc=None)
    return shown


def _check_segments(metadata: Metadata) -> None:
    """Raise PictureError if a block does not fit into one JPEG segment of 65,533 bytes, including its header.

    libvips would silently leave it out.
    """
    for name, value, most in (
        ("EXIF", metadata.exif, 65_527),
        ("XMP", metadata.xmp, 65_504),
        ("IPTC", metadata.iptc, 65_533),
    ):
        if value is not None and len(value) > most:
            raise PictureError(
                f"{len(value)} bytes of {name} do not fit into JPEG (at most {most}); "
                "strip the metadata or write another format"
            )


def _names_with_alpha() -> str:
    *names, last = (each.name for each in formats.FORMATS if each.alpha)
    return f"{', '.join(names)} and {last}"


def layout(image: Image, target: Format) -> tuple[int, int]:
    """Bits per sample (32: float) and colour channels with which the image is written."""
    icc = image.metadata.icc
    expand = image.channels == 1 and not _is_gray(icc) and (icc is not None or not target.gray)
    return 32 if image.depth == 32 and target.floats else min(
        image.depth, target.bits
    ), 3 if expand else image.channels


def _is_gray(icc: bytes | None) -> bool:
    return icc is not None and icc[16:20] == b"GRAY"


def dressed(picture: Any, image: Image, target: Format, shown: Metadata) -> Any:
    """The pyvips image of the samples (see `layout`) with the metadata that libvips writes."""
    icc = image.metadata.icc
    if icc is not None:
        vips.set_blob(picture, "icc-profile-data", icc)
    if _is_gray(icc) and not target.gray:
        colour = (
            picture[0]
            .icc_transform("srgb", embedded=True, depth=8 if picture.format == "uchar" else 16)
            .copy()
        )
        colour.remove("icc-profile-data")
        picture = colour.bandjoin(picture[1]) if picture.bands == 2 else colour
    across, down = image.metadata.resolution or _UNKNOWN_RESOLUTION
    picture = picture.copy(xres=across, yres=down)
    blobs = {"xmp-data": shown.xmp, "iptc-data": shown.iptc}
    for field, value in blobs.items():
        if value is not None:
            vips.set_blob(picture, field, value)
    if target is formats.AVIF:
        vips.set_blob(picture, "exif-data", PLACEHOLDER)
    return picture


def saver_options(
    image: Image, target: Format, shown: Metadata, *, quality: int | None = None
) -> dict[str, Any]:
    """The saver's options for this image. `quality`: see `write.encode`."""
    thin = min(image.height, image.width) <= 8  # in such an image, the AV1 encoder's white is two levels off
    if target is formats.AVIF:
        lossless = thin or image.alpha is not None
    else:
        lossless = image.lossless and quality is None
    options = dict(target.lossless_options if lossless and target.lossless_options else target.options)
    if quality is not None and "Q" in options and not (lossless and target.lossless_options):
        options["Q"] = quality
    options["keep"] = vips.KEEP_ICC | vips.KEEP_XMP
    if target is formats.JPEG:
        options["keep"] |= vips.KEEP_IPTC
        if image.jpeg is not None:
            options["Q"] = quality or max(image.jpeg.quality, formats.LOWEST_QUALITY)
            options["subsample_mode"] = "on" if image.jpeg.subsampled else "off"
            options["interlace"] = image.jpeg.progressive
        if image.width * image.height > _CODED_AT_ONCE:
            options |= {"optimize_coding": False, "interlace": False}
    if target is formats.AVIF:
        options["bitdepth"] = min(image.depth, target.bits)
        if shown.exif is not None:
            options["keep"] |= vips.KEEP_EXIF
    if target is formats.TIFF:
        options["bigtiff"] = image.pixels.nbytes // (1 if image.depth == 32 else 2) > _CLASSIC_TIFF
        if image.depth == 32:
            options["predictor"] = "float"
    return options
