"""Running a protocol: every picture restored and scored; a bad one is named, and the others go on."""

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
"""Called with each restored picture, (H, W, C) in [0, 1]."""
Advance = Callable[[], None]


@dataclass(frozen=True)
class Measured:
    """One picture's numbers: of the degraded picture as it came, and of the restored one."""

    subset: str
    name: str
    degraded: Score
    restored: Score
    tiles: int
    """In how many tiles it was restored."""


@dataclass(frozen=True)
class Failure:
    """A picture without numbers, and why."""

    subset: str
    name: str
    reason: str


@dataclass(frozen=True)
class Evaluation:
    """What a run found, in the order of the samples."""

    measured: tuple[Measured, ...]
    failures: tuple[Failure, ...]

    @property
    def subsets(self) -> list[str]:
        return list(dict.fromkeys(each.subset for each in self.measured))

    @property
    def tiles(self) -> int:
        """The most tiles that a picture was restored in; 0 where none was restored."""
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
    """Restore and score each sample. Pictures that cannot be read, restored, scored or kept become failures."""
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
    """The mean of the pictures' PSNR and of their SSIM; infinite where one is."""
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
