"""Writes developed camera raw as linear DNG: demosaiced samples of linear light, with 16 bits.

The primaries are those of Display P3, which `develop` chooses. DNG describes them by the matrix from CIE XYZ,
as if they belonged to a camera. The white balance is already applied, so the neutral colour is (1, 1, 1).
Tags: Digital Negative Specification 1.4.
"""

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from uformer.image import exif_block
from uformer.image.color import srgb_to_linear
from uformer.image.image import Metadata, Pixels

_BYTE, _TEXT, _SHORT, _LONG, _RATIONAL, _SIGNED_RATIONAL = 1, 2, 3, 4, 5, 10
_LINEAR_RAW, _D65 = 34892, 21
_WHITE = 65535
_XYZ_TO_P3 = (2.4935, -0.9314, -0.4027, -0.8295, 1.7627, 0.0236, 0.0358, -0.0762, 0.9569)
"""Matrix from CIE XYZ to linear Display P3, row by row; white is D65."""
_CAMERA = "Uformer, linear Display P3"
"""Not the name of the real camera, whose own colour profile does not fit these samples."""
_ROWS = 256  # converted at a time, to bound the memory


def encode(pixels: Pixels, metadata: Metadata) -> bytes:
    """Return a linear DNG file of (H, W, C) display values in [0, 1], with the tags of the EXIF block.

    Gray is stored as three equal channels, because not all programs read a DNG with one.
    """
    import tifffile  # noqa: PLC0415 - takes 50 ms, and only DNG files need it

    file = io.BytesIO()
    tifffile.imwrite(
        file,
        _linear(pixels),
        photometric=_LINEAR_RAW,
        planarconfig="contig",
        metadata=None,
        software=False,
        extratags=[
            (0x0112, _SHORT, 1, 1, True),  # orientation: upright
            (50706, _BYTE, 4, bytes([1, 4, 0, 0]), True),  # DNG version
            (50707, _BYTE, 4, bytes([1, 1, 0, 0]), True),  # oldest version that a reader must know
            (50708, _TEXT, 0, _CAMERA, True),
            (50714, _SHORT, 3, (0, 0, 0), True),  # black level
            (50717, _LONG, 3, (_WHITE,) * 3, True),  # white level
            (50721, _SIGNED_RATIONAL, 9, _fractions(_XYZ_TO_P3), True),  # colour matrix
            (50778, _SHORT, 1, _D65, True),  # the light for which the matrix holds
            (50728, _RATIONAL, 3, _fractions((1, 1, 1)), True),  # as-shot neutral
            (50730, _SIGNED_RATIONAL, 1, (0, 1), True),  # baseline exposure, in stops
        ],
    )
    return exif_block.into_tiff(file.getvalue(), metadata.exif)


def _fractions(values: Sequence[float]) -> list[int]:
    """Numerators and denominators, alternating."""
    return [part for value in values for part in (round(value * 10_000), 10_000)]


def _linear(pixels: Pixels) -> NDArray[np.uint16]:
    """Samples (H, W, 3) of linear light, 0 to 65535."""
    samples = np.empty((*pixels.shape[:2], 3), np.uint16)
    for top in range(0, len(pixels), _ROWS):
        light = srgb_to_linear(np.clip(pixels[top : top + _ROWS], 0, 1))
        samples[top : top + _ROWS] = np.rint(light * np.float32(_WHITE))  # gray becomes R, G and B
    return samples
