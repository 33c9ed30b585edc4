"""Several networks for one image, one after the other, without rounding: first rain, then noise."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from numpy.typing import NDArray

from uformer.image.image import Pixels
from uformer.image.value_range import FULL, Real, ValueRange
from uformer.notices import Notify, warn
from uformer.restore.auto import Auto
from uformer.restore.options import Controls, RestoreOptions
from uformer.restore.progress import Progress, shares
from uformer.restore.restorer import Restorer
from uformer.restore.tiles import Bands, Rows, SpreadTo


def make_restorer(options: RestoreOptions, *, notify: Notify = warn) -> Restorer:
    """Return a restorer for `task`, or for all `tasks`. Errors: see `Restorer.from_pretrained`.

    `notify`: see `Network`.
    """
    return joined([Restorer.from_options(each, notify=notify) for each in options.chain], options)


def joined(restorers: Sequence[Restorer], options: RestoreOptions) -> Restorer:
    """Return one restorer from those for each of `options.chain`."""
    if options.automatic:
        return Auto(restorers, options)
    return restorers[0] if options.tasks is None else Chain(restorers, options)


class Chain(Restorer):
    """Restores images with several restorers, its stages: each one continues with the pixels of the last.

    Backend, precision and tile are those of the first stage.
    """

    def __init__(self, stages: Sequence[Restorer], options: RestoreOptions) -> None:
        super().__init__(stages[0].network, options)
        self._stages = tuple(stages)

    @property
    def stages(self) -> tuple[Restorer, ...]:
        return self._stages

    @property
    def backend(self) -> str:
        return self._stages[0].backend

    @property
    def precision(self) -> str:
        first, *_ = (stage.precision for stage in self._stages)  # raises if one is not available
        return first

    @property
    def memory_budget(self) -> int:
        return self._stages[0].memory_budget

    def tile_for(self, height: int, width: int) -> tuple[int, int]:
        first, *_ = (stage.tile_for(height, width) for stage in self._stages)  # raises if memory is too low
        return first

    @property
    def controls(self) -> Controls:
        """The controls of the options. Tones are free unless all stages lock them."""
        tones = {stage.controls.tones for stage in self._stages}
        return dataclasses.replace(self.options.controls, tones="lock" if tones == {"lock"} else "free")

    def masked(self, mask: Any) -> Chain:
        return Chain([stage.masked(mask) for stage in self._stages], self.options)

    def observed(self, spread_to: SpreadTo) -> Chain:
        """Return the same restorer: several networks have no common spread, so none is reported."""
        del spread_to
        return self

    def with_options(self, options: RestoreOptions) -> Chain:
        pairs = zip(self._stages, options.chain, strict=True)
        return Chain([stage.with_options(each) for stage, each in pairs], options)

    def restore_pixels(
        self,
        pixels: NDArray[Real],
        *,
        used: ValueRange = FULL,
        progress: Progress | None = None,
        notify: Notify = warn,
    ) -> NDArray[Real]:
        restored = used.to_unit(pixels)
        for stage, counted in zip(self._stages, shares(progress, len(self._stages)), strict=True):
            restored = stage.restore_pixels(restored, progress=counted, notify=notify)
        return used.from_unit(restored, pixels)

    def _network_rows(
        self,
        read: Rows,
        shape: tuple[int, ...],
        progress: Progress | None,
        notify: Notify,
        finished: Callable[[Bands], Bands] = lambda bands: bands,
    ) -> Bands:
        whole = self.options.with_controls(Controls(tones="free"))
        pixels = read(0, shape[0]).transpose(1, 2, 0)
        restored = self.with_options(whole).restore_pixels(pixels, progress=progress, notify=notify)
        yield from finished(iter([(0, restored.transpose(2, 0, 1))]))

    def restore_rows(
        self, read: Rows, shape: tuple[int, ...], *, progress: Progress | None = None, notify: Notify = warn
    ) -> Iterator[tuple[int, Pixels]]:
        raise NotImplementedError("a stage needs all rows of the stage before; use the stages one by one")
