import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest

from uformer.errors import PictureError
from uformer.image.image import Image
from uformer.image.samples import from_own_values, own_values, quantised, scaled, turned, values_of


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


@pytest.mark.parametrize(
    "kind", ["int8", "int16", "int32", "uint32", "int64", "uint64", "float16", "float64"]
)
def test_values_of_data_are_its_own_and_what_does_not_change_keeps_every_bit(kind: str) -> None:
    info = np.finfo(kind) if kind.startswith("f") else np.iinfo(kind)
    samples = np.array([info.min, 3, 100, info.max, info.max, info.max], kind)
    values = own_values(samples)
    assert values.dtype == (np.float32 if kind in ("int8", "int16", "float16") else np.float64)
    assert np.array_equal(values_of(samples), values)
    assert np.array_equal(from_own_values(values, samples), samples)  # also if no float holds them
    values[1], values[2], values[3] = -7e30, 20.6, 7e30
    found = from_own_values(values, samples)
    assert found.dtype == samples.dtype
    assert found[2] == (pytest.approx(20.6, rel=1e-3) if kind.startswith("f") else 21)
    limits = (-7e30, 7e30) if kind == "float64" else (float(info.min), float(info.max))
    assert [float(found[1]), float(found[3])] == pytest.approx(list(limits))
    assert np.array_equal(found[[0, 4, 5]], samples[[0, 4, 5]])
