"""A restorer for `task="auto"`: it looks at each image and selects the network, or leaves the image alone."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from uformer.errors import OptionError
from uformer.image.image import Pixels
from uformer.image.value_range import sampled
from uformer.notices import Notify, ignore, warn
from uformer.restore import forms
from uformer.restore.diagnosis import Diagnosis, diagnose
from uformer.restore.options import Controls, RestoreOptions
from uformer.restore.progress import Progress
from uformer.restore.restoration import Held, Restoration
from uformer.restore.restorer import Restorer, rows_of
from uformer.restore.tiles import Bands, Rows, SpreadTo


class Auto(Restorer):
    """Restores each image with the one of its stages that `diagnose` finds to fit: denoise, derain or none.

    Backend, precision and tile are those of the first stage.
    """

    def __init__(self, stages: Sequence[Restorer], options: RestoreOptions) -> None:
        super().__init__(stages[0].network, options)
        self.choices = tuple(stages)
        self.tell: Callable[[Diagnosis], None] | None = None
        """Receives each diagnosis; without it, `notify` does."""

    def telling(self, tell: Callable[[Diagnosis], None]) -> Auto:
        restorer = copy.copy(self)
        restorer.tell = tell
        return restorer

    def suited(self, read: Rows, shape: tuple[int, ...], *, notify: Notify = warn) -> Restorer:
        denoise, derain = (Restorer(stage.network, _plain(stage.options)) for stage in self.choices)
        found = diagnose(read, shape, _answer(denoise, notify), _answer(derain, notify))
        if self.tell is None:
            notify(f"task: {found}")
        else:
            self.tell(found)
        if found.finding == "nothing":
            return Untouched(self.choices[0].network, self.choices[0].options)
        return self.choices[0] if found.finding == "denoise" else self.choices[1]

    def masked(self, mask: Any) -> Auto:
        restorer = self._of([stage.masked(mask) for stage in self.choices])
        restorer.mask = restorer.choices[0].mask
        return restorer

    def observed(self, spread_to: SpreadTo) -> Auto:
        return self._of([stage.observed(spread_to) for stage in self.choices])

    def with_options(self, options: RestoreOptions) -> Auto:
        pairs = zip(self.choices, options.chain, strict=True)
        restorer = self._of([stage.with_options(each) for stage, each in pairs])
        restorer.options = options
        return restorer

    def _of(self, stages: Sequence[Restorer]) -> Auto:
        restorer = copy.copy(self)
        restorer.choices = tuple(stages)
        return restorer

    def infer(
        self, picture: Any, *, trust: bool = False, progress: Progress | None = None, notify: Notify = warn
    ) -> Restoration:
        held = Held.of(picture)
        images = forms.values_of(held.image, channels=self.config.in_channels)
        if len(images) != 1:
            raise OptionError(f"task: auto infers one image at a time, not a batch of {len(images)}")
        ((values, depth),) = images
        rows = rows_of(values, self.range_of(sampled(values), depth, notify=ignore))
        suited = self.suited(rows, values.shape, notify=notify)
        return suited.infer(held, trust=trust, progress=progress, notify=notify)


class Untouched(Restorer):
    """Stands in for a network that changes nothing."""

    def _network_rows(
        self,
        read: Rows,
        shape: tuple[int, ...],
        progress: Progress | None,
        notify: Notify,
        finished: Callable[[Bands], Bands] = lambda bands: bands,
    ) -> Bands:
        del progress, notify
        starts = range(0, shape[0], _ROWS)
        yield from finished((first, np.array(read(first, min(first + _ROWS, shape[0])))) for first in starts)


_ROWS = 64


def _plain(options: RestoreOptions) -> RestoreOptions:
    """Return options with which the network's answer is left as it is."""
    plain = options.with_controls(Controls(tones="free"))
    return dataclasses.replace(plain, ensemble=False, tile=None, overlap=None)


def _answer(restorer: Restorer, notify: Notify) -> Callable[[Pixels], Pixels]:
    def answer(crop: Pixels) -> Pixels:
        return restorer.restore_pixels(crop.transpose(1, 2, 0), notify=notify).transpose(2, 0, 1)

    return answer
