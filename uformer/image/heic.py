"""Decodes HEIC and HEIF images with libheif, through pillow-heif.

This module runs in a separate process: see `external_process`. libheif applies the file's rotation and
mirroring, so the pixels are upright, and the orientation in EXIF is ignored.
"""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

_BANDS = {"L": 1, "LA": 2, "La": 2, "RGB": 3, "RGBA": 4, "RGBa": 4}
"""Number of channels for each mode of pillow-heif, without the suffix ";16"."""


class Heic:
    """The primary image of a HEIC file."""

    def __init__(self, data: bytes) -> None:
        """Read the header. Raises ValueError if the file is damaged."""
        import pillow_heif  # noqa: PLC0415 - only in this process

        try:
            file = pillow_heif.open_heif(io.BytesIO(data), convert_hdr_to_8bit=False)
            self._count, self._image = len(file), file[file.primary_index]
            self._mode = "L;16" if self._image.mode == "I;16" else self._image.mode
        except (EOFError, IndexError, KeyError, RuntimeError, SyntaxError, TypeError) as error:
            raise ValueError(_words(error)) from None
        if self._mode.removesuffix(";16") not in _BANDS:
            raise ValueError(f"the mode {self._mode} is not supported")

    def header(self) -> dict[str, Any]:
        """The header for `external.External`, with the code points of the colour space (ITU-T H.273)."""
        info: dict[str, Any] = dict(self._image.info)
        width, height = self._image.size
        nclx: dict[str, int] = info.get("nclx_profile") or {}
        notes = []
        if info.get("depth_images"):
            notes.append("holds a depth map; it is dropped")
        auxiliary = " ".join(str(name) for name in info.get("aux") or ())
        if "gainmap" in auxiliary.lower():
            notes.append("holds an HDR gain map; it is dropped")
        elif auxiliary:
            notes.append("holds auxiliary images; they are dropped")
        return {
            "width": width,
            "height": height,
            "bands": _BANDS[self._mode.removesuffix(";16")],
            "bits": int(info.get("bit_depth", 8)) if self._mode.endswith(";16") else 8,
            "frames": self._count,
            "notes": notes,
            "icc": info.get("icc_profile"),
            "exif": info.get("exif"),
            "xmp": info.get("xmp"),
            "colours": [nclx.get("color_primaries", 2), nclx.get("transfer_characteristics", 2)],
        }

    def pixels(self) -> NDArray[Any]:
        """The samples (H, W, C), uint8 or uint16; 10 and 12 bits use the upper bits of 16."""
        try:
            samples = np.asarray(self._image)
        except (EOFError, RuntimeError, SyntaxError, TypeError) as error:
            raise ValueError(_words(error)) from None
        samples = samples if samples.ndim == 3 else samples[..., None]
        return _unassociated(samples) if "a" in self._mode else samples


def _unassociated(samples: NDArray[Any]) -> NDArray[Any]:
    """Undo premultiplied alpha: divide the colours by the last channel."""
    alpha = samples[..., -1:].astype(np.float32)
    most = np.iinfo(samples.dtype).max
    colours = np.minimum(samples[..., :-1] * (most / np.maximum(alpha, 1)), most)
    return np.concatenate([np.rint(colours).astype(samples.dtype), samples[..., -1:]], axis=2)


def _words(error: BaseException) -> str:
    """The text of an error, never empty."""
    return str(error) or "the data is damaged"
