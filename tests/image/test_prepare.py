import dataclasses

import numpy as np
import pytest

from uformer.errors import OptionError, PictureError
from uformer.image import formats
from uformer.image.image import Image, JpegCoding, Metadata
from uformer.image.prepare import check, layout, saver_options


def image(
    channels: int = 3,
    *,
    depth: int = 8,
    alpha: bool = False,
    metadata: Metadata = Metadata(),  # noqa: B008 - immutable
) -> Image:
    plane = np.zeros((9, 9), np.uint8) if alpha else None
    return Image(pixels=np.zeros((9, 9, channels), np.float32), alpha=plane, depth=depth, metadata=metadata)


def test_bits_and_colours_are_those_that_image_and_format_share() -> None:
    assert layout(image(depth=16), formats.PNG, None) == (16, 3)
    assert layout(image(depth=16), formats.JPEG, None) == (8, 3)
    assert layout(image(depth=32), formats.TIFF, None) == (32, 3)
    assert layout(image(depth=32), formats.PNG, None) == (16, 3)
    assert layout(image(1), formats.PNG, None) == (8, 1)
    assert layout(image(1), formats.WEBP, None) == (8, 3)  # has no gray


def test_what_a_format_cannot_hold_is_refused() -> None:
    with pytest.raises(PictureError, match="JPEG cannot hold alpha"):
        check(image(alpha=True), formats.JPEG, "keep")
    with pytest.raises(PictureError, match="70000 bytes of EXIF do not fit into JPEG"):
        check(image(metadata=Metadata(exif=bytes(70_000))), formats.JPEG, "keep")
    with pytest.raises(OptionError, match="must be keep, strip or safe"):
        check(image(), formats.PNG, "all")  # type: ignore[arg-type]


def test_policies_and_formats_choose_the_metadata() -> None:
    metadata, said = Metadata(exif=b"exif", iptc=b"iptc", icc=b"icc"), list[str]()
    assert check(image(metadata=metadata), formats.TIFF, "keep") == metadata
    assert check(image(metadata=metadata), formats.TIFF, "strip") == Metadata(icc=b"icc")
    assert check(image(metadata=metadata), formats.PNG, "keep", notify=said.append).iptc is None
    assert said == ["PNG cannot hold IPTC; left out"]


def test_a_jpeg_is_coded_as_it_came_but_not_worse_than_the_lowest_quality() -> None:
    coded = Image(
        pixels=np.zeros((9, 9, 3), np.float32), jpeg=JpegCoding(quality=50, subsampled=True, progressive=True)
    )
    options = saver_options(coded, formats.JPEG, Metadata())
    assert (options["Q"], options["subsample_mode"], options["interlace"]) == (
        formats.LOWEST_QUALITY,
        "on",
        True,
    )


def test_a_quality_that_is_asked_for_replaces_all_defaults() -> None:
    coded = Image(
        pixels=np.zeros((9, 9, 3), np.float32), jpeg=JpegCoding(quality=99, subsampled=True, progressive=True)
    )
    options = saver_options(coded, formats.JPEG, Metadata(), quality=50)
    assert (options["Q"], options["subsample_mode"], options["interlace"]) == (50, "on", True)
    for target in (formats.JPEG, formats.WEBP, formats.AVIF):
        options = saver_options(image(), target, Metadata(), quality=50)
        assert options["Q"] == 50
        assert "lossless" not in options
    assert "Q" not in saver_options(image(), formats.TIFF, Metadata(), quality=50)
    assert "Q" not in saver_options(image(), formats.PNG, Metadata(), quality=50)
    assert saver_options(image(alpha=True), formats.AVIF, Metadata(), quality=50)["lossless"]
    assert saver_options(image(), formats.WEBP, Metadata())["lossless"]


def test_developed_photographs_are_not_compressed() -> None:
    raw = dataclasses.replace(image(depth=16), camera_raw=True)
    assert saver_options(raw, formats.TIFF, Metadata())["compression"] == "none"
    assert saver_options(image(depth=16), formats.TIFF, Metadata())["compression"] == "deflate"
