import io
import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile

from uformer.errors import PictureError
from uformer.image import ifd, tiff_pages
from uformer.image.read import header, read
from uformer.image.regions import regions

PIXELS = np.arange(64 * 48, dtype=np.uint16).reshape(64, 48)


def imagej(pages: int) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, np.stack([PIXELS] * pages), imagej=True, metadata={"axes": "ZYX"})
    return file.getvalue()


def pyramid(*, big: bool = False, order: str = "<", subfiletype: int = 1) -> bytes:
    """An image with two reduced copies (or masks), as GDAL writes them."""
    file = io.BytesIO()
    with tifffile.TiffWriter(file, bigtiff=big, byteorder=order) as writer:  # type: ignore[arg-type]
        writer.write(PIXELS, metadata=None)
        writer.write(PIXELS[::2, ::2], subfiletype=1, metadata=None)
        writer.write(PIXELS[::4, ::4], subfiletype=1, metadata=None)
    data = bytearray(file.getvalue())
    for page in list(ifd.pages(bytes(data)))[1:]:
        tag = next(ifd.entries(bytes(data), ifd.header(bytes(data))[0], page))
        struct.pack_into(order + "I", data, tag.start, subfiletype)
    return bytes(data)


def test_a_stack_is_refused(tmp_path: Path) -> None:
    assert tiff_pages.count(imagej(6)) == (6, 0)
    with pytest.raises(PictureError, match="^image: holds 6 images, and only one can be read here"):
        read(imagej(6))
    path = tmp_path / "stack.tif"
    path.write_bytes(imagej(6))
    with pytest.raises(PictureError, match="holds 6 images"), regions(path, folder=tmp_path):
        pass


def test_a_large_stack_of_imagej_has_one_directory() -> None:
    data = imagej(1).replace(b"images=1\n", b"images=7\n")
    assert tiff_pages.count(data) == (7, 0)
    assert tiff_pages.count(data.replace(b"ImageJ=", b"ImageX=")) == (1, 0)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("kind", [1, 4, 5])
def test_reduced_copies_and_masks_belong_to_the_image(big: bool, order: str, kind: int) -> None:
    data = pyramid(big=big, order=order, subfiletype=kind)
    assert tiff_pages.count(data) == (1, 2)
    with pytest.warns(UserWarning, match="^image: holds 2 reduced or mask pages; left out$"):
        assert read(data).width == 48
    assert header(data).frames == 1


def test_a_damaged_second_directory_does_not_count() -> None:
    data = bytearray(imagej(1))
    position = struct.unpack_from("<I" if data[:2] == b"II" else ">I", data, 4)[0]
    order = "<" if data[:2] == b"II" else ">"
    (tags,) = struct.unpack_from(order + "H", data, position)
    struct.pack_into(order + "I", data, position + 2 + 12 * tags, len(data) - 1)
    assert tiff_pages.count(bytes(data)) == (1, 0)
    with pytest.raises(PictureError, match="page 2: its directory should lie at byte"):
        read(bytes(data))
