"""Training patches, each a pure function of the seed and its number."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from uformer.data.augment import border, draw_gradient, to_gray, turn
from uformer.data.lookalikes import draw_structure
from uformer.data.pictures import Degrader, PictureSet, cut, inside
from uformer.data.targets import Make
from uformer.errors import OptionError
from uformer.image.image import Pixels


@dataclass(frozen=True, kw_only=True)
class Patches:
    """Pairs of patches, cut at random places of random images.

    The chance of an image is proportional to the square root of its area. Patch i depends only on `seed` and
    i, whichever process cuts it and in whatever order. A resumed run continues as if it had never stopped.
    """

    pictures: PictureSet
    side: int
    """Side of a patch, in pixels. No image may be smaller."""
    seed: int
    degradation: Degrader | None = None
    """Degrades patches of clean images. Not used for pairs."""
    make: Make | None = None
    """Makes input and target from noisy patches (one of `targets.TARGETS`), to learn without clean images."""
    augment: bool = True
    """Whether patches are flipped half of the time and turned by 0 to 3 quarter turns."""
    drawn: float = 0.0
    """Share of patches that are smooth drawings, half of them not degraded. Needs a degradation."""
    structured: float = 0.0
    """Share of the photo patches with a structure drawn over them (`draw_structure`), half not degraded.

    Needs a degradation.
    """
    dry: float = 0.0
    """Share of the photo patches without a structure that are not degraded. Needs a degradation."""
    gray: float = 0.0
    """Share of patches that are gray, with all channels degraded alike. Needs a degradation."""
    mirrored: float = 0.0
    """Share of patches that end at an image border and continue mirrored (`augment.border` for each axis)."""

    _sizes: tuple[tuple[int, int], ...] = field(init=False, repr=False)
    _upto: NDArray[np.float64] = field(init=False, repr=False)
    """Cumulative probabilities of the images."""

    def __post_init__(self) -> None:
        sizes = self.pictures.sizes
        roots = np.array([height * width for height, width in sizes], float) ** 0.5
        object.__setattr__(self, "_sizes", sizes)
        object.__setattr__(self, "_upto", np.cumsum(roots) / roots.sum())

    def __getitem__(self, index: int) -> tuple[Pixels, Pixels]:
        """Return pair `index`, (degraded, clean), each (C, side, side) float32 in [0, 1].

        With `make`, the pair is what this function returns, with channels first.
        """
        rng = np.random.default_rng([self.seed, index])
        picture = self._picture(rng)
        top, left = (int(rng.integers(0, length - self.side + 1)) for length in self._sizes[picture])
        flip, quarters = (bool(rng.random() < 0.5), int(rng.integers(4))) if self.augment else (False, 0)
        turned = functools.partial(turn, flip=flip, quarters=quarters)
        if self.pictures.degraded is not None:
            degraded, clean = self._pair(picture, self.pictures.degraded[picture], top, left)
            pair = turned(degraded), turned(clean)
        elif self.degradation is not None:
            pair = self._degrade(self.degradation, picture, top, left, turned, rng)
        else:
            raise OptionError("clean images alone need a degradation, or their degraded partners")
        if self.make is not None:
            pair = self.make(*pair, rng)  # before mirroring, so that the copy of a blind spot is blind too
        if rng.random() < self.mirrored:
            rows, columns = border(rng, self.side), border(rng, self.side)
            pair = pair[0][rows[:, None], columns], pair[1][rows[:, None], columns]
        degraded, clean = (np.ascontiguousarray(patch.transpose(2, 0, 1)) for patch in pair)
        return degraded, clean

    def name(self, index: int) -> str:
        """Return the name of the image that patch `index` is cut from."""
        return self.pictures.names[self._picture(np.random.default_rng([self.seed, index]))]

    def _picture(self, rng: np.random.Generator) -> int:
        return min(int(np.searchsorted(self._upto, rng.random(), side="right")), len(self.pictures) - 1)

    def _pair(self, picture: int, degraded_place: int, top: int, left: int) -> tuple[Pixels, Pixels]:
        places = zip((degraded_place, self.pictures.clean[picture]), self.pictures.channels, strict=True)
        store, side, used = self.pictures.store, self.side, self.pictures.range_of(picture)
        degraded, clean = (
            used.to_unit(cut(store[place], top, left, side, side, channels=channels))
            for place, channels in places
        )
        return degraded, clean

    def _degrade(
        self,
        degradation: Degrader,
        picture: int,
        top: int,
        left: int,
        turned: Callable[[Pixels], Pixels],
        rng: np.random.Generator,
    ) -> tuple[Pixels, Pixels]:
        """Return a degraded pair.

        The patch is turned before it is degraded, because rain falls, and sensors and JPEG files have rows.
        """
        margin = degradation.margin
        used, degradation = self.pictures.degrading(picture, degradation)
        kind = rng.random()
        if kind < self.drawn:
            seen, dry = draw_gradient(rng, self.side + 2 * margin), kind < self.drawn / 2
        else:
            source = self.pictures.store[self.pictures.clean[picture]]
            patch = cut(source, top, left, self.side, self.side, channels=3, margin=margin)
            seen = turned(used.to_unit(patch))
            seen, dry = self._structure(seen, rng)
        gray = self.drawn <= kind < self.drawn + self.gray
        # Half of the gray patches are gray before they are degraded, the others turn gray afterwards.
        of_one_channel = gray and kind < self.drawn + self.gray / 2
        seen = to_gray(seen) if of_one_channel else seen
        degraded, clean = inside((seen, seen) if dry else degradation.apply(seen, rng), margin)
        if of_one_channel:
            return np.repeat(degraded[..., 1:2], 3, axis=2), np.repeat(clean[..., 1:2], 3, axis=2)
        return (to_gray(degraded), to_gray(clean)) if gray else (degraded, clean)

    def _structure(self, seen: Pixels, rng: np.random.Generator) -> tuple[Pixels, bool]:
        """Return a photo patch, with a structure drawn over it in some draws, and whether it is left clean.

        With both shares 0, this draws nothing from `rng`, so recipes without them keep their patches.
        """
        if self.structured > 0 and rng.random() < self.structured:
            return draw_structure(seen, rng), rng.random() < 0.5
        return seen, self.dry > 0 and rng.random() < self.dry
