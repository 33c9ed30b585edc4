"""Planes are taken out of the samples of a page and put back."""

import dataclasses
from dataclasses import dataclass

import numpy as np

from uformer.image.samples import Samples
from uformer.image.stack import Plane, Stack


@dataclass(frozen=True, kw_only=True)
class InMemory(Stack):
    pages: Samples

    @property
    def count(self) -> int:
        return len(self.pages)

    def read_page(self, page: int) -> Samples:
        return self.pages[page]


def stack(pages: Samples, planes: tuple[Plane, ...]) -> InMemory:
    return InMemory(name="a", planes=planes, height=2, width=3, dtype=pages.dtype, pages=pages)


def test_colours_without_alpha() -> None:
    pages = np.arange(24, dtype=np.uint8).reshape(1, 2, 3, 4) * 10
    found = stack(pages, (Plane(0, (0, 1, 2), 0),))
    assert (found.depth, found.channels) == (8, 1)
    assert np.array_equal(found.read_channels(0), pages[0, ..., :3])
    samples = found.read(0).copy()
    values = found.values(samples, found.planes[0])
    assert np.array_equal(values, pages[0, ..., :3] / np.float32(255))
    found.put(values * 0 + np.float32(2), found.planes[0], samples)
    assert (samples[..., :3] == 255).all()
    assert np.array_equal(samples[..., 3], pages[0, ..., 3])


def test_channels_have_numbers() -> None:
    planes = (Plane(0, (0,), 0), Plane(0, (1,), 1))
    found = stack(np.zeros((1, 2, 3, 2), np.uint16), planes)
    assert (found.depth, found.channels) == (16, 2)
    assert dataclasses.replace(found, planes=planes[:1]).channels == 1
