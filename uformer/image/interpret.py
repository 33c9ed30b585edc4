"""Interpret an opened file: its header, metadata and colours, and the `Image` of its pixels."""

import dataclasses
from typing import Any

import numpy as np

from uformer.errors import PictureError
from uformer.image import exif_block, formats, iptc, jpeg, png, tiff, vips, xmp_packet
from uformer.image.containers import has_other_colours, is_lossless_webp
from uformer.image.ifd import Directory
from uformer.image.image import Alpha, Header, Image, Metadata, Pixels
from uformer.image.opening import Opened

_COLOUR_SPACES = {
    "cmyk": "CMYK",
    "lab": "Lab",
    "labs": "Lab",
    "labq": "Lab",
    "xyz": "XYZ",
    "yxy": "xyY",
    "lch": "LCh",
}
"""Colour spaces that are converted to sRGB: libvips' names and the usual names."""


def header_of(file: Opened) -> Header:
    """The header of an opened file."""
    image, orientation = file.image, metadata_of(file)[1]
    space = _COLOUR_SPACES.get(image.interpretation)
    colours = 4 if space == "CMYK" else 1 if image.bands < 3 else 3
    width, height = (image.width, image.height) if orientation < 5 else (image.height, image.width)
    notes = []
    if file.frames > 1:
        number = "several" if file.format is formats.AVIF else f"{file.frames}"
        noun = {"TIFF": "pages", "HEIC": "images"}.get(file.format.name, "frames")
        which = "primary one" if file.format is formats.HEIC else "first"
        notes.append(f"holds {number} {noun}; only the {which} is read")
    if space:
        notes.append(f"is {space}; converted to sRGB")
    if colours == 1 and vips.integer(image, "bits-per-sample", 8) == 1:
        notes.append("has 1 bit per pixel; read as 8-bit gray")
    if not vips.size(image, "icc-profile-data") and has_other_colours(file.data, file.format):
        notes.append("declares colours other than sRGB without a colour profile; they are read as sRGB")
    if file.format is formats.TIFF:
        notes += tiff.notes(file.data)
    if file.external is not None:
        notes += file.external.notes
    depth = {"uchar": 8, "float": 32, "double": 32}.get(image.format, 16)
    if space:
        depth = 8 if space == "CMYK" and image.format != "ushort" else 16
    return Header(
        width=width,
        height=height,
        channels=1 if colours == 1 else 3,
        alpha=image.bands > colours,
        depth=depth,
        suffix=_output_suffix(file),
        orientation=orientation,
        frames=file.frames,
        converted=space is not None,
        whole=file.external is not None,
        notes=tuple(notes),
    )


def is_lossless(file: Opened) -> bool:
    """Whether the file stores its pixels losslessly."""
    return is_lossless_webp(file.data) if file.format is formats.WEBP else file.format.lossless


def as_image(
    file: Opened,
    metadata: Metadata,
    kind: np.dtype[Any],
    pixels: Pixels,
    alpha: Alpha | None = None,
    beyond: Pixels | None = None,
) -> Image:
    """The pixels of a file, all or some rows, as an Image; `kind`: the dtype of the file's samples."""
    return Image(
        pixels=pixels,
        alpha=alpha,
        beyond=beyond,
        depth={"u": 8 * kind.itemsize, "f": 32}[kind.kind],
        suffix=_output_suffix(file),
        metadata=metadata,
        lossless=is_lossless(file),
        camera_raw=file.format is formats.RAW,
        jpeg=jpeg.coding(file.data) if file.format is formats.JPEG else None,
    )


def _output_suffix(file: Opened) -> str:
    """The default suffix of an output: for HEIC .jpg, or .png if the image has alpha."""
    return ".png" if file.format is formats.HEIC and file.image.bands in (2, 4) else file.format.output_suffix


def bits_of(file: Opened) -> int:
    """The number of upper bits of a 16-bit sample that the file uses."""
    return (
        vips.integer(file.image, "bits-per-sample", 16) if file.format in (formats.AVIF, formats.HEIC) else 16
    )


def metadata_of(file: Opened) -> tuple[Metadata, int]:
    """The metadata with orientation 1, and the orientation that the pixels still have."""
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
        orientation, told = (
            (exif_block.orientation(exif), exif_block.has_orientation(exif)) if exif else (1, False)
        )
        exif = exif_block.upright(exif) if exif else None
        photoshop = vips.blob(image, "iptc-data")
    if xmp:
        orientation = orientation if told else xmp_packet.orientation(xmp)
        xmp = xmp_packet.upright(xmp)
    if picture_format is formats.AVIF or file.external is not None:
        # The decoder has already applied the file's own transformations; the orientation in EXIF is ignored.
        orientation = 1
    across, down = (image.xres, image.yres) if orientation < 5 else (image.yres, image.xres)
    known = (across, down) != (1.0, 1.0)  # libvips' value for unknown
    icc = vips.blob(image, "icc-profile-data")
    return Metadata(
        icc=icc, exif=exif, xmp=xmp, iptc=photoshop, resolution=(across, down) if known else None
    ), orientation


def to_gray_or_rgb(name: str, image: Any, metadata: Metadata) -> tuple[Any, Metadata]:
    """The image as gray or RGB, with or without alpha; a profile that does not fit is dropped."""
    if image.interpretation == "cmyk":
        depth = 16 if image.format == "ushort" else 8
        colour = image.extract_band(0, n=4).icc_transform(
            "srgb", embedded=True, input_profile="cmyk", depth=depth
        )
        image = colour.bandjoin(image.extract_band(4)) if image.bands > 4 else colour
        metadata = dataclasses.replace(metadata, icc=None)
    elif image.interpretation in ("lab", "labs", "labq"):
        # Lab in TIFF has a D50 white point; libvips' own conversion assumes D65.
        image = image.colourspace("lab").icc_export(output_profile="srgb", pcs="lab", depth=16)
        metadata = dataclasses.replace(metadata, icc=None)
    elif image.interpretation in _COLOUR_SPACES:
        image = image.colourspace("rgb16")
        metadata = dataclasses.replace(metadata, icc=None)
    if image.bands > 4:
        raise PictureError(f"{name}: has {image.bands} channels, expected gray or RGB, with or without alpha")
    if metadata.icc is not None and not _fits(metadata.icc, gray=image.bands < 3):
        metadata = dataclasses.replace(metadata, icc=None)
    return image, metadata


def _fits(icc: bytes, *, gray: bool) -> bool:
    """Whether a colour profile is intact and describes these channels."""
    return (
        icc[36:40] == b"acsp"
        and icc[:4] == len(icc).to_bytes(4, "big")
        and icc[16:20] == (b"GRAY" if gray else b"RGB ")
    )
