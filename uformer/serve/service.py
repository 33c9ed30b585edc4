"""All that the routes share."""

import asyncio
from dataclasses import dataclass
from typing import Self

from uformer.restore.options import RestoreOptions
from uformer.restore.restorer import Restorer
from uformer.serve.catalogue import Catalogue, Load
from uformer.serve.engine import Engine
from uformer.serve.jobs import JobStore
from uformer.serve.prometheus import Metrics
from uformer.serve.settings import Settings

_SWEEP = 5  # seconds


@dataclass(frozen=True)
class Service:
    """A server's parts."""

    settings: Settings
    catalogue: Catalogue
    metrics: Metrics
    engine: Engine
    store: JobStore

    @classmethod
    def build(
        cls, settings: Settings, options: RestoreOptions, *, load: Load = Restorer.from_options
    ) -> Self:
        """The parts for what an operator chose; `options` are what a client gets who asks for nothing. Errors as of `Catalogue`."""
        catalogue, metrics = Catalogue(options), Metrics()
        engine = Engine(catalogue, settings, metrics, load=load)
        return cls(
            settings, catalogue, metrics, engine, JobStore(keep=settings.keep, max_bytes=settings.max_kept)
        )

    def gauges(self) -> dict[str, float]:
        """What is counted by looking."""
        running = self.engine.running
        return {
            "uformer_waiting": max(self.engine.admitted - running, 0),
            "uformer_running": running,
            "uformer_upload_bytes": self.engine.uploaded,
            "uformer_kept_results": self.store.kept,
            "uformer_kept_bytes": self.store.kept_bytes,
            "uformer_ready": self.engine.not_ready is None,
        }

    @property
    def idle(self) -> bool:
        """Whether nothing waits or runs."""
        return self.engine.admitted == 0

    async def sweep(self) -> None:
        """Forget what is over, for as long as the server runs, whether requests come or not."""
        while True:
            self.store.sweep()
            await asyncio.sleep(_SWEEP)
