"""Running a protocol: restore and score every image. One bad image does not stop the rest."""

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from uformer.errors import PictureError
from uformer.evaluate.cases import Case
from uformer.evaluate.protocols import Scoring
from uformer.evaluate.score import Score, score
from uformer.image.image import Pixels
from uformer.notices import Notify, warn
from uformer.restore.restorer import Restorer

Keep = Callable[[Case, Pixels], None]
"""Called with each restored image, (H, W, C) in [0, 1]."""
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
    keep: Keep | None = None,
    advance: Advance | None = None,
    notify: Notify = warn,
) -> Evaluation:
    """Restore and score each sample. An image that cannot be read, restored, scored or kept is a failure."""
    measured: list[Measured] = []
    failures: list[Failure] = []
    for sample in samples:
        try:
            measured.append(_measure(restorer, sample, scoring, keep, notify))
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
    restorer: Restorer, sample: Case, scoring: Scoring, keep: Keep | None, notify: Notify
) -> Measured:
    degraded, clean = sample.load(restorer.config.in_channels, notify)
    tiles = 1

    def count(_done: int, total: int) -> None:
        nonlocal tiles
        tiles = total

    restored = restorer.restore_pixels(degraded, progress=count, notify=notify)
    numbers = Measured(
        sample.subset, sample.name, score(degraded, clean, scoring), score(restored, clean, scoring), tiles
    )
    if keep:
        keep(sample, restored)
    return numbers
