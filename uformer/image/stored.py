"""An image whose pixels are kept as the samples of its file: with 8 bits, a quarter of the memory."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from uformer.image import thumbnail
from uformer.image.image import Image, Pixels
from uformer.image.samples import Samples, quantised, values_of
from uformer.image.value_range import peak

_BITS = {8: (8,), 16: (16, 12, 10), 32: ()}
"""Bits per sample that the file of an image of each depth may have had; AVIF and HEIC have 10 or 12."""
_ROWS = 64  # rows that are converted at a time, to bound the memory


@dataclass(frozen=True, kw_only=True, eq=False)
class StoredImage:
    """The same as an `Image`, which `image` returns with every value to the last bit."""

    frame: Image
    """All of the image but its pixels, which are zeros that take no memory."""
    samples: Samples
    """(H, W, C) of uint8 or uint16; float32, if the values are not those of an integer type."""
    bits: int
    """A value is a sample divided by the largest number of so many bits; with 32, it is the sample."""

    @classmethod
    def of(cls, image: Image) -> "StoredImage":
        """Return an image in this form."""
        for bits in _BITS[image.depth]:
            if (samples := _exact(image.pixels, bits)) is not None:
                return cls(frame=_frame(image), samples=samples, bits=bits)
        return cls(frame=_frame(image), samples=image.values, bits=32)

    @property
    def height(self) -> int:
        return self.frame.height

    @property
    def width(self) -> int:
        return self.frame.width

    @property
    def channels(self) -> int:
        return self.frame.channels

    @property
    def depth(self) -> int:
        """Bits per sample, as in `Image.depth`."""
        return self.frame.depth

    @property
    def suffix(self) -> str:
        return self.frame.suffix

    @property
    def values(self) -> Pixels:
        """The values, as in `Image.values`."""
        return values_of(self.samples, self.bits)

    def image(self) -> Image:
        """Return the image with its pixels as float32."""
        return self.frame.with_values(self.values)

    def with_samples(self, samples: Samples) -> "StoredImage":
        """Return the same image with other samples: of the same type, or values of type float32."""
        return dataclasses.replace(self, samples=samples, bits=self.bits if samples.dtype.kind == "u" else 32)

    def cropped(self, rows: slice, columns: slice) -> "StoredImage":
        """Return a part of the image, without its thumbnail, which would show the whole."""
        part, metadata = self._part(rows, columns), self.frame.metadata
        exif = metadata.exif and thumbnail.without(metadata.exif)
        frame = dataclasses.replace(part.frame, metadata=dataclasses.replace(metadata, exif=exif))
        return dataclasses.replace(part, frame=frame)

    def _part(self, rows: slice, columns: slice) -> "StoredImage":
        samples = np.ascontiguousarray(self.samples[rows, columns])
        alpha: Any = self.frame.alpha  # mypy does not follow a union of arrays
        frame = dataclasses.replace(
            self.frame,
            pixels=np.broadcast_to(np.float32(0), samples.shape),
            alpha=None if alpha is None else np.ascontiguousarray(alpha[rows, columns]),
        )
        return dataclasses.replace(self, frame=frame, samples=samples)

    def quantised(self, bits: int, *, channels: int) -> Samples:
        """Return the samples to write, as `samples.quantised` does for an Image."""
        if self.bits == bits < 32 and channels == self.channels and self.frame.alpha is None:
            return self.samples
        parts = [quantised(part, bits, channels=channels) for part in self._parts()]
        return np.concatenate(parts)

    def _parts(self) -> Iterator[Image]:
        """Yield images of a few rows."""
        for top in range(0, self.height, _ROWS):
            yield self._part(slice(top, top + _ROWS), slice(None)).image()


def _frame(image: Image) -> Image:
    return dataclasses.replace(image, pixels=np.broadcast_to(np.float32(0), image.pixels.shape), beyond=None)


def _exact(pixels: Pixels, bits: int) -> Samples | None:
    """Return integer samples from which the pixels can be computed again exactly; None if there are none."""
    samples = np.empty(pixels.shape, np.uint8 if bits == 8 else np.uint16)
    for top in range(0, len(pixels), _ROWS):
        part = pixels[top : top + _ROWS]
        rounded = np.rint(part * np.float32(peak(bits))).astype(samples.dtype)
        if not np.array_equal(values_of(rounded, bits), part):
            return None
        samples[top : top + _ROWS] = rounded
    return samples
