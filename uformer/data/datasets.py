"""Patches to learn from, each a pure function of the seed and its number."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from uformer.data.augment import border, draw_gradient, to_gray, turn
from uformer.data.lookalikes import draw_structure
from uformer.data.pictures import Degrader, PictureSet, cut, inside
from uformer.errors import OptionError
from uformer.image.image import Pixels


@dataclass(frozen=True, kw_only=True)
class Patches:
    """Pairs of patches cut at random places of random pictures, those of larger ones more often (by the square root of their area).

    Patch i depends on `seed` and i alone: whoever draws it, in whatever order, gets the same, so a run that is resumed goes on
    as if it had never stopped.
    """

    pictures: PictureSet
    side: int
    """Pixels; no picture may be smaller."""
    seed: int
    degradation: Degrader | None = None
    """Makes the degraded patch, where the pictures are not pairs."""
    augment: bool = True
    """Flip half of the time, and turn by 0 to 3 quarters."""
    drawn: float = 0.0
    """Share of patches that are smooth drawings, half of them not degraded; with a degradation only."""
    structured: float = 0.0
    """Share of the photographs over which a structure is drawn (`draw_structure`), half of them not degraded.

    With a degradation only.
    """
    dry: float = 0.0
    """Share of the photographs without a structure that are not degraded; with a degradation only."""
    gray: float = 0.0
    """Share of patches that are gray, and degraded in all channels alike; with a degradation only."""
    mirrored: float = 0.0
    """Share of patches that end at a picture's border and go on mirrored (`augment.border`), down and across alike."""

    _sizes: tuple[tuple[int, int], ...] = field(init=False, repr=False)
    _upto: NDArray[np.float64] = field(init=False, repr=False)
    """For each picture, the chance of it or one before it."""

    def __post_init__(self) -> None:
        sizes = self.pictures.sizes
        roots = np.array([height * width for height, width in sizes], float) ** 0.5
        object.__setattr__(self, "_sizes", sizes)
        object.__setattr__(self, "_upto", np.cumsum(roots) / roots.sum())

    def __getitem__(self, index: int) -> tuple[Pixels, Pixels]:
        """(degraded, clean) number `index`, each (C, side, side) float32 in [0, 1]."""
        rng = np.random.default_rng([self.seed, index])
        picture = self._picture(rng)
        top, left = (int(rng.integers(0, length - self.side + 1)) for length in self._sizes[picture])
        flip, quarters = (bool(rng.random() < 0.5), int(rng.integers(4))) if self.augment else (False, 0)
        turned = functools.partial(turn, flip=flip, quarters=quarters)
        if self.pictures.degraded is not None:
            degraded, clean = self._pair(
                self.pictures.degraded[picture], self.pictures.clean[picture], top, left
            )
            pair = turned(degraded), turned(clean)
        elif self.degradation is not None:
            pair = self._degrade(self.degradation, picture, top, left, turned, rng)
        else:
            raise OptionError("clean pictures alone need a degradation, or their degraded partners")
        if rng.random() < self.mirrored:
            rows, columns = border(rng, self.side), border(rng, self.side)
            pair = pair[0][rows[:, None], columns], pair[1][rows[:, None], columns]
        degraded, clean = (np.ascontiguousarray(patch.transpose(2, 0, 1)) for patch in pair)
        return degraded, clean

    def name(self, index: int) -> str:
        """The picture that patch `index` is cut from."""
        return self.pictures.names[self._picture(np.random.default_rng([self.seed, index]))]

    def _picture(self, rng: np.random.Generator) -> int:
        return min(int(np.searchsorted(self._upto, rng.random(), side="right")), len(self.pictures) - 1)

    def _pair(self, degraded_place: int, clean_place: int, top: int, left: int) -> tuple[Pixels, Pixels]:
        places = zip((degraded_place, clean_place), self.pictures.channels, strict=True)
        store, side = self.pictures.store, self.side
        degraded, clean = (
            cut(store[place], top, left, side, side, channels=channels) for place, channels in places
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
        """Turned before it is degraded: rain falls, and sensors and JPEG files have rows."""
        margin = degradation.margin
        kind = rng.random()
        if kind < self.drawn:
            seen, dry = draw_gradient(rng, self.side + 2 * margin), kind < self.drawn / 2
        else:
            source = self.pictures.store[self.pictures.clean[picture]]
            seen = turned(cut(source, top, left, self.side, self.side, channels=3, margin=margin))
            seen, dry = self._structure(seen, rng)
        gray = self.drawn <= kind < self.drawn + self.gray
        of_one_channel = gray and kind < self.drawn + self.gray / 2  # a gray image; else an image turned gray
        seen = to_gray(seen) if of_one_channel else seen
        degraded, clean = inside((seen, seen) if dry else degradation.apply(seen, rng), margin)
        if of_one_channel:
            return np.repeat(degraded[..., 1:2], 3, axis=2), np.repeat(clean[..., 1:2], 3, axis=2)
        return (to_gray(degraded), to_gray(clean)) if gray else (degraded, clean)

    def _structure(self, seen: Pixels, rng: np.random.Generator) -> tuple[Pixels, bool]:
        """A patch of a photograph, at times with a structure drawn over it, and whether it stays as it is.

        Draws nothing from `rng` where both shares are 0, so that recipes without them keep their patches.
        """
        if self.structured > 0 and rng.random() < self.structured:
            return draw_structure(seen, rng), rng.random() < 0.5
        return seen, self.dry > 0 and rng.random() < self.dry
