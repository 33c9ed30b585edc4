"""Develops camera raw files with LibRaw, through rawpy.

This module runs in a separate process: see `external_process`. The result is like the training images:
display values with the camera's white balance, without automatic brightness, sharpening or noise reduction.
"""

import io
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uformer.image.raw import kind

_CUT_OFF = "the sensor data is damaged or cut off"
_COMPLAINTS = (b"Unexpected end of file", b"data corrupted")
"""What LibRaw prints when it replaces missing sensor data with zeros. It does not report this otherwise."""
_SRGB_CURVE = (2.4, 12.92)
"""Exponent of the sRGB curve, and its slope near black."""

_LIBRAWS_CHOICE, _NEVER = 0.75, 0.0
"""Many cameras saturate below the white level of their file, so LibRaw takes the brightest sample as white if
it reaches this share of the white level. The white level of a linear DNG is exact."""


class Raw:
    """The image of a camera raw file."""

    def __init__(self, data: bytes) -> None:
        """Read the header. Raises ValueError if LibRaw cannot read the file."""
        import rawpy  # noqa: PLC0415 - only in this process

        self._failures: tuple[type[Exception], ...] = (rawpy.LibRawError, MemoryError)
        self._raw = rawpy.RawPy()
        try:
            self._raw.open_buffer(io.BytesIO(data))
        except rawpy.LibRawIOError:
            raise ValueError(_CUT_OFF) from None
        except rawpy.LibRawFileUnsupportedError:
            raise ValueError("LibRaw does not know this kind of file, or the file is damaged") from None
        except self._failures as error:
            raise ValueError(_words(error)) from None
        self._is_dng = kind(data) == "DNG"

    def header(self) -> dict[str, Any]:
        """The header for `external.External`. The colours are those of Display P3 with the sRGB curve."""
        sizes = self._raw.sizes
        width, height = sizes.iwidth, sizes.iheight
        if sizes.flip & 4:
            width, height = height, width
        gray = self._raw.num_colors == 1
        return {
            "width": width,
            "height": height,
            "bands": 1 if gray else 3,
            "bits": 16,
            "notes": [],
            "colours": [1, 13] if gray else [12, 13],
        }

    def pixels(self) -> NDArray[Any]:
        """The samples (H, W, C) of the upright image, uint16. Raises ValueError for damaged data."""
        import rawpy  # noqa: PLC0415

        before = os.fstat(2).st_size
        try:
            is_linear = self._is_dng and self._raw.raw_type == rawpy.RawType.Stack
            samples = self._raw.postprocess(
                use_camera_wb=True,
                no_auto_bright=True,
                output_bps=16,
                output_color=rawpy.ColorSpace.P3D65,
                gamma=_SRGB_CURVE,
                adjust_maximum_thr=_NEVER if is_linear else _LIBRAWS_CHOICE,
            )
        except rawpy.LibRawIOError:
            raise ValueError(_CUT_OFF) from None
        except self._failures as error:
            raise ValueError(_words(error)) from None
        if any(words in _printed(before) for words in _COMPLAINTS):
            raise ValueError(_CUT_OFF)
        return np.asarray(samples if samples.ndim == 3 else samples[..., None])


def _printed(start: int) -> bytes:
    """The text on standard error after a position; empty if standard error is not a file."""
    try:
        os.lseek(2, start, os.SEEK_SET)
        printed = os.read(2, 2**16)
        os.lseek(2, 0, os.SEEK_END)
    except OSError:
        return b""
    return printed


def _words(error: BaseException) -> str:
    """The text of an error; LibRaw's errors hold bytes."""
    value = error.args[0] if error.args else "the data is damaged"
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
