"""Write an image with its metadata, whole or not at all."""

import os
from pathlib import Path

import numpy as np

from uformer.errors import PictureError
from uformer.files import atomic_file, one_line
from uformer.image import dng, exif_block, formats, vips
from uformer.image.carry import MetadataPolicy
from uformer.image.formats import SUFFIXES, supports
from uformer.image.image import Image
from uformer.image.prepare import (
    behind,
    check,
    dressed,
    embedded,
    into_tiff,
    layout,
    saver_options,
)
from uformer.image.samples import quantised
from uformer.image.stored import StoredImage
from uformer.notices import Notify, warn

__all__ = ["SUFFIXES", "MetadataPolicy", "encode", "supports", "write"]


def write(
    image: Image | StoredImage,
    path: str | os.PathLike[str],
    *,
    metadata: MetadataPolicy = "keep",
    quality: int | None = None,
    notify: Notify = warn,
) -> None:
    """Write an image in the format of the path's suffix (see `encode`); the file appears whole or not at all.

    Raises PictureError for an unknown suffix, an image that the format cannot hold, or a path that cannot be
    written.
    """
    path = Path(path)
    name = one_line(path, 4096)
    try:
        data = encode(image, path.suffix, metadata=metadata, quality=quality, notify=notify)
    except PictureError as error:
        raise PictureError(f"{name}: {error}") from None
    try:
        with atomic_file(path) as file:
            file.write(data)
    except OSError as error:
        raise PictureError(f"{name}: cannot be written: {error.strerror or error}") from None
    except ValueError:
        raise PictureError(f"{name!r}: is not a file name") from None


def encode(
    image: Image | StoredImage,
    suffix: str,
    *,
    metadata: MetadataPolicy = "keep",
    quality: int | None = None,
    notify: Notify = warn,
) -> bytes:
    """Encode an image in the format of `suffix` (".png", any case), and return the bytes.

    | format | written as | bits | gray | alpha |
    |---|---|---|---|---|
    | PNG | lossless | 8, 16 | yes | exact |
    | TIFF | lossless, deflate; camera raw uncompressed | 8, 16, 32 float | yes | exact |
    | JPEG | like a JPEG input, with quality 90 at least; otherwise quality 95, 4:4:4 | 8 | yes | refused |
    | WebP | lossless if the input file was, otherwise quality 98 | 8 | as RGB | exact |
    | AVIF | quality 90, 4:4:4; lossless with alpha, to keep it exact | 8, 12 | as RGB | exact |
    | DNG | linear light, for camera raw only; other images are refused | 16 | as RGB | refused |

    Values outside [0, 1] are clipped, and values (including alpha) are rounded to the highest number of bits
    that image and format have in common. In float output, the image's excess beyond [0, 1] is added again.

    `quality`: of JPEG, WebP and AVIF, 1 to 100, instead of that in the table. AVIF with alpha stays lossless.

    `metadata`: `strip` leaves out EXIF (with GPS), XMP and IPTC; `safe` leaves out what reveals location,
    people or serial numbers (see `privacy`). The colour profile always stays, as the colours would change
    without it. What the format cannot hold is left out, and `notify` says so (see `carry`).

    Raises PictureError for an unknown suffix, pixels that are not finite, alpha in JPEG, or a side or
    metadata that the format cannot hold, and OptionError for an unknown `metadata`.
    """
    target = formats.by_suffix(suffix)
    facts, held = (image, image.pixels) if isinstance(image, Image) else (image.frame, image.samples)
    shown = check(facts, target, metadata, notify=notify)
    if held.dtype.kind == "f" and not np.isfinite(held).all():
        raise PictureError("pixels that are not finite (NaN or infinity) cannot be written")
    if target is formats.DNG:
        return dng.encode(image.values, shown)
    bits, channels = layout(facts, target, shown.icc)
    if isinstance(image, Image):
        samples = quantised(image, bits, channels=channels)
    else:
        samples = image.quantised(bits, channels=channels)
    picture = dressed(vips.from_samples(samples), target, shown)
    try:
        data = vips.save(
            picture, f"{target.operation}save_buffer", saver_options(facts, target, shown, quality=quality)
        )
    except vips.Error:
        raise PictureError(f"the {target.name} encoder failed; try another format") from None
    if target is formats.TIFF:
        return exif_block.into_tiff(data, **into_tiff(shown))
    return embedded(data, facts, target, shown) + behind(shown)
