"""YCbCr in TIFF files, converted to RGB by the tags that describe its coding (TIFF 6.0, section 21).

Under JPEG compression, libjpeg converts it. Otherwise libvips returns YCbCr as it is stored if its chroma has
full resolution; if its chroma is subsampled, libvips lets libtiff convert it, and the result is RGBA.
"""

from typing import Any

from uformer.image.ifd import (
    COMPRESSION,
    LENGTH,
    REFERENCE_BLACK_WHITE,
    TILE_WIDTH,
    WIDTH,
    YCBCR_COEFFICIENTS,
    YCBCR_SUBSAMPLING,
    Directory,
)

_REC_601 = (0.299, 0.587, 0.114)
_FULL_RANGE = (0.0, 255.0, 128.0, 255.0, 128.0, 255.0)
# TIFF's default, which makes no sense for YCbCr but which JPEG writers store.
_RGB_RANGE = (0.0, 255.0, 0.0, 255.0, 0.0, 255.0)
# libtiff decodes 4 x 4 wrongly, and the others not at all.
_SUBSAMPLINGS = {(1, 1), (1, 2), (2, 1), (2, 2), (4, 1), (4, 2)}


def objection(first: Directory, *, jpeg: bool, planar: bool) -> str | None:
    """The reason to refuse YCbCr; None if there is no reason.

    `planar`: each component is a plane of its own.
    """
    coefficients, reference = _coefficients(first), _reference(first)
    if planar:
        return "YCbCr in separate planes is not supported; convert it to RGB"
    if jpeg:
        known = _near(reference, _FULL_RANGE, 1) or reference == _RGB_RANGE
        if not (known and _near(coefficients, _REC_601, 0.001)):
            tags = "YCbCrCoefficients or ReferenceBlackWhite"
            return f"its {tags} tag contradicts the conversion that JPEG prescribes; convert it to RGB"
        return None
    if not (len(coefficients) == 3 and _near((sum(coefficients),), (1.0,), 0.01) and min(coefficients) > 0):
        return f"its YCbCrCoefficients are {_listed(coefficients)}, which is impossible; convert it to RGB"
    if not (len(reference) == 6 and _near(reference[2::2], (128.0, 128.0), 1) and _rises(reference)):
        return f"its ReferenceBlackWhite is {_listed(reference)}, which does not fit YCbCr; convert it to RGB"
    across, down = _subsampling(first)
    if (across, down) not in _SUBSAMPLINGS:
        return f"YCbCr with chroma subsampled {across} x {down} is not supported; convert it to RGB"
    if (across, down) != (1, 1) and TILE_WIDTH in first and first.integer(COMPRESSION, 1) == 1:
        # libtiff leaves most of such an image black
        return "YCbCr with subsampled chroma in uncompressed tiles is not supported; convert it to RGB"
    width, height = first.integer(WIDTH, 0), first.integer(LENGTH, 0)
    if width < across or height < down:
        size = f"{width} x {height} pixels"
        return f"{size} are too few for chroma subsampled {across} x {down}; convert it to RGB"
    return None


def to_rgb(image: Any, first: Directory) -> Any:
    """The pyvips image of YCbCr that `objection` accepted and that is not under JPEG, as RGB."""
    if _subsampling(first) != (1, 1):
        return image.extract_band(0, n=3)  # without the alpha that libtiff adds
    red, green, blue = _coefficients(first)
    low, high, *chroma = _reference(first)
    scales = [255 / (high - low), *(127 / (peak - zero) for zero, peak in (chroma[:2], chroma[2:]))]
    offsets = [-zero * scale for zero, scale in zip((low, chroma[0], chroma[2]), scales, strict=True)]
    from_blue, from_red = 2 - 2 * blue, 2 - 2 * red
    matrix = [
        [1, 0, from_red],
        [1, -from_blue * blue / green, -from_red * red / green],
        [1, from_blue, 0],
    ]
    values = image.linear(scales, offsets).recomb(matrix)
    return values.rint().cast("uchar").copy(interpretation="srgb")


def _coefficients(first: Directory) -> tuple[float, ...]:
    return first.numbers(YCBCR_COEFFICIENTS, *_REC_601)


def _reference(first: Directory) -> tuple[float, ...]:
    return first.numbers(REFERENCE_BLACK_WHITE, *_FULL_RANGE)


def _subsampling(first: Directory) -> tuple[int, ...]:
    factors = first.integers(YCBCR_SUBSAMPLING, 2, 2)
    if len(factors) != 2:
        raise ValueError(f"its YCbCrSubSampling tag has {len(factors)} values, expected 2")
    return factors


def _rises(reference: tuple[float, ...]) -> bool:
    """Whether each component's white is above its black and fits into a byte."""
    return all(black < white < 256 for black, white in zip(reference[::2], reference[1::2], strict=True))


def _near(values: tuple[float, ...], expected: tuple[float, ...], tolerance: float) -> bool:
    if len(values) != len(expected):
        return False
    return all(abs(a - b) <= tolerance for a, b in zip(values, expected, strict=True))


def _listed(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:g}" for value in values[:6]) or "empty"
