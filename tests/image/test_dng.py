import io
from pathlib import Path

import numpy as np
import pytest
import tifffile

from tests.image.cameras import TEXT, dng, needs_raw, ramp
from uformer.errors import PictureError
from uformer.image import raw
from uformer.image.dng import encode
from uformer.image.image import Image, Metadata, Pixels
from uformer.image.read import read
from uformer.image.write import encode as encode_image
from uformer.image.write import write

rawpy = needs_raw()


def colours(height: int = 48, width: int = 64) -> Pixels:
    """Return smooth display values that reach from black to white and to saturated colours."""
    y, x = np.mgrid[:height, :width] / max(height, width)
    return np.stack([x, y, 1 - x], axis=2).astype(np.float32)


def test_libraw_reads_the_colours_that_were_written() -> None:
    pixels = colours()
    again = read(encode(pixels, Metadata()))
    assert again.depth == 16
    assert np.abs(again.pixels - pixels).max() < 0.001


def test_white_black_and_gray_stay_neutral() -> None:
    levels = np.linspace(0, 1, 64, dtype=np.float32)
    for channels in (1, 3):
        gray = np.broadcast_to(levels[None, :, None], (32, 64, channels)).copy()
        again = read(encode(gray, Metadata())).pixels
        np.testing.assert_allclose(again, np.broadcast_to(levels[None, :, None], (32, 64, 3)), atol=0.001)


@pytest.mark.parametrize("neutral", [(1, 1, 1), (0.5, 1, 0.6)])
def test_dng_and_tiff_of_one_raw_file_show_the_same(tmp_path: Path, neutral: tuple[float, ...]) -> None:
    image = read(dng(colours() * 0.8, neutral=neutral))
    for suffix in (".tif", ".dng"):
        write(image, tmp_path / f"out{suffix}")
    tiff, developed = (read(tmp_path / f"out{suffix}") for suffix in (".tif", ".dng"))
    assert tiff.metadata.icc == developed.metadata.icc
    assert np.abs(tiff.pixels - developed.pixels).max() < 0.001


def test_the_tags_are_those_of_a_linear_dng() -> None:
    data = encode(colours(), Metadata())
    assert raw.kind(data) == "DNG"
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        (page,) = file.pages
        tags = {tag.code: tag.value for tag in page.tags}  # type: ignore[union-attr]
    assert tags[262] == 34892
    assert (tags[258], tags[277], tags[259]) == ((16, 16, 16), 3, 1)
    assert (tags[50706], tags[50717]) == (bytes([1, 4, 0, 0]), (65535,) * 3)
    assert len(tags[50721]) == 18
    assert tags[50730] == (0, 1)
    with rawpy.imread(io.BytesIO(data)) as file:
        assert file.white_level == 65535
        assert file.camera_whitebalance[:3] == [1, 1, 1]


def test_the_metadata_of_the_camera_are_kept(tmp_path: Path) -> None:
    source = dng(ramp(40, 64), orientation=6, tags=[(0x8298, TEXT, 0, "Jane Doe", True)])
    write(read(source), tmp_path / "out.dng")
    again = read(tmp_path / "out.dng")
    assert (again.height, again.width) == (64, 40)
    assert again.metadata.exif is not None
    for kept in (b"Acme One", b"Jane Doe"):
        assert kept in again.metadata.exif
    write(read(source), tmp_path / "out.dng", metadata="strip")
    assert b"Jane Doe" not in (tmp_path / "out.dng").read_bytes()


def test_a_camera_that_libraw_knows_does_not_change_the_colours() -> None:
    """LibRaw has colour matrices of its own for known cameras."""
    image = read(dng(colours() * 0.8).replace(b"Acme\0", b"Sony\0").replace(b"Acme One\0", b"ILCE-7M3\0"))
    assert image.metadata.exif is not None
    assert b"ILCE-7M3" in image.metadata.exif
    again = read(encode_image(image, ".dng"))
    assert np.abs(again.pixels - image.pixels).max() < 0.001


def test_other_images_are_refused_in_one_line(tmp_path: Path) -> None:
    image = Image(pixels=colours())
    with pytest.raises(PictureError, match="^only a camera raw image can be written as DNG; use .tif"):
        encode_image(image, ".dng")
    with pytest.raises(PictureError, match="out.dng: only a camera raw image"):
        write(image, tmp_path / "out.dng")
    assert not list(tmp_path.iterdir())


def test_values_outside_the_range_are_clipped() -> None:
    pixels = np.full((32, 32, 3), -0.5, np.float32)
    pixels[:, 16:] = 1.5
    again = read(encode(pixels, Metadata())).pixels
    assert float(again[:, :14].max()) == 0
    assert float(again[:, 18:].min()) > 0.999
