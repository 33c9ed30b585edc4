"""Writing a picture with all that came with it, whole or not at all."""

import os
from pathlib import Path

import numpy as np

from uformer.errors import PictureError
from uformer.files import atomic_file, one_line
from uformer.image import exif_block, formats, iptc, vips
from uformer.image.formats import SUFFIXES, supports
from uformer.image.image import Image
from uformer.image.prepare import MetadataPolicy, check, dressed, embedded, layout, saver_options
from uformer.image.samples import quantised
from uformer.notices import Notify, warn

__all__ = ["SUFFIXES", "MetadataPolicy", "encode", "supports", "write"]


def write(
    image: Image, path: str | os.PathLike[str], *, metadata: MetadataPolicy = "keep", notify: Notify = warn
) -> None:
    """Write a picture in the format of the path's suffix; the file appears whole or not at all. See `encode`.

    Raises PictureError: unknown suffix, nothing that the format can hold, or a place that cannot be written to.
    """
    path = Path(path)
    name = one_line(path, 4096)
    try:
        data = encode(image, path.suffix, metadata=metadata, notify=notify)
    except PictureError as error:
        raise PictureError(f"{name}: {error}") from None
    try:
        with atomic_file(path) as file:
            file.write(data)
    except OSError as error:
        raise PictureError(f"{name}: cannot be written: {error.strerror or error}") from None
    except ValueError:
        raise PictureError(f"{name!r}: is not a file name") from None


def encode(image: Image, suffix: str, *, metadata: MetadataPolicy = "keep", notify: Notify = warn) -> bytes:
    """The bytes of a picture file in the format of `suffix` (".png", any case).

    | format | written as | bits | gray | alpha |
    |---|---|---|---|---|
    | PNG | lossless | 8, 16 | yes | exact |
    | TIFF | lossless, deflate | 8, 16, 32 float | yes | exact |
    | JPEG | as the JPEG that was read, but of quality 90 at least; else quality 95, 4:4:4 | 8 | yes | refused |
    | WebP | lossless if the picture was read from a lossless file, else quality 98 | 8 | as RGB | exact |
    | AVIF | quality 90, 4:4:4; lossless with alpha, as its encoder has no other way to keep that exact | 8, 12 | as RGB | exact |

    Values outside of [0, 1] are clipped, and rounded to the nearest of the most bits that picture and format both have (of an alpha
    too); as float, what the picture has beyond [0, 1] is added again. `strip` leaves out EXIF (with GPS), XMP and IPTC, `safe` all of
    them that tells of place, person or device (see `privacy`); the colour profile always stays, or the colours would change. IPTC goes
    into JPEG and TIFF only; elsewhere `notify` is told that it is left out.

    Raises PictureError: unknown suffix, non-finite pixels, alpha into JPEG, a side or metadata that the format cannot hold. OptionError:
    none of keep, strip and safe.
    """
    target = formats.by_suffix(suffix)
    shown = check(image, target, metadata, notify=notify)
    if not np.isfinite(image.pixels).all():
        raise PictureError("pixels that are not finite (NaN or infinity) cannot be written")
    bits, channels = layout(image, target)
    picture = dressed(vips.from_samples(quantised(image, bits, channels=channels)), image, target, shown)
    try:
        data = vips.save(picture, f"{target.operation}save_buffer", saver_options(image, target, shown))
    except vips.Error:
        raise PictureError(f"the {target.name} encoder failed; try another format") from None
    if target is formats.TIFF:
        return exif_block.into_tiff(data, shown.exif, shown.iptc and iptc.records(shown.iptc))
    return embedded(data, image, target, shown)
