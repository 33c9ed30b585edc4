"""The parts of a server that its routes share."""

import asyncio
from dataclasses import dataclass, replace
from functools import partial
from typing import Self

from uformer.restore.memory import process_budget
from uformer.restore.network import Network
from uformer.restore.options import RestoreOptions
from uformer.restore.restorer import Restorer
from uformer.serve.blending import Blender
from uformer.serve.catalogue import Catalogue, Load
from uformer.serve.engine import Engine
from uformer.serve.held import HeldAnswers
from uformer.serve.jobs import JobStore
from uformer.serve.prometheus import Metrics
from uformer.serve.settings import Settings
from uformer.system_memory import available_memory

_SWEEP = 5  # seconds between two sweeps


def load_restorer(options: RestoreOptions, *, share: float) -> Restorer:
    """Return a restorer. `share`: part of the default memory limit that held answers leave.

    The device is checked now, and weights are exported now if it needs that, so that no request waits for it.
    """
    restorer = Restorer(Network.load(options.network), options, share=share)
    _ = restorer.precision  # makes the backend
    return restorer


@dataclass(frozen=True)
class Service:
    """The parts of one server."""

    settings: Settings
    catalogue: Catalogue
    metrics: Metrics
    engine: Engine
    store: JobStore
    held: HeldAnswers
    blender: Blender

    @classmethod
    def build(cls, settings: Settings, options: RestoreOptions, *, load: Load | None = None) -> Self:
        """Return the parts for the operator's settings.

        `options`: the defaults of requests. `load`: creates a restorer from options. Raises the errors of
        `Catalogue`, and OptionError for a `hold_memory` that leaves too little for restoring.
        """
        limit = process_budget(options.memory, free=available_memory())
        held = HeldAnswers(settings.held_bytes(limit))
        share = 1 - held.limit / max(limit, 1)
        if options.memory is not None:
            options = replace(options, memory=f"{max(int(share * limit) // 10**6, 1)}MB")
        load = load or partial(load_restorer, share=share)
        catalogue, metrics = Catalogue(options), Metrics()
        engine = Engine(catalogue, settings, metrics, held, load=load)
        store = JobStore(keep=settings.keep, max_bytes=settings.max_kept, dropped=held.drop)
        return cls(settings, catalogue, metrics, engine, store, held, Blender(settings.queue, metrics))

    def gauges(self) -> dict[str, float]:
        """Return the current values of the gauges."""
        running = self.engine.running
        return {
            "uformer_waiting": max(self.engine.admitted - running, 0),
            "uformer_running": running,
            "uformer_upload_bytes": self.engine.uploaded,
            "uformer_kept_results": self.store.kept,
            "uformer_kept_bytes": self.store.kept_bytes,
            "uformer_held_answers": self.held.count,
            "uformer_held_bytes": self.held.bytes,
            "uformer_ready": self.engine.not_ready is None,
        }

    @property
    def idle(self) -> bool:
        """Whether no image waits, runs or is being blended."""
        return self.engine.admitted == 0 and self.blender.count == 0

    async def sweep(self) -> None:
        """Delete expired jobs every few seconds until cancelled, even if no request arrives."""
        while True:
            self.store.sweep()
            await asyncio.sleep(_SWEEP)
