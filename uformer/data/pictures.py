"""A set of pictures, checked and decoded: what patches are cut from, and what is held out to score with."""

import dataclasses
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.random import Generator

from uformer.data.pairs import Source
from uformer.data.store import Store, decode, wait_for
from uformer.errors import OptionError, PictureError
from uformer.image.image import Pixels
from uformer.image.samples import Samples

_GRAY, _COLOUR = 1, 3


class Degrader(Protocol):
    """What makes the degraded picture of a clean one (H, W, 3), and the clean one to go with it."""

    @property
    def margin(self) -> int:
        """Pixels around a patch that it wants to see."""
        ...

    def apply(self, clean: Pixels, rng: Generator, /) -> tuple[Pixels, Pixels]:
        """(degraded, clean), of the shape given."""
        ...


@dataclass(frozen=True)
class PictureSet:
    """Pictures in a store, by their positions there; `degraded` is None where a degradation makes them."""

    store: Store
    names: tuple[str, ...]
    clean: tuple[int, ...]
    degraded: tuple[int, ...] | None
    channels: tuple[int, int]
    """Of the degraded and the clean pictures; gray ones among pictures in colour count as colour."""

    def __len__(self) -> int:
        return len(self.names)

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """(height, width) of each."""
        return tuple((self.store[index].shape[0], self.store[index].shape[1]) for index in self.clean)

    def take(self, indices: Sequence[int]) -> "PictureSet":
        """Some of the pictures."""
        degraded = None if self.degraded is None else tuple(self.degraded[index] for index in indices)
        names = tuple(self.names[index] for index in indices)
        return dataclasses.replace(
            self, names=names, clean=tuple(self.clean[index] for index in indices), degraded=degraded
        )

    def split(self, count: int, *, seed: int) -> tuple["PictureSet", "PictureSet"]:
        """(the others, `count` drawn by the seed): at most a quarter are held out."""
        count = min(count, len(self) // 4)
        held = set(np.random.default_rng(seed).permutation(len(self))[:count].tolist())
        return self.take([index for index in range(len(self)) if index not in held]), self.take(sorted(held))

    def fingerprint(self) -> str:
        """Changes with the pictures' names and sizes, not with where they lie."""
        said = repr(
            [(name, self.store[index].shape) for name, index in zip(self.names, self.clean, strict=True)]
        )
        return hashlib.sha256(said.encode()).hexdigest()

    def centre(
        self, index: int, side: int, *, degradation: Degrader | None, seed: int
    ) -> tuple[Pixels, Pixels]:
        """(degraded, clean), (h, w, C) float32 in [0, 1]: the middle of a picture, at most side x side; the same on each call."""
        height, width = (min(length, side) for length in self.sizes[index])
        top, left = (
            (length - part) // 2 for length, part in zip(self.sizes[index], (height, width), strict=True)
        )
        clean = self.store[self.clean[index]]
        if self.degraded is not None:
            degraded = self.store[self.degraded[index]]
            pair = ((degraded, self.channels[0]), (clean, self.channels[1]))
            first, second = (
                cut(picture, top, left, height, width, channels=channels) for picture, channels in pair
            )
            return first, second
        if degradation is None:
            raise OptionError("clean pictures alone need a degradation, or their degraded partners")
        margin = degradation.margin
        seen = cut(clean, top, left, height, width, channels=_COLOUR, margin=margin)
        return inside(degradation.apply(seen, np.random.default_rng([seed, index])), margin)


def load(
    sources: Sequence[Source], *, smallest: int, memory: int, cache: Path | None = None, decoded: bool = False
) -> tuple[PictureSet, list[str]]:
    """Decode sources and check them: the set, and what has to be said about those left out, a line for each reason.

    Left out are pictures that cannot be read, and those with a side below `smallest` pixels. `memory` and `cache` as of
    `store.decode`; `decoded`: another process wrote the cache (`store.wait_for`). Raises OptionError where the
    pictures of a pair differ in size, channels do not agree, or nothing is left.
    """
    pairs = sources[0].degraded is not None
    files = [source.clean for source in sources] + [
        source.degraded for source in sources if source.degraded is not None
    ]
    store = (
        wait_for(cache, len(files))
        if decoded and cache is not None
        else decode(files, memory=memory, cache=cache)
    )
    count = len(sources)
    unreadable = {index % count for index in store.failures}
    readable = [index for index in range(count) if index not in unreadable]
    if pairs:
        _check_sizes(store, sources, readable)
    small = [index for index in readable if min(store[index].shape[:2]) < smallest]
    kept = [index for index in readable if index not in set(small)]
    notes = []
    if unreadable:
        notes.append(f"left out, cannot be read: {_first(list(store.failures.values()))}")
    if small:
        notes.append(
            f"left out, smaller than {smallest} x {smallest}: {_first([sources[index].name for index in small])}"
        )
    if not kept:
        raise PictureError(f"no picture is left to learn from; {'; '.join(notes)}")
    channels = (
        _channels(store, sources, [count + index for index in kept]) if pairs else _COLOUR,
        _channels(store, sources, kept),
    )
    if not pairs and channels[1] not in (_GRAY, _COLOUR):
        raise OptionError(
            f"pictures of {channels[1]} channels: degradations work on gray and RGB; give pairs (--degraded, --clean)"
        )
    found = PictureSet(
        store,
        tuple(sources[index].name for index in kept),
        tuple(kept),
        tuple(count + index for index in kept) if pairs else None,
        channels if pairs else (_COLOUR, _COLOUR),
    )
    return found, notes


def cut(
    picture: Samples, top: int, left: int, height: int, width: int, *, channels: int, margin: int = 0
) -> Pixels:
    """A piece of a picture with a margin all around, reflected beyond the picture's borders, as float32 in [0, 1].

    (height + 2 margin, width + 2 margin, channels); a gray picture is repeated where more channels are asked for.
    """
    first, last = (top - margin, left - margin), (top + height + margin, left + width + margin)
    rows, columns = (slice(max(start, 0), end) for start, end in zip(first, last, strict=True))
    piece = picture[rows, columns].astype(np.float32) / np.float32(np.iinfo(picture.dtype).max)
    before = tuple(max(-start, 0) for start in first)
    after = tuple(max(end - length, 0) for end, length in zip(last, picture.shape[:2], strict=True))
    if any(before + after):
        piece = np.pad(piece, ((before[0], after[0]), (before[1], after[1]), (0, 0)), mode="symmetric")
    return np.repeat(piece, channels, axis=2) if piece.shape[2] == 1 < channels else piece


def inside(pair: tuple[Pixels, Pixels], margin: int) -> tuple[Pixels, Pixels]:
    """A pair without its margin."""
    part = slice(margin, -margin or None)
    return pair[0][part, part], pair[1][part, part]


def _check_sizes(store: Store, sources: Sequence[Source], readable: Sequence[int]) -> None:
    for index in readable:
        clean, degraded = store[index].shape, store[len(sources) + index].shape
        if clean[:2] != degraded[:2]:
            sizes = f"{degraded[1]} x {degraded[0]} degraded, {clean[1]} x {clean[0]} clean"
            raise OptionError(
                f"{sources[index].name}: {sizes}; a pair must be of one size (`uformer data check` lists all that are not)"
            )


def _channels(store: Store, sources: Sequence[Source], positions: Sequence[int]) -> int:
    """The number of channels of some pictures: all of one number, or gray and RGB."""
    found = {store[position].shape[2]: sources[position % len(sources)].name for position in positions}
    if len(found) > 1 and set(found) != {_GRAY, _COLOUR}:
        said = ", ".join(f"{channels} in {name}" for channels, name in sorted(found.items()))
        raise OptionError(f"channels differ: {said}; expected one number, or gray and RGB")
    return max(found)


def _first(lines: Sequence[str]) -> str:
    """The number of lines, and the first few."""
    return f"{len(lines)} ({', '.join(lines[:3])}{', ...' if len(lines) > 3 else ''})"
