"""Decisions before an image is encoded: metadata to keep, bits and channels, and encoder options."""

from typing import Any

from uformer.errors import OptionError, PictureError
from uformer.image import attached, formats, iptc, jpeg, png, tiff_tags, vips
from uformer.image.carry import MetadataPolicy, carried
from uformer.image.containers import PLACEHOLDER, embed_density, embed_exif
from uformer.image.formats import Format
from uformer.image.image import Image, Metadata
from uformer.notices import Notify, warn

_CLASSIC_TIFF = 3 * 2**30  # bytes; its offsets end at 2^32
_CODED_AT_ONCE = 2**24
"""Pixels; a larger JPEG is written without optimised Huffman tables and progressive scans.

These make a file slightly smaller but need all coefficients in memory, at 12 bytes per pixel.
"""


def embedded(data: bytes, image: Image, target: Format, shown: Metadata, *, size: int | None = None) -> bytes:
    """The encoded image with the resolution and metadata that libvips does not write.

    For PNG and JPEG, `data` may be only the beginning of a file of `size` bytes. What lies behind the image
    of a JPEG (`behind`) must be appended at the end.
    """
    if target is formats.JPEG:
        return _as_jpeg(data, shown, size=size or len(data))
    if target is formats.PNG:
        chunks = [each for each in shown.chunks if shown.icc is None or each[0] != b"sRGB"]
        data = png.with_chunks(data if shown.resolution else png.without_resolution(data), chunks)
    if shown.exif is None:
        return data
    return embed_exif(
        data, target, shown.exif, width=image.width, height=image.height, alpha=image.alpha is not None
    )


def behind(shown: Metadata) -> bytes:
    """What is written behind the image of a JPEG."""
    return shown.attached.data if shown.attached else b""


def into_tiff(shown: Metadata) -> dict[str, bytes | None]:
    """The arguments of `exif_block.into_tiff` for this metadata."""
    tags = shown.tags if shown.resolution else tiff_tags.without_resolution(shown.tags)
    return {"exif": shown.exif, "iptc": shown.iptc and iptc.records(shown.iptc), "tags": tags}


def _as_jpeg(data: bytes, shown: Metadata, *, size: int) -> bytes:
    if shown.resolution is not None:
        size -= len(data)
        data = embed_density(data, shown.resolution)
        size += len(data)
    added = [(jpeg.APP1, b"Exif\0\0" + shown.exif)] if shown.exif is not None else []
    added += [(jpeg.APP1, jpeg.XMP + shown.xmp)] if shown.xmp is not None else []
    added += [(jpeg.APP1, payload) for payload in shown.extended_xmp]
    added += [(jpeg.COMMENT, payload) for payload in shown.comments]
    if shown.attached is not None:
        length = sum(len(jpeg.segment(*each)) for each in added)
        place = jpeg.place_for_segments(data) + length
        added += attached.segments_for(shown.attached, size=size + length, place=place)
    return jpeg.with_segments(data, added)


def check(image: Image, target: Format, policy: MetadataPolicy, *, notify: Notify = warn) -> Metadata:
    """Check, without looking at pixels, that the target can hold the image, and return the metadata to write.

    Raises the errors of `encode`.
    """
    if policy not in ("keep", "strip", "safe"):
        raise OptionError(f"metadata: {policy!r} must be keep, strip or safe")
    if target is formats.ZARR:
        raise PictureError("only a Zarr can be written as Zarr; use .tif, which also holds 16 bits and float")
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
    return carried(image, target, policy, notify)


def _names_with_alpha() -> str:
    *names, last = (each.name for each in formats.FORMATS if each.alpha)
    return f"{', '.join(names)} and {last}"


def layout(image: Image, target: Format, icc: bytes | None) -> tuple[int, int]:
    """Bits per sample (32: float) and colour channels with which the image is written, under this profile."""
    expand = image.channels == 1 and not _is_gray(icc) and (icc is not None or not target.gray)
    return 32 if image.depth == 32 and target.floats else min(
        image.depth, target.bits
    ), 3 if expand else image.channels


def _is_gray(icc: bytes | None) -> bool:
    return icc is not None and icc[16:20] == b"GRAY"


def dressed(picture: Any, target: Format, shown: Metadata) -> Any:
    """The pyvips image of the samples (see `layout`) with the metadata that libvips writes."""
    if shown.icc is not None:
        vips.set_blob(picture, "icc-profile-data", shown.icc)
    if _is_gray(shown.icc) and not target.gray:
        colour = (
            picture[0]
            .icc_transform("srgb", embedded=True, depth=8 if picture.format == "uchar" else 16)
            .copy()
        )
        colour.remove("icc-profile-data")
        picture = colour.bandjoin(picture[1]) if picture.bands == 2 else colour
    if shown.resolution is not None:
        picture = picture.copy(xres=shown.resolution[0], yres=shown.resolution[1])
    blobs = {"xmp-data": shown.xmp if target is not formats.JPEG else None, "iptc-data": shown.iptc}
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
        if image.camera_raw:  # photographs use all 16 bits, so deflate takes seconds and saves a seventh
            options["compression"] = "none"
    return options
