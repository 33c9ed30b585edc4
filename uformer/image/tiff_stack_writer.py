"""Write a TIFF of the same pages as a stack, with the tags of each page: axes, pixel size, ImageJ, OME."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from uformer.errors import PictureError
from uformer.files import atomic_file, one_line
from uformer.image import ifd
from uformer.image.samples import Samples
from uformer.image.stack import WritePage
from uformer.image.tiff_stack import DAMAGED, TiffStack

if TYPE_CHECKING:
    import tifffile

_LAYOUT = {ifd.NEW_SUBFILE_TYPE, ifd.OLD_SUBFILE_TYPE, ifd.WIDTH, ifd.LENGTH}
_LAYOUT |= {ifd.BITS, ifd.COMPRESSION, ifd.PHOTOMETRIC, ifd.SAMPLES, ifd.PLANAR, ifd.PREDICTOR}
_LAYOUT |= {ifd.STRIP_OFFSETS, ifd.ROWS_PER_STRIP, ifd.STRIP_BYTES, ifd.COLOUR_MAP, ifd.JPEG_TABLES}
_LAYOUT |= {ifd.TILE_WIDTH, ifd.TILE_LENGTH, ifd.TILE_OFFSETS, ifd.TILE_BYTES}
_LAYOUT |= {ifd.EXTRA_SAMPLES, ifd.SAMPLE_FORMAT}
_WRITTEN = _LAYOUT | {ifd.DESCRIPTION, ifd.X_RESOLUTION, ifd.Y_RESOLUTION, ifd.RESOLUTION_UNIT}
"""Tags that tifffile writes: how the pixels are stored, and those that are arguments of its `write`."""
_POINTERS = {330: "reduced copies", 34665: "EXIF", 34853: "GPS EXIF", 40965: "interoperability EXIF"}
_POINTERS |= {34412: "Zeiss LSM data", 33628: "MetaMorph data", 33629: "MetaMorph data"}
"""Tags that point to other places in the file; they are left out."""

_UNCOMPRESSED = 1
_CLASSIC_TIFF = 4 * 2**30 - 2**26  # bytes; its offsets end at 2^32
_TAG_BYTES = 2**12  # of a page, more than most have
_TILE_STEP = 16  # pixels; sides of tiles must be multiples of it


@contextlib.contextmanager
def writing_tiff(stack: TiffStack, path: Path) -> Iterator[WritePage]:
    """Return a function that writes the pages of `stack` with other samples, to a file that appears whole.

    Pages stay compressed (deflate) or uncompressed. Raises PictureError if the file cannot be written.
    """
    with _written(path) as file, writing_to(stack, file) as write_page:
        yield write_page


@contextlib.contextmanager
def _written(path: Path) -> Iterator[IO[bytes]]:
    """Return a file that appears whole; a failure becomes a PictureError."""
    try:
        with atomic_file(path) as file:
            yield file
    except OSError as error:
        why = error.strerror or "the disk is full"  # numpy counts the bytes that it could not write
        raise PictureError(f"{one_line(path, 4096)}: cannot be written: {why}") from None


@contextlib.contextmanager
def writing_to(stack: TiffStack, file: IO[bytes]) -> Iterator[WritePage]:
    """Return a function that writes the pages of `stack` with other samples to an open file."""
    import tifffile  # noqa: PLC0415 - takes 50 ms, and only stacks need it

    handle = tifffile.FileHandle(file, name="stack")  # tifffile needs a name
    with tifffile.TiffWriter(handle, bigtiff=needs_bigtiff(stack), byteorder=stack.file.byteorder) as writer:

        def write_page(page: int, samples: Samples) -> None:
            try:
                _write_page(writer, stack, page, samples)
            except DAMAGED as error:
                why = f"page {page + 1} has tags that cannot be written"
                raise PictureError(f"{stack.name}: {why} ({one_line(error)})") from None

        yield write_page


def write_tiff(samples: Samples, path: Path) -> None:
    """Write the samples of one page, (H, W, 1 or 3) of any type, as a TIFF that appears whole.

    Raises PictureError if the file cannot be written.
    """
    import tifffile  # noqa: PLC0415 - takes 50 ms, and only stacks need it

    colour = samples.shape[2] == 3
    with _written(path) as file:
        tifffile.imwrite(
            tifffile.FileHandle(file, name="page"),
            samples if colour else samples[..., 0],
            photometric="rgb" if colour else "minisblack",
            compression="adobe_deflate",
            metadata=None,
        )


def needs_bigtiff(stack: TiffStack) -> bool:
    """Return whether a stack is written as BigTIFF: if it was read from one, or may not fit below 4 GiB."""
    size = stack.count * (stack.tags_of(0).nbytes + _TAG_BYTES)
    return stack.file.is_bigtiff or size > _CLASSIC_TIFF


def left_out(stack: TiffStack) -> list[str]:
    """Return what the first page of a stack holds that is not written, in words."""
    codes = {tag.code for tag in stack.tags_of(0).tags}
    return list(dict.fromkeys(name for code, name in _POINTERS.items() if code in codes))


def _write_page(writer: tifffile.TiffWriter, stack: TiffStack, page: int, samples: Samples) -> None:
    import tifffile  # noqa: PLC0415 - takes 50 ms, and only stacks need it

    described = stack.tags_of(page)
    tags = {tag.code: tag for tag in described.tags} if stack.virtual is None or page == 0 else {}
    resolution: dict[str, Any] = {}
    if ifd.X_RESOLUTION in tags and ifd.Y_RESOLUTION in tags:
        unit = tags.get(ifd.RESOLUTION_UNIT)
        resolution = {
            "resolution": (tags[ifd.X_RESOLUTION].value, tags[ifd.Y_RESOLUTION].value),
            "resolutionunit": tifffile.RESUNIT.INCH if unit is None else unit.value,  # the default of TIFF
        }
    others = [
        (tag.code, int(tag.dtype), tag.count, _bytes_of(stack, tag), True)
        for code, tag in tags.items()
        if code not in _WRITTEN and code not in _POINTERS
    ]
    text = tags.get(ifd.DESCRIPTION)
    description = None if text is None else _bytes_of(stack, text).rstrip(b"\0")
    deflate = described.compression != _UNCOMPRESSED
    tile = described.tile
    if tile is not None and any(side % _TILE_STEP for side in tile):
        tile = None
    separate = described.axes.startswith("S")
    writer.write(
        samples.transpose(2, 0, 1) if separate else samples if samples.shape[2] > 1 else samples[..., 0],
        photometric=described.photometric,
        planarconfig=described.planarconfig if samples.shape[2] > 1 else None,
        extrasamples=described.extrasamples or None,
        colormap=described.colormap,
        compression="adobe_deflate" if deflate else None,
        predictor="horizontal" if deflate and samples.dtype.kind in "ui" else None,
        tile=tile,
        subfiletype=int(described.subfiletype),
        description=description,
        software=False,
        metadata=None,
        contiguous=False,
        extratags=others,
        **resolution,
    )


def _bytes_of(stack: TiffStack, tag: tifffile.TiffTag) -> bytes:
    """Return the values of a tag as they are in the file, whose byte order the output shares."""
    stack.file.filehandle.seek(tag.valueoffset)
    return stack.file.filehandle.read(tag.valuebytecount)
