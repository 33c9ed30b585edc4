"""Images that are kept as the samples of their files."""

import dataclasses
import io
from typing import Any

import numpy as np
import PIL.Image
import pytest
import tifffile

from tests.image.test_thumbnail import exif, seen, small
from uformer.errors import PictureError
from uformer.image.image import Image, Metadata
from uformer.image.read import read
from uformer.image.stored import StoredImage
from uformer.image.write import encode

RNG = np.random.default_rng(0)


def image_of(kind: str) -> Image:
    """Return an image as a file of this kind is read."""
    if kind == "float":
        values = RNG.normal(0.5, 1, (9, 7, 3)).astype(np.float32)
        file = io.BytesIO()
        tifffile.imwrite(file, values, photometric="rgb")
        return read(file.getvalue())
    if kind == "16-bit gray":
        file = io.BytesIO()
        PIL.Image.fromarray(RNG.integers(0, 65536, (150, 7), dtype=np.uint16)).save(file, "PNG")
        return read(file.getvalue())
    if kind == "10-bit":
        samples = RNG.integers(0, 1024, (9, 7, 3)).astype(np.float32)
        return Image(pixels=samples / np.float32(1023), depth=16, suffix=".avif")
    if kind == "no samples":
        return Image(pixels=RNG.random((9, 7, 3), np.float32))
    file = io.BytesIO()
    array = RNG.integers(0, 256, (150, 7, 4 if kind == "alpha" else 3), dtype=np.uint8)
    PIL.Image.fromarray(array).save(file, "PNG")
    return read(file.getvalue())


KINDS = {"8-bit": 1, "alpha": 1, "16-bit gray": 2, "10-bit": 2, "float": 4, "no samples": 4}


@pytest.mark.parametrize(("kind", "size"), KINDS.items(), ids=list(KINDS))
def test_every_value_comes_back(kind: str, size: int) -> None:
    image = image_of(kind)
    stored = StoredImage.of(image)
    assert stored.samples.itemsize == size
    assert stored.frame.pixels.strides == (0, 0, 0), "the frame takes no memory"
    again = stored.image()
    for field in dataclasses.fields(Image):
        was, now = getattr(image, field.name), getattr(again, field.name)
        same = np.array_equal(was, now) if isinstance(was, np.ndarray) else was == now
        assert same, field.name
    assert np.array_equal(stored.values, image.values)
    assert (stored.height, stored.width, stored.channels) == (image.height, image.width, image.channels)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "no samples"])
@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp"])
def test_a_file_is_that_of_the_image(kind: str, suffix: str) -> None:
    image = image_of(kind)
    assert encode(StoredImage.of(image), suffix) == encode(image, suffix)


@pytest.mark.parametrize("kind", KINDS)
def test_a_part(kind: str) -> None:
    image = image_of(kind)
    part = StoredImage.of(image).cropped(slice(2, 5), slice(1, 7))
    assert np.array_equal(part.values, image.values[2:5, 1:7])
    assert part.frame.pixels.shape == part.samples.shape
    if kind == "alpha":
        alphas: Any = part.image().alpha, image.alpha
        assert np.array_equal(alphas[0], alphas[1][2:5, 1:7])


def test_a_part_has_no_thumbnail_of_the_whole() -> None:
    block = exif(1, small())
    image = Image(pixels=np.zeros((9, 7, 3), np.float32), metadata=Metadata(exif=block))
    part = StoredImage.of(image).cropped(slice(0, 4), slice(0, 4)).frame.metadata.exif
    assert part is not None
    assert seen(block) is not None
    assert seen(part) is None


def test_values_that_are_not_finite_are_not_written() -> None:
    samples: Any = np.full((9, 7, 3), np.nan, np.float32)
    with pytest.raises(PictureError, match="not finite"):
        encode(StoredImage.of(image_of("float")).with_samples(samples), ".tif")


def test_other_samples() -> None:
    stored = StoredImage.of(image_of("16-bit gray"))
    floats: Any = stored.values * np.float32(0.5)
    assert stored.with_samples(stored.samples // 2).bits == 16
    assert np.array_equal(stored.with_samples(floats).image().pixels, floats)
