"""Makes HEIC and camera raw files for the tests, with pillow-heif and tifffile."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import tifffile

CFA, SHORT, LONG, BYTE, TEXT, RATIONAL, SIGNED_RATIONAL = 32803, 3, 4, 1, 2, 5, 10

_XYZ_TO_SRGB = (
    3.2404542,
    -1.5371385,
    -0.4985314,
    -0.969266,
    1.8760108,
    0.041556,
    0.0556434,
    -0.2040259,
    1.0572252,
)


def needs_heic() -> Any:
    """Return pillow-heif, or skip the test if it is missing."""
    return pytest.importorskip("pillow_heif", reason='needs pip install "uformer[heic]"')


def needs_raw() -> Any:
    """Return rawpy, or skip the test if it is missing."""
    return pytest.importorskip("rawpy", reason='needs pip install "uformer[raw]"')


def dng(
    linear: np.ndarray,
    *,
    orientation: int = 1,
    neutral: Sequence[float] = (1, 1, 1),
    tags: Sequence[tuple[int, int, int, Any, bool]] = (),
) -> bytes:
    """Return a Bayer DNG of linear sRGB values (H, W, 3) in [0, 1]; the camera's primaries are those of sRGB.

    `neutral`: the camera's values for white, by which the samples are multiplied.
    """
    values = np.rint(linear * np.asarray(neutral) * 65535).astype(np.uint16)
    mosaic = values[..., 1].copy()
    mosaic[0::2, 0::2], mosaic[1::2, 1::2] = values[0::2, 0::2, 0], values[1::2, 1::2, 2]
    matrix = [part for value in _XYZ_TO_SRGB for part in (round(value * 10_000), 10_000)]
    white = [part for value in neutral for part in (round(value * 10_000), 10_000)]
    file = io.BytesIO()
    tifffile.imwrite(
        file,
        mosaic,
        photometric=CFA,
        metadata=None,
        extratags=[
            (0x010F, TEXT, 0, "Acme", True),
            (0x0110, TEXT, 0, "Acme One", True),
            (0x0112, SHORT, 1, orientation, True),
            (33421, SHORT, 2, (2, 2), True),  # the pattern repeats every 2 x 2
            (33422, BYTE, 4, bytes([0, 1, 1, 2]), True),  # red, green; green, blue
            (50706, BYTE, 4, bytes([1, 4, 0, 0]), True),  # DNG 1.4
            (50707, BYTE, 4, bytes([1, 1, 0, 0]), True),
            (50708, TEXT, 0, "Acme One", True),
            (50714, SHORT, 1, 0, True),  # black
            (50717, LONG, 1, 65535, True),  # white
            (50721, SIGNED_RATIONAL, 9, matrix, True),
            (50728, RATIONAL, 3, white, True),
            (50778, SHORT, 1, 21, True),  # D65
            *tags,
        ],
    )
    return file.getvalue()


def heic(samples: np.ndarray, mode: str, *, more: Sequence[np.ndarray] = (), **options: Any) -> bytes:
    """Return a 4:4:4 HEIC file of samples (H, W, C). `mode`: pillow-heif's name; `more`: further images."""
    module = needs_heic()
    height, width = samples.shape[:2]
    file = module.from_bytes(mode=mode, size=(width, height), data=samples.tobytes())
    for each in more:
        file.add_frombytes(mode=mode, size=(each.shape[1], each.shape[0]), data=each.tobytes())
    out = io.BytesIO()
    file.save(out, **({"quality": -1, "chroma": 444, "matrix_coefficients": 0} | options))
    return out.getvalue()


def ramp(height: int = 64, width: int = 96) -> np.ndarray:
    """Return gray values (H, W, 3) in [0, 1] that rise from left to right."""
    return np.broadcast_to(np.linspace(0, 1, width)[None, :, None], (height, width, 3)).copy()
