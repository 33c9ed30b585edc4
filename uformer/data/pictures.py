"""A set of decoded, checked images. Patches are cut from it, or it is held out to score with."""

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
from uformer.degradations.counts import CountNoise
from uformer.errors import OptionError, PictureError
from uformer.image.image import Pixels
from uformer.image.samples import UNITS_DIFFER, Samples, Values, depth_of, has_white, units_differ, values_of
from uformer.image.value_range import ValueRange, peak, range_of_samples

_GRAY, _COLOUR = 1, 3


class Degrader(Protocol):
    """Makes a degraded image from a clean one (H, W, 3), and the clean image that goes with it."""

    @property
    def margin(self) -> int:
        """Pixels that it needs around a patch."""
        ...

    def apply(self, clean: Pixels, rng: Generator, /) -> tuple[Pixels, Pixels]:
        """Return (degraded, clean), each of the shape of the input."""
        ...


@dataclass(frozen=True)
class PictureSet:
    """Images in a store, by their positions there. `degraded` is None if a degradation makes those images."""

    store: Store
    names: tuple[str, ...]
    clean: tuple[int, ...]
    degraded: tuple[int, ...] | None
    channels: tuple[int, int]
    """Channel counts of (degraded, clean) images. Gray images among colour images count as colour."""
    range: str = "auto"
    """Which values become [0, 1]: auto, full or LOW:HIGH, as for restoring."""

    def __len__(self) -> int:
        return len(self.names)

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """(height, width) of each image."""
        return tuple((self.store[index].shape[0], self.store[index].shape[1]) for index in self.clean)

    def take(self, indices: Sequence[int]) -> "PictureSet":
        """Return the images at these indices."""
        degraded = None if self.degraded is None else tuple(self.degraded[index] for index in indices)
        names = tuple(self.names[index] for index in indices)
        return dataclasses.replace(
            self, names=names, clean=tuple(self.clean[index] for index in indices), degraded=degraded
        )

    def split(self, count: int, *, seed: int) -> tuple["PictureSet", "PictureSet"]:
        """Return (the remaining images, `count` held-out images). At most a quarter of all are held out."""
        count = min(count, len(self) // 4)
        held = set(np.random.default_rng(seed).permutation(len(self))[:count].tolist())
        return self.take([index for index in range(len(self)) if index not in held]), self.take(sorted(held))

    def range_of(self, index: int) -> ValueRange:
        """Return the range of values that becomes [0, 1] in an image, or in both images of a pair.

        The degraded image of a pair decides, because restoring has no other.
        """
        place = (self.clean if self.degraded is None else self.degraded)[index]
        return self.store.range_of(place, self.range)

    def depth(self, index: int) -> int:
        """Return the bits per sample of a clean image: 8, 16, or 32 for types without a white."""
        return depth_of(self.store[self.clean[index]].dtype)

    def degrading(self, index: int, degradation: Degrader) -> tuple[ValueRange, Degrader]:
        """Return the range of values that becomes [0, 1] in a clean image, and the degradation within it.

        Noise in counts widens the range, because restoring will find that of the noisy image.
        """
        used = self.range_of(index)
        if not isinstance(degradation, CountNoise):
            return used, degradation
        largest = peak(self.depth(index))
        used = degradation.range_of_noisy(used, largest)
        return used, degradation.within(used, largest)

    def fingerprint(self) -> str:
        """Return a hash of the images' names and shapes. It does not depend on the folder they are in."""
        text = repr(
            [(name, self.store[index].shape) for name, index in zip(self.names, self.clean, strict=True)]
        )
        return hashlib.sha256(text.encode()).hexdigest()

    def centre(
        self, index: int, side: int, *, degradation: Degrader | None, seed: int
    ) -> tuple[Pixels, Pixels]:
        """Return the centre crop of an image, at most side x side, as (degraded, clean).

        Each is (h, w, C) float32 in [0, 1]. Every call returns the same values.
        """
        height, width = (min(length, side) for length in self.sizes[index])
        top, left = (
            (length - part) // 2 for length, part in zip(self.sizes[index], (height, width), strict=True)
        )
        clean, used = self.store[self.clean[index]], self.range_of(index)
        if self.degraded is not None:
            degraded = self.store[self.degraded[index]]
            pair = ((degraded, self.channels[0]), (clean, self.channels[1]))
            first, second = (
                used.to_unit(cut(image, top, left, height, width, channels=channels))
                for image, channels in pair
            )
            return first, second
        if degradation is None:
            raise OptionError("clean images alone need a degradation, or their degraded partners")
        margin = degradation.margin
        used, degradation = self.degrading(index, degradation)
        seen = used.to_unit(cut(clean, top, left, height, width, channels=_COLOUR, margin=margin))
        return inside(degradation.apply(seen, np.random.default_rng([seed, index])), margin)


def load(
    sources: Sequence[Source],
    *,
    smallest: int,
    memory: int,
    cache: Path | None = None,
    decoded: bool = False,
    noisy: bool = False,
    asked: str = "auto",
) -> tuple[PictureSet, list[str]]:
    """Decode and check images. Returns the set, and notes about skipped images, one line for each reason.

    Images that cannot be read, or that have a side below `smallest` pixels, are skipped. `memory` and `cache`
    are those of `store.decode`. With `decoded`, another process has written the cache (`store.wait_for`).
    With `noisy`, images alone are not clean ones that a degradation makes noisy. They are noisy already, and
    each becomes both sides of a pair. `asked`: the range of values, see `PictureSet.range`.
    Raises OptionError if the images of a pair differ in size or if channels differ, and PictureError if no
    image is left.
    """
    pairs = sources[0].degraded is not None
    files = [source.clean for source in sources] + [
        source.degraded for source in sources if source.degraded is not None
    ]
    pages = [source.page for source in sources] * (2 if pairs else 1)
    store = (
        wait_for(cache, len(files))
        if decoded and cache is not None
        else decode(files, pages=pages, memory=memory, cache=cache)
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
        notes.append(f"skipped unreadable images: {_first(list(store.failures.values()))}")
    if small:
        names = [sources[index].name for index in small]
        notes.append(f"skipped images smaller than {smallest} x {smallest}: {_first(names)}")
    if not kept:
        how = "; use larger images, or smaller patches (--set patch=N)" if small else ""
        raise PictureError(f"no images are left to learn from; {'; '.join(notes)}{how}")
    for index in kept:
        samples = [store[place] for place in ((count + index, index) if pairs else (index,))]
        if any(not has_white(each.dtype) for each in samples):
            range_of_pair(sources[index].name, samples, asked)  # raises now what training would raise later
    named, clean = tuple(sources[index].name for index in kept), tuple(kept)
    counted = _channels(store, sources, kept)
    if pairs or noisy:
        degraded = tuple(count + index for index in kept) if pairs else clean
        channels = _channels(store, sources, degraded), counted
        return PictureSet(store, named, clean, degraded, channels, asked), notes
    if counted not in (_GRAY, _COLOUR):
        raise OptionError(
            f"the images have {counted} channels, but degradations need gray or RGB; "
            "give pairs instead (--degraded, --clean)"
        )
    return PictureSet(store, named, clean, None, (_COLOUR, _COLOUR), asked), notes


def range_of_pair(name: str, samples: Sequence[Samples], asked: str) -> ValueRange:
    """Return the range of values of an image, or of a pair with the degraded image first.

    Raises PictureError, with the name, if float values are outside the range, or if the units of a pair
    differ.
    """
    if units_differ(*((each, not has_white(each.dtype)) for each in samples)):
        raise PictureError(f"{name}: {UNITS_DIFFER}")
    try:
        return range_of_samples(samples[0], asked)
    except PictureError as error:
        raise PictureError(f"{name}: {error}") from None


def cut(
    image: Samples, top: int, left: int, height: int, width: int, *, channels: int, margin: int = 0
) -> Values:
    """Return a crop of an image with a margin on all sides, as `values_of` its samples.

    The shape is (height + 2 margin, width + 2 margin, channels). Beyond the borders the image is reflected. A
    gray image is repeated in all channels.
    """
    first, last = (top - margin, left - margin), (top + height + margin, left + width + margin)
    rows, columns = (slice(max(start, 0), end) for start, end in zip(first, last, strict=True))
    piece = values_of(image[rows, columns])
    before = tuple(max(-start, 0) for start in first)
    after = tuple(max(end - length, 0) for end, length in zip(last, image.shape[:2], strict=True))
    if any(before + after):
        piece = np.pad(piece, ((before[0], after[0]), (before[1], after[1]), (0, 0)), mode="symmetric")
    return np.repeat(piece, channels, axis=2) if piece.shape[2] == 1 < channels else piece


def inside(pair: tuple[Pixels, Pixels], margin: int) -> tuple[Pixels, Pixels]:
    """Return a pair without its margin."""
    part = slice(margin, -margin or None)
    return pair[0][part, part], pair[1][part, part]


def _check_sizes(store: Store, sources: Sequence[Source], readable: Sequence[int]) -> None:
    for index in readable:
        clean, degraded = store[index].shape, store[len(sources) + index].shape
        if clean[:2] != degraded[:2]:
            sizes = f"{degraded[1]} x {degraded[0]} degraded, {clean[1]} x {clean[0]} clean"
            raise OptionError(
                f"{sources[index].name}: {sizes}; both must have the same size "
                "(`uformer data check` lists all such pairs)"
            )


def _channels(store: Store, sources: Sequence[Source], positions: Sequence[int]) -> int:
    """Return the channel count of some images. Raises OptionError unless it is the same, or 1 and 3."""
    found = {store[position].shape[2]: sources[position % len(sources)].name for position in positions}
    if len(found) > 1 and set(found) != {_GRAY, _COLOUR}:
        counts = ", ".join(f"{channels} in {name}" for channels, name in sorted(found.items()))
        raise OptionError(
            f"the images differ in channels: {counts}; all must have the same number, or be gray and RGB"
        )
    return max(found)


def _first(lines: Sequence[str]) -> str:
    """Return the number of lines and the first three."""
    return f"{len(lines)} ({', '.join(lines[:3])}{', ...' if len(lines) > 3 else ''})"
