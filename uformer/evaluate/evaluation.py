"""Running a protocol: restore and score every image. One bad image does not stop the rest."""

import dataclasses
import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from uformer.errors import PictureError
from uformer.evaluate.cases import Case, LoadedPair
from uformer.evaluate.protocols import Scoring
from uformer.evaluate.score import Score, score
from uformer.image.image import Image, Metadata
from uformer.image.samples import Samples, Values, from_own_values
from uformer.image.value_range import FULL, peak, sampled, share_outside
from uformer.notices import Notify, ignore, warn
from uformer.restore.restorer import Restorer

Keep = Callable[[Case, Image | Samples], None]
"""Called with each restored image, or with its samples if their type has no white."""
Advance = Callable[[], None]


@dataclass(frozen=True)
class Measured:
    """The scores of one image, before and after restoring."""

    subset: str
    name: str
    degraded: Score
    restored: Score
    tiles: int
    """Number of tiles that the image was restored in."""
    data_range: float = 255
    """The peak of PSNR, in the units of the file."""


@dataclass(frozen=True)
class Failure:
    """An image without scores, and the reason."""

    subset: str
    name: str
    reason: str


@dataclass(frozen=True)
class Evaluation:
    """The scores and failures of a run, in the order of the cases."""

    measured: tuple[Measured, ...]
    failures: tuple[Failure, ...]

    @property
    def subsets(self) -> list[str]:
        return list(dict.fromkeys(each.subset for each in self.measured))

    @property
    def tiles(self) -> int:
        """Largest number of tiles that an image was restored in; 0 if none was restored."""
        return max((each.tiles for each in self.measured), default=0)

    def of(self, subset: str) -> list[Measured]:
        return [each for each in self.measured if each.subset == subset]


def evaluate(
    restorer: Restorer,
    samples: Sequence[Case],
    scoring: Scoring,
    *,
    data_range: float | None = None,
    keep: Keep | None = None,
    advance: Advance | None = None,
    notify: Notify = warn,
) -> Evaluation:
    """Restore and score each sample. An image that cannot be read, restored, scored or kept is a failure.

    `data_range`: the peak of PSNR in the units of the files, for a scoring in their own depth; by default,
    the width of the range that the ground truth uses.
    """
    measured: list[Measured] = []
    failures: list[Failure] = []
    for sample in samples:
        try:
            measured.append(_measure(restorer, sample, scoring, data_range, keep, notify))
        except PictureError as error:
            failures.append(Failure(sample.subset, sample.name, str(error)))
        if advance:
            advance()
    return Evaluation(tuple(measured), tuple(failures))


def mean(scores: Sequence[Score]) -> Score:
    """Return the mean PSNR and the mean SSIM. The mean PSNR is infinite if one image's is."""
    return Score(
        math.fsum(each.psnr for each in scores) / len(scores), statistics.fmean(each.ssim for each in scores)
    )


def _measure(
    restorer: Restorer,
    sample: Case,
    scoring: Scoring,
    data_range: float | None,
    keep: Keep | None,
    notify: Notify,
) -> Measured:
    pair = sample.load(restorer.config.in_channels, notify)
    used = true_range = FULL
    if scoring.own_depth:
        degraded, clean = pair.sampled()
        used = restorer.range_of(degraded, pair.depth, notify=notify)
        true_range = restorer.range_of(clean, pair.depth, notify=ignore)
    elif share_outside(pair.degraded):
        used = restorer.range_of(sampled(pair.degraded), 32, notify=notify)
    largest = peak(pair.depth)
    shown_range = float(f"{true_range.width * largest:.6g}") if data_range is None else data_range
    tiles = 1

    def count(_done: int, total: int) -> None:
        nonlocal tiles
        tiles = total

    restored = restorer.restore_pixels(pair.degraded, used=used, progress=count, notify=notify)
    before, after = (
        score(image, pair.clean, scoring, depth=pair.depth, data_range=shown_range / largest)
        for image in (pair.degraded, restored)
    )
    if keep:
        keep(sample, _saved(restored, pair))
    return Measured(sample.subset, sample.name, before, after, tiles, shown_range)


def _saved(restored: Values, pair: LoadedPair) -> Image | Samples:
    """Return what is saved: like the degraded file if there is one, otherwise of 8 bits."""
    if isinstance(pair.source, np.ndarray):
        return from_own_values(restored, pair.source)
    if pair.source is None:
        return Image(pixels=np.clip(restored, 0, 1), depth=min(pair.depth, 16))
    colours = Metadata(icc=pair.source.metadata.icc, resolution=pair.source.metadata.resolution)
    return dataclasses.replace(pair.source.with_values(restored), metadata=colours)
