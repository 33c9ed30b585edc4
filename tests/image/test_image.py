import numpy as np
import pytest

from uformer.errors import PictureError
from uformer.image.image import Image, Metadata


def test_sides_and_channels() -> None:
    image = Image(pixels=np.zeros((3, 5, 1), np.float32))
    assert (image.height, image.width, image.channels) == (3, 5, 1)


def test_other_pixels_keep_all_the_rest() -> None:
    alpha = np.full((2, 2), 7, np.uint16)
    image = Image(
        pixels=np.zeros((2, 2, 3), np.float32),
        alpha=alpha,
        depth=16,
        suffix=".tif",
        metadata=Metadata(exif=b"e"),
        lossless=False,
    )
    other = image.with_pixels(np.ones((2, 2, 3), np.float32))
    assert other.pixels.min() == 1
    assert image.pixels.max() == 0
    assert other.alpha is alpha
    assert (other.depth, other.suffix, other.metadata, other.lossless) == (
        16,
        ".tif",
        Metadata(exif=b"e"),
        False,
    )


@pytest.mark.parametrize(
    "pixels", [np.zeros((2, 2), np.float32), np.zeros((2, 2, 4), np.float32), np.zeros((0, 2, 3), np.float32)]
)
def test_pixels_of_another_shape_are_refused(pixels: np.ndarray) -> None:
    with pytest.raises(PictureError, match="expected float32"):
        Image(pixels=pixels)


def test_pixels_of_another_type_are_refused() -> None:
    with pytest.raises(PictureError, match="uint8"):
        Image(pixels=np.zeros((2, 2, 3), np.uint8))


def test_alpha_must_fit() -> None:
    pixels = np.zeros((2, 3, 3), np.float32)
    with pytest.raises(PictureError, match="alpha"):
        Image(pixels=pixels, alpha=np.zeros((3, 2), np.uint8))
    with pytest.raises(PictureError, match="alpha"):
        Image(pixels=pixels, alpha=np.zeros((2, 3), np.float64))  # type: ignore[arg-type]


def test_depth_is_8_16_or_32() -> None:
    with pytest.raises(PictureError, match="10 is not 8, 16 or 32"):
        Image(pixels=np.zeros((1, 1, 3), np.float32), depth=10)


def test_beyond_must_fit() -> None:
    pixels = np.zeros((2, 3, 3), np.float32)
    assert Image(pixels=pixels, beyond=pixels, depth=32).beyond is pixels
    for beyond, depth in ((pixels[:1], 32), (pixels, 16)):
        with pytest.raises(PictureError, match="beyond"):
            Image(pixels=pixels, beyond=beyond, depth=depth)
