"""An image of many planes: pages (time, depth, channels), or pages with more channels than RGB.

`tiff_stack` and `zarr_stack` open files of such images; `any_stack` chooses between them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from uformer.errors import PictureError
from uformer.image.samples import Samples, Values, depth_of, from_own_values, values_of
from uformer.image.value_range import sampled_planes

WritePage = Callable[[int, Samples], None]
"""Writes a page: its position and its samples. Pages must be written in order."""


@dataclass(frozen=True)
class Plane:
    """A part of a stack that the network restores at once."""

    page: int
    """Position of its page among the images of the file."""
    samples: tuple[int, ...]
    """The samples of each pixel that belong to it: one, or three for RGB."""
    channel: int
    """The channel that it shows; all planes of a channel share one range of values."""


def planes_of(channels: Sequence[int], parts: Sequence[tuple[int, ...]]) -> tuple[Plane, ...]:
    """Return the planes of all pages.

    `channels`: the channel of each page. `parts`: the samples of a pixel that are restored together, the same
    on every page; each further part counts as a channel of its own.
    """
    return tuple(
        Plane(page, samples, channel * len(parts) + number)
        for page, channel in enumerate(channels)
        for number, samples in enumerate(parts)
    )


@dataclass(frozen=True, kw_only=True)
class Stack(ABC):
    """An open image of pages of one size and type. It is for one thread."""

    name: str
    """The name in messages."""
    planes: tuple[Plane, ...]
    """In the order of the pages."""
    height: int
    width: int
    dtype: np.dtype[Any]
    """The type of the file's samples, in the byte order of this machine."""

    @property
    @abstractmethod
    def count(self) -> int:
        """Number of pages."""

    @property
    def depth(self) -> int:
        """Bits per sample, as in `Image.depth`: 8 or 16, or 32 for all types whose white is not known."""
        return depth_of(self.dtype)

    @property
    def channels(self) -> int:
        """Number of channels, each with a range of values of its own."""
        return 1 + max(plane.channel for plane in self.planes)

    @abstractmethod
    def read_page(self, page: int) -> Samples:
        """Return the samples of a page in any shape of H x W x S. Raises PictureError."""

    def read(self, page: int) -> Samples:
        """Return the samples of a page, (H, W, S) of the file's type. Raises PictureError."""
        samples = self.read_page(page).reshape(self.height, self.width, -1)
        if samples.dtype.kind == "f" and not np.isfinite(samples).all():
            raise PictureError(
                f"{self.name}: page {page + 1} has float samples that are not finite (NaN or infinity)"
            )
        return samples.astype(self.dtype, copy=False)

    def read_channels(self, page: int) -> Samples:
        """Return the samples of a page without alpha, (H, W, C) of the file's type. Raises PictureError."""
        parts = [plane.samples for plane in self.planes if plane.page == 0]
        chosen = [index for part in parts for index in part]
        return np.ascontiguousarray(self.read(page)[..., chosen])

    def sample(self, channel: int, asked: str) -> Values:
        """Return values of a channel from which its range is found. `asked`: see `value_range.choose`."""

        def read(plane: Plane, every: int) -> Values:
            return self.values(self.read(plane.page)[::every, ::every], plane)

        planes = [plane for plane in self.planes if plane.channel == channel]
        size = self.height, self.width
        return sampled_planes(planes, read, size=size, asked=asked, depth=self.depth)

    def values(self, samples: Samples, plane: Plane) -> Values:
        """Return the samples of a plane as values, (H, W, 1 or 3): as `values_of` does."""
        return values_of(samples[..., list(plane.samples)])

    def put(self, values: Values, plane: Plane, samples: Samples) -> None:
        """Replace the samples of a plane by other values. What does not change keeps every bit."""
        chosen = list(plane.samples)
        if self.depth != 32:
            values = np.rint(np.clip(values, 0, 1) * np.float32(np.iinfo(self.dtype).max))
            samples[..., chosen] = values.astype(self.dtype)
        else:
            samples[..., chosen] = from_own_values(values, samples[..., chosen])
