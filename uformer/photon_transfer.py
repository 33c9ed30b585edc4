"""`uformer photon-transfer`: estimate the gain and read noise of a camera from images of one scene.

Photon transfer (Janesick, Photon Transfer, SPIE Press 2007, chapters 5 and 6): the difference of two
exposures of the same scene holds noise only, and half its variance is that of one exposure. Over the mean
signal, the variance is a line. Its slope is the gain, and its value at the offset is the square of the read
noise.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from cyclopts import Parameter
from numpy.typing import NDArray

from uformer.degradations.counts import CountNoise
from uformer.errors import OptionError, PictureError
from uformer.image.page_reader import PageReader, page_count
from uformer.image.stack import Stack

Array = NDArray[np.float64]

_LEVELS = 40  # bins of the signal, each with the same number of pixels
_PER_LEVEL = 200  # pixels that a bin needs at least
_SAMPLED = 2**21  # pixels of a pair that are used
_REJECT = 4.0  # standard deviations from which a difference is motion or a defective pixel
_BELOW_SATURATION = 0.9  # share of the largest value
_SPREAD = 1.2  # ratio of the brightest to the darkest level from which a line can be fitted
_GROWTH = 3.0  # or ratio of the largest to the smallest variance: dim signals differ little above the offset


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """The result: a noise model, and what it was found from."""

    noise: CountNoise
    levels: int
    pairs: int
    separate: bool
    """Whether offset and read noise were measured, and not only their sum."""


def photon_transfer(
    *images: Path,
    dark: Annotated[list[Path] | None, Parameter(negative="")] = None,
    offset: float | None = None,
    records: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> int:
    """Estimate gain and read noise from a stack of a still scene, or from two images of it.

    Prints the noise for `uformer train denoise` and `uformer degrade`, in the units of the files.

    Parameters
    ----------
    images
        A TIFF stack of a scene that does not move, or two or more images of it with the same exposure. Bright
        and dark parts (a gradient, an object out of focus) let the slope be fitted.
    dark
        A stack without light, or two such images, with the same exposure. They give offset and read noise
        directly.
    offset
        Value of a pixel without light, if there are no dark images. Default: as low as the data allows.
    records
        Print the result as JSON on standard output.
    """
    if not images:
        raise OptionError("no image given; name a stack of a still scene, or two images of it")
    if dark and offset is not None:
        raise OptionError("--offset: cannot be combined with --dark, which measures it")
    found = estimate(_takes(images), list(_takes(dark)) if dark else None, offset=offset)
    noise = found.noise
    if not found.separate:
        print(
            "uformer: without --dark or --offset, offset and read noise cannot be told apart; the variance "
            "is right, each of the two may not be",
            file=sys.stderr,
        )
    if records:
        values = {"gain": noise.gain, "read": noise.read, "offset": noise.offset, "noise": str(noise)}
        more = {"levels": found.levels, "pairs": found.pairs, "separate": found.separate}
        print(json.dumps(values | more))
        return 0
    print(
        f"uformer: gain {noise.gain:.4g} counts per electron, read noise {noise.read:.3g} counts "
        f"({noise.read / noise.gain:.3g} electrons), from {found.levels} levels of {found.pairs} pairs",
        file=sys.stderr,
    )
    print(f"--set noise={noise}")
    return 0


def estimate(
    takes: Iterator[Array], dark: Sequence[Array] | None = None, *, offset: float | None = None
) -> Transfer:
    """Return the noise of exposures of one scene, and of `dark` exposures.

    Each exposure is (H, W, C) in the units of the file. Raises PictureError if there are too few of them, if
    they differ in size, or if their noise does not grow with the signal.
    """
    means, variances, pairs = _levels(takes, "images of the scene")
    read_variance = None
    if dark is not None:
        dark_means, dark_variances, _ = _levels(iter(dark), "dark images")
        offset, read_variance = float(np.median(dark_means)), float(np.median(dark_variances))
    if read_variance is None and _is_one_level(means, variances):
        if offset is None:
            raise PictureError(
                f"the scene has only one level ({means.mean():.6g} counts), so no line can be fitted; "
                "add --dark with images without light, or --offset"
            )
        read_variance = 0.0
    separate = offset is not None
    if read_variance is not None and offset is not None:
        gain = _slope(means - offset, variances, read_variance)
    else:
        gain, at_zero = _line(means, variances)
        offset = (max(-at_zero / gain, 0.0) if gain > 0 else 0.0) if offset is None else offset
        read_variance = at_zero + gain * offset
    if gain <= 0:
        raise PictureError(
            "the noise does not grow with the signal; are these the camera's own counts, of a still scene?"
        )
    noise = CountNoise(gain=gain, read=max(read_variance, 0.0) ** 0.5, offset=offset)
    return Transfer(noise=noise, levels=len(means), pairs=pairs, separate=separate)


def _is_one_level(means: Array, variances: Array) -> bool:
    """Return whether neither the signal nor its noise differs enough for a line to be fitted."""
    alike = float(np.ptp(means)) < (_SPREAD - 1) * abs(float(means.max()))
    return alike and float(variances.max()) <= _GROWTH * float(variances.min())


def _takes(paths: Sequence[Path]) -> Iterator[Array]:
    """Yield all images of files and stacks in the units of the files."""
    with PageReader() as reader:
        for path in paths:
            count = page_count(path)
            if count > 1:
                _check_channels(reader.stack(path))
            for page in range(count):
                yield reader.read(path, page if count > 1 else None).astype(np.float64)


def _check_channels(stack: Stack) -> None:
    """Raise PictureError if the pages show several channels, because a pair would then be of two channels."""
    channels = len({plane.channel for plane in stack.planes if plane.samples[0] == 0})
    if channels > 1:
        raise PictureError(
            f"{stack.name}: its pages show {channels} channels, and each has its own noise; "
            "save the exposures of one channel as a stack"
        )


def _levels(takes: Iterator[Array], name: str) -> tuple[Array, Array, int]:
    """Return mean and variance at levels of the signal, from pairs of takes, and the number of pairs."""
    found: list[tuple[Array, Array]] = []
    before: Array | None = None
    for take in takes:
        if before is not None:
            if before.shape != take.shape:
                raise PictureError(f"the {name} differ in size: {before.shape[:2]} and {take.shape[:2]}")
            found.append(_of_pair(before, take))
            before = None
        else:
            before = take
    if not found:
        raise PictureError(
            f"photon transfer needs at least two {name}, and found {0 if before is None else 1}: "
            "give a stack, or two files"
        )
    means, variances = (np.concatenate(each) for each in zip(*found, strict=True))
    return means, variances, len(found)


def _of_pair(first: Array, second: Array) -> tuple[Array, Array]:
    """Return means and variances of one exposure at levels of the signal with equally many pixels.

    The neighbours of a pixel choose its level, because their noise says nothing about its own. Levels by the
    pixel's own value would put dark pixels with much noise among brighter ones, and the slope would be low.
    """
    total, difference = first + second, second - first
    around = _of_neighbours(total)
    largest = max(first.max(), second.max())
    inside = np.ones(total.shape, bool)
    if np.count_nonzero(np.maximum(first, second) >= largest) > 0.001 * first.size and np.ptp(total) > 0:
        # the noise just below saturation is cut off too
        inside = np.maximum(total, around) < 2 * _BELOW_SATURATION * largest
    if np.count_nonzero(inside) < 2:
        raise PictureError("photon transfer needs images that are not saturated")
    every = max(np.count_nonzero(inside) // _SAMPLED, 1)
    total, difference, around = (each[inside][::every] for each in (total, difference, around))
    count = max(min(_LEVELS, total.size // _PER_LEVEL), 1)
    parts = np.array_split(np.argsort(around, kind="stable"), count)
    levels = [_level(total[part], difference[part], around[part]) for part in parts]
    means, variances = (np.array(each) for each in zip(*levels, strict=True))
    return means, variances


def _of_neighbours(image: Array) -> Array:
    """Return the mean of each pixel's eight neighbours (H, W, C); at the border, the image is mirrored."""
    height, width = image.shape[:2]
    padded = np.pad(image, ((1, 1), (1, 1), (0, 0)), mode="reflect")
    shifted = [padded[y : y + height, x : x + width] for y in range(3) for x in range(3) if (y, x) != (1, 1)]
    return np.mean(shifted, axis=0)


def _level(total: Array, difference: Array, around: Array) -> tuple[float, float]:
    """Return the mean and the variance of one exposure, without outliers.

    A large difference is motion. A pixel far from its neighbours is defective.
    """
    kept = np.flatnonzero(_usual(total - around))
    kept = kept[_usual(difference[kept])]
    return float(total[kept].mean()) / 2, float(difference[kept].var()) / 2


def _usual(values: Array) -> NDArray[np.bool_]:
    """Return which values are not outliers."""
    kept = np.ones(values.shape, bool)
    for _ in range(5):
        middle, width = float(np.median(values[kept])), float(values[kept].std())
        inside = kept & (np.abs(values - middle) <= _REJECT * width)
        if np.array_equal(inside, kept):
            break
        kept = inside
    return kept


def _slope(signal: Array, variances: Array, read_variance: float) -> float:
    """Return the slope of a line through the read variance at no signal; see `_line`."""
    return float(_robust(signal[:, None], variances, read_variance)[0])


def _line(means: Array, variances: Array) -> tuple[float, float]:
    """Return slope and value at zero of a line that outliers do not move."""
    slope, start = _robust(np.stack([means, np.ones_like(means)], axis=1), variances, 0.0)
    return float(slope), float(start)


def _robust(terms: Array, variances: Array, constant: float) -> Array:
    """Return the factors of `terms` (N, K) whose sum with the constant fits the variances.

    The standard error of a variance is proportional to it. Outliers get the weights of Huber's regression.
    """
    least = variances.max() * 1e-6
    fitted, trust = np.maximum(variances, least), np.ones_like(variances)
    factors = np.zeros(terms.shape[1])
    for _ in range(20):
        weights = np.sqrt(trust) / fitted
        factors = np.linalg.lstsq(weights[:, None] * terms, weights * (variances - constant), rcond=None)[0]
        fitted = np.maximum(terms @ factors + constant, least)
        residuals = np.abs(variances - fitted) / fitted
        trust = np.minimum(1, 2 * max(float(np.median(residuals)), 1e-9) / np.maximum(residuals, 1e-12))
    return factors
