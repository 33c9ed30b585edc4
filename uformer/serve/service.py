"""The parts of a server that its routes share."""

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

_SWEEP = 5  # seconds between two sweeps


@dataclass(frozen=True)
class Service:
    """The parts of one server."""

    settings: Settings
    catalogue: Catalogue
    metrics: Metrics
    engine: Engine
    store: JobStore

    @classmethod
    def build(
        cls, settings: Settings, options: RestoreOptions, *, load: Load = Restorer.from_options
    ) -> Self:
        """Return the parts for the operator's settings. Raises the errors of `Catalogue`.

        `options`: the defaults of requests.
        """
        catalogue, metrics = Catalogue(options), Metrics()
        engine = Engine(catalogue, settings, metrics, load=load)
        return cls(
            settings, catalogue, metrics, engine, JobStore(keep=settings.keep, max_bytes=settings.max_kept)
        )

    def gauges(self) -> dict[str, float]:
        """Return the current values of the gauges."""
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
        """Whether no image waits or runs."""
        return self.engine.admitted == 0

    async def sweep(self) -> None:
        """Delete expired jobs every few seconds until cancelled, even if no request arrives."""
        while True:
            self.store.sweep()
            await asyncio.sleep(_SWEEP)
