"""Sample values: turn them upright, scale a file's samples to [0, 1], and quantise pixels back to samples."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from uformer.errors import PictureError
from uformer.image.image import Alpha, Image, Pixels

Samples = NDArray[Any]
"""(H, W, C), as a file stores them."""

Values = NDArray[Any]
"""(H, W, C), float32; float64 for samples with more bits than float32 holds."""

UNITS_DIFFER = (
    "one image of the pair has 8-bit or 16-bit unsigned samples, and the other has another type with values "
    "outside 0 to 1; store both in the same type"
)

_STRIP_ROWS = 16  # rows that are rounded at a time, to bound the memory and to stay in the cache


def turned(samples: Samples, orientation: int) -> Samples:
    """A view of the samples (H, W, C), upright."""
    if orientation in (5, 6, 7, 8):
        samples = samples.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        samples = samples[::-1]
    if orientation in (2, 3, 6, 7):
        samples = samples[:, ::-1]
    return samples


def has_white(kind: np.dtype[Any]) -> bool:
    """Whether the largest value of a type of samples means white."""
    return kind in (np.uint8, np.uint16)


def depth_of(kind: np.dtype[Any]) -> int:
    """The bits per sample of a type, as in `Image.depth`: 32 for all types whose white is not known."""
    return 8 * kind.itemsize if has_white(kind) else 32


def values_of(samples: Samples, bits: int | None = None) -> Values:
    """Samples as values: `own_values`, or float32 in [0, 1] for types that have a white.

    White is the largest number of `bits` bits, by default the largest value of the type.
    """
    if not has_white(samples.dtype):
        return own_values(samples)
    most = np.iinfo(samples.dtype).max if bits is None else (1 << bits) - 1
    values = samples.astype(np.float32)
    values /= np.float32(most)  # faster than a division that converts
    return values


def own_values(samples: Samples) -> Values:
    """Samples as values in their own units, which hold every sample of up to 32 bits exactly."""
    return samples.astype(np.result_type(samples.dtype, np.float32), copy=False)


def from_own_values(values: Values, old: Samples) -> Samples:
    """Values in the units of `old` as samples of its type: rounded, and kept within its limits.

    A sample whose value did not change keeps every bit, also one that no float holds.
    """
    kind, new = old.dtype, values.astype(np.float64)
    if kind.kind == "f":
        new = np.clip(new, np.finfo(kind).min, np.finfo(kind).max)
    else:
        most = np.nextafter(float(np.iinfo(kind).max) + 1, 0)  # float64 rounds the largest int64 up to 2^63
        new = np.clip(np.rint(new), np.iinfo(kind).min, most)
    return np.where(values == own_values(old), old, new.astype(kind))


def units_differ(*images: tuple[NDArray[Any], bool]) -> bool:
    """Whether only some images of a pair have a white, and values of the others lie outside [0, 1].

    Each image comes with whether it is float, which has no white.
    """
    kinds = {is_float for _, is_float in images}
    return len(kinds) > 1 and any(
        is_float and (values.min() < 0 or values.max() > 1) for values, is_float in images
    )


def finite(name: str, samples: Samples) -> Pixels:
    """Float samples as float32. Raises PictureError, beginning with `name`, if one is NaN or infinite."""
    with np.errstate(over="ignore"):  # a float64 too large for float32 becomes infinity, which is refused
        values = samples.astype(np.float32, copy=False)
    if not np.isfinite(values).all():
        raise PictureError(f"{name}: has float samples that are not finite (NaN or infinity)")
    return values


def scaled(
    name: str, samples: Samples, channels: int, bits: int
) -> tuple[Pixels, Alpha | None, Pixels | None]:
    """Pixels in [0, 1], alpha, and the part of float samples outside [0, 1].

    `bits`: the number of a 16-bit sample's upper bits that count.
    """
    if samples.dtype in (np.float32, np.float64):
        return _from_float(name, samples, channels)
    if not has_white(samples.dtype):
        raise PictureError(f"{name}: has samples of type {samples.dtype}, expected uint8, uint16 or float")
    pixels = np.empty((*samples.shape[:2], channels), np.float32)
    plane = np.ascontiguousarray(samples[..., channels]) if samples.shape[2] > channels else None
    if samples.dtype == np.uint8 or bits == 16:
        np.divide(
            samples[..., :channels], np.float32(np.iinfo(samples.dtype).max), out=pixels, dtype=np.float32
        )
        return pixels, plane, None
    shift, peak = 16 - bits, (1 << bits) - 1
    np.divide(samples[..., :channels] >> shift, np.float32(peak), out=pixels, dtype=np.float32)
    return (
        pixels,
        None
        if plane is None
        else (((plane >> shift).astype(np.uint32) * 65535 + peak // 2) // peak).astype(np.uint16),
        None,
    )


def _from_float(name: str, samples: Samples, channels: int) -> tuple[Pixels, Alpha | None, Pixels | None]:
    """Like `scaled`, for float samples; alpha stays unchanged."""
    values = finite(name, samples)
    pixels = np.clip(values[..., :channels], 0, 1)
    alpha = np.ascontiguousarray(values[..., channels]) if values.shape[2] > channels else None
    beyond = values[..., :channels] - pixels
    return np.ascontiguousarray(pixels), alpha, beyond if beyond.any() else None


def quantised(image: Image, bits: int, *, channels: int) -> Samples:
    """Samples (H, W, channels, plus 1 with alpha) to write.

    They are float32 for 32 bits, and otherwise the upper `bits` of uint8 or uint16.
    """
    peak = (1 << bits) - 1
    kind = np.dtype(np.uint8 if bits == 8 else np.float32 if bits == 32 else np.uint16)
    samples: Samples = np.empty((image.height, image.width, channels + (image.alpha is not None)), kind)
    for top in range(0, image.height, _STRIP_ROWS):
        rows = slice(top, top + _STRIP_ROWS)
        values = np.clip(image.pixels[rows], 0, 1)
        if bits == 32:
            samples[rows, :, :channels] = values if image.beyond is None else values + image.beyond[rows]
        else:
            samples[rows, :, :channels] = np.left_shift(
                np.rint(values * np.float32(peak)).astype(kind), -bits % 8
            )
        if image.alpha is not None:
            samples[rows, :, channels] = _alpha(image.alpha[rows], bits)
    return samples


def _alpha(alpha: Samples, bits: int) -> Samples:
    """Alpha as float for 32 bits, else rounded to its type's upper `bits`; exact if it has these bits."""
    if bits == 32:
        return (
            alpha
            if alpha.dtype == np.float32
            else (alpha / np.float32(np.iinfo(alpha.dtype).max)).astype(np.float32)
        )
    peak = (1 << bits) - 1
    if alpha.dtype == np.float32:
        plane = np.rint(np.clip(alpha, 0, 1) * np.float32(peak)).astype(np.uint32)
    else:
        source = int(np.iinfo(alpha.dtype).max)
        plane = (alpha.astype(np.uint32) * peak + source // 2) // source
    return np.left_shift(plane, -bits % 8)
