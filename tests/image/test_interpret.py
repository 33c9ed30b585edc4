from pathlib import Path

import numpy as np
import pytest
import pyvips

from uformer.image.gather import metadata_of
from uformer.image.interpret import as_image, bits_of, header_of, is_lossless, to_gray_or_rgb
from uformer.image.opening import DEFAULT_LIMITS, opened

COLOUR = pyvips.Image.black(4, 3, bands=3).copy(interpretation="srgb")


def test_of_a_png(exif: bytes) -> None:
    image = COLOUR.copy(xres=4, yres=4)
    image.set_type(pyvips.GValue.blob_type, "exif-data", b"Exif\0\0" + exif)
    with opened(bytes(image.pngsave_buffer()), DEFAULT_LIMITS) as file:
        found = header_of(file)
        assert (found.width, found.height, found.channels, found.alpha, found.depth, found.suffix) == (
            4,
            3,
            3,
            False,
            8,
            ".png",
        )
        assert (bits_of(file), is_lossless(file)) == (16, True)
        metadata, orientation = metadata_of(file)
        assert (metadata.resolution, orientation) == ((4, 4), 1)
        pixels = np.zeros((3, 4, 3), np.float32)
        made = as_image(file, metadata, np.dtype("u1"), pixels)
        assert (made.depth, made.suffix, made.lossless, made.jpeg) == (8, ".png", True, None)


def test_a_jpeg_tells_how_it_was_coded(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    COLOUR.jpegsave(str(path), Q=80)
    with opened(path, DEFAULT_LIMITS) as file:
        made = as_image(file, metadata_of(file)[0], np.dtype("u1"), np.zeros((3, 4, 3), np.float32))
        assert not is_lossless(file)
        assert made.jpeg is not None
        assert made.jpeg.quality == 80


@pytest.mark.parametrize("space", ["cmyk", "lab"])
def test_other_colours_become_srgb_and_lose_their_profile(space: str) -> None:
    image = COLOUR.colourspace(space)
    with opened(bytes(image.tiffsave_buffer()), DEFAULT_LIMITS) as file:
        converted, metadata = to_gray_or_rgb(file.name, file.image, metadata_of(file)[0])
        assert (converted.bands, metadata.icc) == (3, None)
        assert header_of(file).converted
