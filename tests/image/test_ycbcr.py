"""YCbCr in TIFF against a conversion in floating point, and against Pillow."""

import io
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from tests.image.tiffs import RATIONAL, Tag, offsets, subsampled, tiff
from uformer.errors import PictureError
from uformer.image.ifd import STRIP_BYTES, STRIP_OFFSETS, Directory
from uformer.image.read import header, read, read_samples
from uformer.image.regions import regions

RNG = np.random.default_rng(5)
REC_601 = (0.299, 0.587, 0.114)
REC_709 = (0.2125, 0.7154, 0.0721)
FULL = (0, 255, 128, 255, 128, 255)
VIDEO = (16, 235, 128, 240, 128, 240)
COEFFICIENTS, SUBSAMPLING, REFERENCE = 529, 530, 532


def ycc(height: int = 18, width: int = 22) -> np.ndarray:
    values = RNG.integers(0, 256, (height, width, 3))
    values[..., 1:] = values[..., 1:] // 4 + 96
    values[0, 0], values[0, 1] = (0, 128, 128), (255, 128, 128)
    return values.astype(np.uint8)


def to_rgb(
    values: np.ndarray, coefficients: Sequence[float] = REC_601, reference: Sequence[float] = FULL
) -> np.ndarray:
    """The conversion of TIFF 6.0, section 21: codes to values, then solved for R, B and G."""
    luma, blue, red = np.moveaxis(values.astype(float), -1, 0)
    luma = (luma - reference[0]) * 255 / (reference[1] - reference[0])
    blue = (blue - reference[2]) * 127 / (reference[3] - reference[2])
    red = (red - reference[4]) * 127 / (reference[5] - reference[4])
    r = red * (2 - 2 * coefficients[0]) + luma
    b = blue * (2 - 2 * coefficients[2]) + luma
    g = (luma - coefficients[2] * b - coefficients[0] * r) / coefficients[1]
    return np.clip(np.stack([r, g, b], axis=-1), 0, 255)


def fractions(values: Sequence[float]) -> Tag:
    return RATIONAL, [(round(value * 10_000), 10_000) for value in values]


def file(values: np.ndarray, factors: tuple[int, int] = (1, 1), **more: Tag) -> tuple[bytes, np.ndarray]:
    data, meant = subsampled(values, *factors)
    tags: dict[int, Tag] = {SUBSAMPLING: (3, factors)} | {int(tag[1:]): field for tag, field in more.items()}
    return tiff(
        [data], width=values.shape[1], height=values.shape[0], photometric=6, samples=3, tags=tags
    ), meant


def levels(data: bytes) -> np.ndarray:
    image = read(data)
    assert (image.channels, image.alpha, image.depth) == (3, None, 8)
    head = header(data)
    assert (head.channels, head.alpha) == (3, False)
    return np.asarray(np.rint(image.pixels * 255))


@pytest.mark.parametrize("factors", [(1, 1), (1, 2), (2, 1), (2, 2), (4, 1), (4, 2)])
@pytest.mark.parametrize("shape", [(16, 16), (13, 11), (5, 9), (33, 7)])
def test_each_subsampling(factors: tuple[int, int], shape: tuple[int, int]) -> None:
    data, meant = file(ycc(*shape), factors)
    np.testing.assert_allclose(levels(data), to_rgb(meant), atol=0.51)
    if factors != (1, 1):  # Pillow leaves this to libtiff too
        np.testing.assert_array_equal(
            levels(data), np.asarray(PIL.Image.open(io.BytesIO(with_deflate(data))).convert("RGB"))
        )


def with_deflate(data: bytes) -> bytes:
    """The same file declared as packed, because Pillow uses libtiff only for packed files."""
    first = Directory(data)
    start, length = first.integer(STRIP_OFFSETS, 0), first.integer(STRIP_BYTES, 0)
    return tiff(
        [zlib.compress(data[start : start + length])],
        width=first.integer(256, 0),
        height=first.integer(257, 0),
        photometric=6,
        samples=3,
        tags={259: (3, [8]), SUBSAMPLING: (3, first.integers(SUBSAMPLING))},
    )


def test_black_stays_black_under_lzw() -> None:
    values = ycc()
    buffer = io.BytesIO()
    PIL.Image.fromarray(values, "RGB").save(
        buffer, "TIFF", compression="tiff_lzw", tiffinfo={262: 6, SUBSAMPLING: (1, 1)}
    )
    data = buffer.getvalue()
    for image in (levels(data), read_samples(data)):
        np.testing.assert_allclose(image, to_rgb(values), atol=0.51)
        assert image[0, 0].tolist() == [0, 0, 0]
        assert image[0, 1].tolist() == [255, 255, 255]
    pillow = np.asarray(PIL.Image.frombytes("YCbCr", (22, 18), values.tobytes()).convert("RGB")).astype(int)
    assert np.abs(levels(data) - pillow).max() <= 1


@pytest.mark.parametrize("factors", [(1, 1), (2, 2)])
@pytest.mark.parametrize(("coefficients", "reference"), [(REC_709, FULL), (REC_601, VIDEO), (REC_709, VIDEO)])
def test_coefficients_and_reference(factors: tuple[int, int], coefficients: tuple, reference: tuple) -> None:
    data, meant = file(ycc(), factors, _529=fractions(coefficients), _532=fractions(reference))
    # libtiff, which converts subsampled chroma, rounds each component before scaling it
    np.testing.assert_allclose(
        levels(data), to_rgb(meant, coefficients, reference), atol=0.51 if factors == (1, 1) else 3
    )


def test_subsampling_is_2_x_2_where_the_file_does_not_say() -> None:
    values = ycc(16, 16)
    data, meant = subsampled(values, 2, 2)
    whole = tiff([data], width=16, height=16, photometric=6, samples=3)
    np.testing.assert_allclose(levels(whole), to_rgb(meant), atol=0.51)


@pytest.mark.parametrize("factors", [(1, 1), (2, 2)])
def test_strips_and_tiles(factors: tuple[int, int]) -> None:
    values = ycc(32, 48)
    parts = [subsampled(values[row : row + 8], *factors) for row in range(0, 32, 8)]
    strips = [part for part, _ in parts]
    data = tiff(
        strips, width=48, height=32, photometric=6, samples=3, tags={SUBSAMPLING: (3, factors), 278: (4, [8])}
    )
    np.testing.assert_allclose(levels(data), to_rgb(np.concatenate([meant for _, meant in parts])), atol=0.51)
    tiles = [
        subsampled(values[row : row + 16, left : left + 16], *factors)[0]
        for row in (0, 16)
        for left in (0, 16, 32)
    ]
    tags: dict[int, Tag | None] = {
        SUBSAMPLING: (3, factors),
        273: None,
        278: None,
        279: None,
        322: (4, [16]),
        323: (4, [16]),
    }
    for compression, pieces in ((8, [zlib.compress(each) for each in tiles]), (1, tiles)):
        tags |= {259: (3, [compression]), 324: (4, offsets(pieces)), 325: (4, list(map(len, pieces)))}
        data = tiff(pieces, width=48, height=32, photometric=6, samples=3, tags=tags)
        if compression == 1 and factors != (1, 1):
            with pytest.raises(PictureError, match="in uncompressed tiles is not supported"):
                read(data)
        else:
            np.testing.assert_allclose(levels(data), to_rgb(subsampled(values, *factors)[1]), atol=0.51)


@pytest.mark.parametrize("factors", [(1, 1), (2, 2)])
def test_damaged_data_are_refused(factors: tuple[int, int]) -> None:
    data, _ = subsampled(ycc(16, 16), *factors)
    tags: dict[int, Tag | None] = {259: (3, [8]), SUBSAMPLING: (3, factors)}
    with pytest.raises(PictureError, match=r"its pixel data \(deflate\) is damaged or too short"):
        read(tiff([zlib.compress(data)[:-60]], width=16, height=16, photometric=6, samples=3, tags=tags))


@pytest.mark.parametrize("factors", [(1, 1), (2, 2)])
@pytest.mark.parametrize("orientation", [1, 2, 6])
def test_all_ways_of_reading_agree(factors: tuple[int, int], orientation: int, tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(file(ycc(130, 40), factors, _274=(3, [orientation]))[0])
    whole = read(path)
    np.testing.assert_array_equal(read_samples(path), np.rint(whole.pixels * 255))
    with regions(path, folder=tmp_path) as rows:
        assert (rows.frame.channels, rows.frame.alpha, rows.frame.height) == (3, None, whole.height)
        step = 20
        for first in (*range(0, whole.height, step), 0):  # and back, which decodes again
            last = min(first + step, whole.height)
            np.testing.assert_array_equal(rows.part(first, last).pixels, whole.pixels[first:last])


@pytest.mark.parametrize(("factors", "pillow"), [((1, 1), 0), ((2, 1), 1), ((2, 2), 2)])
def test_under_jpeg(factors: tuple[int, int], pillow: int) -> None:
    smooth = np.stack([np.add.outer(np.arange(32) * 3, np.arange(48) * 2)] * 3, axis=-1).astype(np.uint8)
    smooth[..., 1] = 255 - smooth[..., 1]
    buffer = io.BytesIO()
    PIL.Image.fromarray(smooth).save(buffer, "JPEG", quality=95, subsampling=pillow)
    decoded = np.asarray(PIL.Image.open(buffer)).astype(int)
    for reference in (
        FULL,
        (0, 255, 0, 255, 0, 255),
    ):  # the second is TIFF's default, which makes no sense here; all readers ignore it
        tags: dict[int, Tag | None] = {
            259: (3, [7]),
            SUBSAMPLING: (3, factors),
            REFERENCE: fractions(reference),
        }
        data = tiff([buffer.getvalue()], width=48, height=32, photometric=6, samples=3, tags=tags)
        assert np.abs(levels(data) - decoded).max() <= 2


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        (
            {SUBSAMPLING: (3, [4, 4])},
            "YCbCr with chroma subsampled 4 x 4 is not supported; convert it to RGB",
        ),
        ({SUBSAMPLING: (3, [1, 4])}, "subsampled 1 x 4 is not supported"),
        ({SUBSAMPLING: (3, [3, 1])}, "subsampled 3 x 1 is not supported"),
        ({SUBSAMPLING: (3, [2])}, "its YCbCrSubSampling tag has 1 values, expected 2"),
        (
            {COEFFICIENTS: fractions((0.5, 0.5, 0.5))},
            "its YCbCrCoefficients are 0.5, 0.5, 0.5, which is impossible",
        ),
        ({COEFFICIENTS: fractions((0, 1, 0))}, "its YCbCrCoefficients are 0, 1, 0, which is impossible"),
        ({COEFFICIENTS: fractions((0.3, 0.7))}, "its YCbCrCoefficients are 0.3, 0.7, which is impossible"),
        (
            {REFERENCE: fractions((0, 255, 0, 255, 0, 255))},
            "its ReferenceBlackWhite is 0, 255, 0, 255, 0, 255, which does not fit YCbCr",
        ),
        ({REFERENCE: fractions((255, 0, 128, 255, 128, 255))}, "which does not fit YCbCr"),
        ({REFERENCE: fractions((0, 255, 128, 128, 128, 255))}, "which does not fit YCbCr"),
        ({REFERENCE: fractions((0, 255))}, "which does not fit YCbCr"),
        ({284: (3, [2])}, "YCbCr in separate planes is not supported"),
        (
            {259: (3, [7]), COEFFICIENTS: fractions(REC_709)},
            "tag contradicts the conversion that JPEG prescribes",
        ),
        ({259: (3, [7]), REFERENCE: fractions(VIDEO)}, "tag contradicts the conversion that JPEG prescribes"),
        ({277: (3, [4]), 258: (3, [8] * 4)}, "8-bit YCbCr with 4 channels is not supported; 3 expected"),
        ({258: (3, [16] * 3)}, "16-bit YCbCr is not supported"),
    ],
)
def test_what_is_refused(tags: dict[int, Tag], said: str) -> None:
    data = tiff([bytes(5000)], width=16, height=16, photometric=6, samples=3, tags=tags)
    with pytest.raises(PictureError, match="^image: cannot be read as TIFF: .*") as error:
        read(data)
    assert said in str(error.value)


def test_fewer_pixels_than_a_block_are_refused() -> None:
    with pytest.raises(PictureError, match="1 x 1 pixels are too few for chroma subsampled 2 x 2"):
        read(file(ycc(2, 2)[:1, :1], (2, 2))[0])
