"""Interpret an opened file: its header, metadata and colours, and the `Image` of its pixels."""

import dataclasses
from typing import Any

import numpy as np

from uformer.errors import PictureError
from uformer.image import formats, jpeg, tiff, tiff_pages, vips
from uformer.image.containers import is_lossless_webp
from uformer.image.gather import left_out, metadata_of
from uformer.image.image import Alpha, Header, Image, Metadata, Pixels
from uformer.image.opening import Opened
from uformer.words import counted

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


def header_of(file: Opened, gathered: tuple[Metadata, int] | None = None) -> Header:
    """The header of an opened file. `gathered`: its `metadata_of`, if the caller has it already."""
    image = file.image
    metadata, orientation = gathered or metadata_of(file)
    space = _COLOUR_SPACES.get(image.interpretation)
    colours = 4 if space == "CMYK" else 1 if image.bands < 3 else 3
    width, height = (image.width, image.height) if orientation < 5 else (image.height, image.width)
    notes = []
    if file.frames > 1 and file.format is formats.HEIC:
        notes.append(f"holds {file.frames} images; only the primary one is read")
    if space:
        notes.append(f"is {space}; converted to sRGB")
    if colours == 1 and vips.integer(image, "bits-per-sample", 8) == 1:
        notes.append("has 1 bit per pixel; read as 8-bit gray")
    if file.format is formats.TIFF:
        notes += tiff.notes(file.data)
        if (companions := tiff_pages.count(file.data)[1]) > 0:
            notes.append(f"holds {counted(companions, 'reduced or mask page')}; left out")
    if file.external is not None:
        notes += file.external.notes
    if lost := left_out(file, metadata, turned=orientation != 1):
        notes.append(f"holds {', '.join(lost)}; left out")
    depth = {"uchar": 8, "float": 32}.get(image.format, 16)
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
        stack=_planes(file),
        converted=space is not None,
        whole=file.external is not None,
        notes=tuple(notes),
    )


def _planes(file: Opened) -> str:
    """Why an image is restored plane by plane, as in `Header.stack`."""
    if file.format is not formats.TIFF:
        return ""
    if file.frames > 1:
        return f"has {file.frames} pages"
    if kind := tiff.data_type(file.data):
        return f"has {kind} samples"
    return "has channels that are neither gray nor RGB" if tiff.has_channels(file.data) else ""


def refuse_data(file: Opened) -> None:
    """Raise PictureError for a TIFF of samples without a white, of which `tiff_stack` reads the pixels."""
    if file.format is formats.TIFF and (kind := tiff.data_type(file.data)):
        raise PictureError(
            f"{file.name}: has {kind} samples, which cannot be read here; `uformer restore` restores "
            "them from file to file, or save them as 8-bit, 16-bit or 32-bit float"
        )


def refuse_several(file: Opened) -> None:
    """Raise PictureError for an animation, and for a TIFF of several images or of `refuse_data`.

    HEIC has a primary image.
    """
    refuse_data(file)
    if file.frames == 1 or file.format is formats.HEIC:
        return
    if file.format is formats.TIFF:
        raise PictureError(
            f"{file.name}: holds {file.frames} images, and only one can be read here; `uformer restore` "
            "restores all of them from file to file"
        )
    number = "" if file.format is formats.AVIF else f" of {file.frames} frames"
    raise PictureError(
        f"{file.name}: is an animation{number}; only a still image can be restored, "
        "so save each frame as a file of its own"
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
