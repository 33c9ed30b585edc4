"""The images of a protocol: found in the folders as published, and read one by one later."""

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol as Interface

import numpy as np

from uformer.degradations.noise import gaussian_noise
from uformer.errors import OptionError, PictureError
from uformer.evaluate import matlab, pairing
from uformer.evaluate.pairing import Pair
from uformer.evaluate.protocols import Protocol
from uformer.files import require_folder
from uformer.image import value_range
from uformer.image.formats import TIFF
from uformer.image.image import Image, Pixels
from uformer.image.page_reader import PageReader, is_data, page_count
from uformer.image.read import read, read_samples
from uformer.image.samples import UNITS_DIFFER, Samples, Values, depth_of, has_white, units_differ, values_of
from uformer.image.stack import Stack
from uformer.image.value_range import MOST_OUTSIDE, share_outside
from uformer.notices import Notify, warn
from uformer.words import counted


@dataclass(frozen=True, eq=False, kw_only=True)
class LoadedPair:
    """A degraded image and its ground truth, (H, W, C) and of the same size.

    They are in [0, 1], except for values outside that a pair of float files holds.
    """

    degraded: Values
    clean: Values
    depth: int = 8
    """Bits per sample of the degraded file: 8, 16, or 32 for types without a white."""
    source: Image | Samples | None = None
    """What the restored image is saved like: the degraded image, or its samples if they are a page of a type
    without a white."""
    samples: tuple[Values, Values] | None = None
    """For a page of a pair of stacks: values of its channel in both, from which the ranges of all pages are
    found."""

    def sampled(self) -> tuple[Values, Values]:
        """Return values of the degraded and of the clean image, from which their ranges are found."""
        return self.samples or (value_range.sampled(self.degraded), value_range.sampled(self.clean))


class Load(Interface):
    """Reads a degraded image and its ground truth.

    `channels` is the number of channels of the network; the images have as many if it is neither 1 nor 3.
    Otherwise they are RGB, except for pairs of two gray files. `notify` receives notices about what reading
    leaves out. Raises PictureError.
    """

    def __call__(self, channels: int = 3, notify: Notify = warn, /) -> LoadedPair: ...


@dataclass(frozen=True)
class Case:
    """A degraded image and its ground truth, not yet read."""

    subset: str
    """The row of the table that it belongs to; "" if there is only one."""
    name: str
    folders: tuple[Path, ...]
    """The folders of its files."""
    load: Load
    suffix: str = ".png"
    """Suffix of the file that a restored image is saved in."""


def find_cases(protocol: Protocol, folder: Path, clean: Path | None = None) -> list[Case]:
    """Return every image of a scored protocol in order, at least one.

    `clean`: the folder of clean images, if `folder` holds only the degraded ones. For pairs, both may also be
    images. Each page of a stack counts as an image. Raises OptionError if the folder does not hold what the
    protocol needs; the message names the expected files and the source of the data. Raises PictureError if a
    folder or a .mat file cannot be read.
    """
    if clean is None or not pairing.is_image(folder):
        require_folder(folder, protocol.how_to_get())
    if clean is not None:
        if protocol.kind != "pairs":
            raise OptionError(f"{clean}: {protocol.name} takes one folder; {protocol.how_to_get()}")
        found = list(_of_pairs(pairing.pairs_of(folder, clean), own_depth=protocol.scoring.own_depth))
    elif protocol.kind == "noise":
        found = list(_of_clean(folder, protocol))
    elif protocol.kind == "sidd":
        found = _of_blocks(folder, protocol)
    else:
        pairs = pairing.pairs_in(folder, protocol.layouts)
        found = list(_of_pairs(pairs, own_depth=protocol.scoring.own_depth))
    if not found:
        raise OptionError(f"{folder}: no images in a layout of {protocol.name}; {protocol.how_to_get()}")
    return found


def check_files(folder: Path, names: Iterable[str], protocol: Protocol) -> None:
    """Raise OptionError if a file is missing; the message names the missing files and where to get them."""
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise OptionError(f"{folder}: missing {', '.join(missing[:3])}{more}; {protocol.how_to_get()}")


def read_rgb(path: Path, notify: Notify = warn) -> Pixels:
    """Read an image as (H, W, 3) in [0, 1]; gray is repeated three times, alpha is dropped.

    Float values outside [0, 1] are clipped. Raises PictureError, also if there are many of them.
    """
    image = read(path, notify=notify)
    if image.beyond is not None and (share := share_outside(image.values)):
        if share > MOST_OUTSIDE:
            raise PictureError(
                f"{path}: {share:.0%} of its float samples lie outside 0 to 1; scale them so that white is 1"
            )
        notify(f"{path}: has samples outside 0 to 1; they are clipped")
    pixels = image.pixels
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels


def read_gray(path: Path, notify: Notify = warn) -> Pixels:
    """Read the luma (Rec. 601) of an image as (H, W, 1) in [0, 1], in 8-bit levels like MATLAB's rgb2gray.

    Raises PictureError.
    """
    luma = read_rgb(path, notify) @ np.array([[0.299], [0.587], [0.114]], np.float32)
    return np.rint(luma * 255).astype(np.float32) / np.float32(255)


def read_channels(path: Path, channels: int, notify: Notify = warn) -> tuple[Pixels, int, Image | None]:
    """Read an image for a network with this many channels, with the values of its file (`Image.values`).

    Returns the values (H, W, C), the bits per sample, and the image. For networks with 1 and 3 channels, the
    image is gray or RGB. Otherwise C is the number of channels of the TIFF file, and there is no Image.
    Raises PictureError.
    """
    if channels in (1, 3):
        image = read(path, notify=notify)
        return image.values, image.depth, image
    samples = read_samples(path)
    return values_of(samples), depth_of(samples.dtype), None


def _of_clean(folder: Path, protocol: Protocol) -> Iterable[Case]:
    for sigma in protocol.sigmas:
        for index, path in enumerate(pairing.pictures_in(folder)):
            load = functools.partial(
                _load_noisy,
                folder / path,
                sigma,
                index,
                gray=protocol.scoring.gray,
                rounded=protocol.noise_rounded,
            )
            yield Case(f"sigma {sigma:g}", path.stem, (folder,), load)


def _load_noisy(
    path: Path,
    sigma: float,
    seed: int,
    _channels: int = 3,
    notify: Notify = warn,
    /,
    *,
    gray: bool,
    rounded: bool,
) -> LoadedPair:
    clean = read_gray(path, notify) if gray else read_rgb(path, notify)
    noisy = gaussian_noise(clean, np.random.default_rng(seed), sigma=sigma)
    if rounded:
        noisy = np.rint(np.clip(noisy, 0, 1) * 255).astype(np.float32) / np.float32(255)
    return LoadedPair(degraded=noisy, clean=clean)


def _of_pairs(pairs: list[Pair], *, own_depth: bool) -> Iterable[Case]:
    for pair in pairs:
        lie_in = (pair.degraded.parent, pair.clean if pair.is_alone else pair.clean.parent)
        if own_depth and (pages := _of_stacks(pair, lie_in)):
            yield from pages
            continue
        load = _load_in_own_depth if own_depth else _load_pair
        suffix = ".tif" if own_depth and pair.degraded.suffix.lower() in TIFF.suffixes else ".png"
        yield Case("", pair.name, lie_in, functools.partial(load, pair), suffix)


def _load_pair(pair: Pair, _channels: int = 3, notify: Notify = warn, /) -> LoadedPair:
    """Read a pair as RGB, as published protocols do."""
    _check_partner(pair)
    degraded, clean = read_rgb(pair.degraded, notify), read_rgb(pair.clean, notify)
    _check_shapes(pair, degraded, clean)
    return LoadedPair(degraded=degraded, clean=clean)


def _load_in_own_depth(pair: Pair, channels: int = 3, notify: Notify = warn, /) -> LoadedPair:
    """Read a pair with the values of its files."""
    _check_partner(pair)
    seen, truth = (read_channels(path, channels, notify) for path in (pair.degraded, pair.clean))
    return _compared(pair, seen, truth)


Read = tuple[Values, int, Image | Samples | None]
"""Values, bits per sample, and what a restored image is saved like; see `LoadedPair`."""


def _compared(
    pair: Pair, seen: Read, truth: Read, samples: tuple[Values, Values] | None = None
) -> LoadedPair:
    """Return a pair that was read. Gray becomes RGB only if the other image is RGB. Raises PictureError."""
    (degraded, depth, source), (clean, clean_depth, _) = seen, truth
    if source is not None and degraded.shape[2] != clean.shape[2]:
        degraded, clean = (np.repeat(each, 3 // each.shape[2], axis=2) for each in (degraded, clean))
        source = None if isinstance(source, Image) and source.channels == 1 else source
    _check_shapes(pair, degraded, clean)
    if units_differ((degraded, depth == 32), (clean, clean_depth == 32)):
        raise PictureError(f"{pair.degraded}: {UNITS_DIFFER}")
    return LoadedPair(degraded=degraded, clean=clean, depth=depth, source=source, samples=samples)


def _of_stacks(pair: Pair, folders: tuple[Path, ...]) -> list[Case]:
    """Return a case for each page of a pair of stacks; none for a pair of single images."""
    if pair.is_alone:
        return []
    files = pair.degraded, pair.clean
    counts = [page_count(path) for path in files]
    if max(counts) == 1 and not any(map(is_data, files)):
        return []
    if counts[0] != counts[1]:
        return [Case("", pair.name, folders, functools.partial(_refused, pair, counts))]
    pages = _Pages(pair, counts[0])
    names = [f"{pair.name}, page {page + 1}" for page in range(counts[0])]
    return [
        Case("", name, folders, functools.partial(pages.load, page), TIFF.suffixes[0])
        for page, name in enumerate(names)
    ]


def _refused(pair: Pair, counts: list[int], _channels: int = 3, _notify: Notify = warn, /) -> LoadedPair:
    raise PictureError(
        f"{pair.degraded}: has {counted(counts[0], 'page')}, but its clean image {pair.clean} has {counts[1]}"
    )


class _Pages:
    """Reads the pages of a pair of stacks, which stay open from the first to the last."""

    def __init__(self, pair: Pair, count: int) -> None:
        self._pair, self._count = pair, count
        self._reader = PageReader()
        self._samples: dict[int, tuple[Values, Values]] = {}

    def load(self, page: int, channels: int = 3, _notify: Notify = warn, /) -> LoadedPair:
        try:
            noisy, clean = (self._reader.stack(path) for path in (self._pair.degraded, self._pair.clean))
            seen, truth = (_read_page(stack, page, channels) for stack in (noisy, clean))
            channel = next(plane.channel for plane in noisy.planes if plane.page == page)
            if channel not in self._samples:
                self._samples[channel] = noisy.sample(channel, "auto"), clean.sample(channel, "auto")
            return _compared(self._pair, seen, truth, self._samples[channel])
        finally:
            if page == self._count - 1:
                self._reader.close()


def _read_page(stack: Stack, page: int, channels: int) -> Read:
    samples = stack.read_channels(page)
    values = values_of(samples)
    if channels not in (1, 3):
        return values, stack.depth, None
    if len(stack.planes) > stack.count:
        raise PictureError(
            f"{stack.name}: its pages have {values.shape[2]} channels; "
            "for scores, save each channel as a page"
        )
    if not has_white(samples.dtype):
        return values, stack.depth, samples
    shown = Image(pixels=np.zeros_like(values), depth=stack.depth, suffix=TIFF.suffixes[0])
    return values, stack.depth, shown


def _check_partner(pair: Pair) -> None:
    if pair.is_alone:
        raise PictureError(f"{pair.degraded}: no clean image of that name in {pair.clean}")


def _check_shapes(pair: Pair, degraded: Pixels, clean: Pixels) -> None:
    if degraded.shape[2] != clean.shape[2]:
        raise PictureError(
            f"{pair.degraded}: has {degraded.shape[2]} channels, but its clean image {pair.clean} "
            f"has {clean.shape[2]}"
        )
    if degraded.shape != clean.shape:
        sizes = [f"{image.shape[1]} x {image.shape[0]}" for image in (degraded, clean)]
        raise PictureError(
            f"{pair.degraded}: is {sizes[0]} pixels, but its clean image {pair.clean} is {sizes[1]}"
        )


def _of_blocks(folder: Path, protocol: Protocol) -> list[Case]:
    variables = ("ValidationNoisyBlocksSrgb", "ValidationGtBlocksSrgb")
    check_files(folder, [f"{variable}.mat" for variable in variables], protocol)
    noisy, clean = (matlab.read_blocks(folder / f"{variable}.mat", variable) for variable in variables)
    if noisy.shape != clean.shape:
        raise PictureError(
            f"{folder}: noisy blocks {noisy.shape} and clean blocks {clean.shape} differ in number or size"
        )
    return [
        Case(
            "",
            f"{row + 1:04}_{column + 1:02}",
            (folder,),
            functools.partial(_load_block, noisy, clean, row, column),
        )
        for row in range(noisy.shape[0])
        for column in range(noisy.shape[1])
    ]


def _load_block(
    noisy: matlab.Blocks,
    clean: matlab.Blocks,
    row: int,
    column: int,
    _channels: int = 3,
    _notify: Notify = warn,
    /,
) -> LoadedPair:
    degraded, truth = (blocks[row, column].astype(np.float32) / np.float32(255) for blocks in (noisy, clean))
    return LoadedPair(degraded=degraded, clean=truth)
