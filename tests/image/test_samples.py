import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest

from uformer.errors import PictureError
from uformer.image.image import Image
from uformer.image.samples import quantised, scaled, turned


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turned_is_what_pillow_does(orientation: int) -> None:
    stored = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    picture = PIL.Image.fromarray(stored)
    picture.getexif()[0x0112] = orientation
    np.testing.assert_array_equal(
        turned(stored, orientation), np.asarray(PIL.ImageOps.exif_transpose(picture))
    )


@pytest.mark.parametrize(("bits", "kind"), [(8, np.uint8), (10, np.uint16), (12, np.uint16), (16, np.uint16)])
@pytest.mark.parametrize(("bands", "colours"), [(1, 1), (2, 1), (3, 3), (4, 3)])
def test_what_is_scaled_is_quantised_to_the_same_samples(
    bits: int, kind: type[np.uint8 | np.uint16], bands: int, colours: int
) -> None:
    levels = np.random.default_rng(0).integers(0, 2**bits, (300, 5, bands))
    samples = (levels << (-bits % 8)).astype(kind)
    pixels, alpha, beyond = scaled("a", samples, colours, bits)
    assert beyond is None
    assert float(pixels.min()) >= 0
    assert float(pixels.max()) <= 1
    again = quantised(Image(pixels=pixels, alpha=alpha, depth=8 if bits == 8 else 16), bits, channels=colours)
    np.testing.assert_array_equal(again, samples)


def test_what_float_samples_have_beyond_comes_back() -> None:
    samples = np.array([[[-0.5], [0.25], [1.5]]], np.float32)
    pixels, alpha, beyond = scaled("a", samples, 1, 32)
    assert pixels.ravel().tolist() == [0, 0.25, 1]
    assert alpha is None
    np.testing.assert_array_equal(
        quantised(Image(pixels=pixels, beyond=beyond, depth=32), 32, channels=1), samples
    )


def test_samples_that_cannot_be_scaled_are_refused() -> None:
    with pytest.raises(PictureError, match="a: has samples of type int16"):
        scaled("a", np.zeros((1, 1, 1), np.int16), 1, 16)
    with pytest.raises(PictureError, match="not finite"):
        scaled("a", np.full((1, 1, 1), np.nan, np.float32), 1, 32)
