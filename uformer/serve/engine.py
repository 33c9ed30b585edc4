"""The workers, one thread a device, and the bounded queue before them."""

import contextlib
import dataclasses
import logging
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from uformer.errors import UformerError
from uformer.image.read import Limits, read
from uformer.image.write import encode
from uformer.restore.options import RestoreOptions
from uformer.restore.restorer import Restorer
from uformer.serve.catalogue import Catalogue, Load, Restorers
from uformer.serve.jobs import Job
from uformer.serve.metrics import Metrics
from uformer.serve.problems import Cancelled, Problem, refused_as
from uformer.serve.settings import Settings
from uformer.weights import registry

log = logging.getLogger("uformer.serve")


class Slot:
    """A place in the queue; given back once, whoever does it first."""

    def __init__(self, engine: "Engine") -> None:
        self._engine: Engine | None = engine

    def release(self) -> None:
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.leave()


class Engine:
    """Restores pictures, one at a time on each device of `catalogue.defaults.device` ("cuda:0,cuda:1").

    `load` makes a restorer from options. Raises OptionError and CheckpointError as `Catalogue` does.
    """

    def __init__(self, catalogue: Catalogue, settings: Settings, metrics: Metrics, *, load: Load = Restorer.from_options) -> None:
        self.catalogue, self.settings, self.metrics = catalogue, settings, metrics
        self._lock = threading.Lock()
        self._admitted = 0
        self._draining = False
        self._not_ready: str | None = "the weights are being loaded"
        self._workers = [_Worker(self, name.strip(), load) for name in catalogue.defaults.device.split(",")]

    @property
    def capacity(self) -> int:
        """Pictures that may be in the server at a time, uploads included."""
        return self.settings.queue + len(self._workers)

    @property
    def admitted(self) -> int:
        return self._admitted

    @property
    def running(self) -> int:
        return sum(job.started > 0 for worker in self._workers for job in list(worker.jobs))

    @property
    def not_ready(self) -> str | None:
        """Why no picture is taken now; None where it is."""
        return "the server is stopping" if self._draining else self._not_ready

    def start(self) -> None:
        """Load the weights that ship, each worker in its own thread."""
        ready = [worker.warm() for worker in self._workers]
        for future in ready:
            future.add_done_callback(lambda _: self._become_ready(ready))

    def admit(self) -> Slot:
        """A place for one more picture, before its bytes are read. Raises Problem where there is none."""
        reason = self.not_ready
        if reason is not None:
            raise Problem(503, "not-ready", reason, retry_after=5)
        with self._lock:
            if self._admitted >= self.capacity:
                ahead = max(self._admitted - self.running, 1)
                wait = ahead * (self.metrics.mean("uformer_restore_seconds") or 5) / len(self._workers)
                words = f"{self._admitted} pictures are in the queue already; try again later"
                raise Problem(429, "queue-full", words, retry_after=min(wait, 120))
            self._admitted += 1
        return Slot(self)

    def leave(self) -> None:
        with self._lock:
            self._admitted -= 1

    def submit(self, job: Job, slot: Slot) -> None:
        """Hand a job to the device with the fewest; its slot is given back when it ends. Raises Problem where the server is stopping."""
        if self._draining:
            slot.release()
            raise Problem(503, "not-ready", "the server is stopping", retry_after=5)
        worker = min(self._workers, key=lambda each: len(each.jobs))
        worker.submit(job)
        job.future.add_done_callback(lambda _: slot.release())

    def ahead(self, job: Job) -> int:
        """Pictures that its device does before a job."""
        for worker in self._workers:
            if job in worker.jobs:
                return worker.jobs.index(job)
        return 0

    def drain(self) -> None:
        """Let what runs finish; refuse all that waits, and all that comes."""
        self._draining = True
        for worker in self._workers:
            for job in list(worker.jobs):
                if not job.started:
                    job.refuse(Problem(503, "not-ready", "the server is stopping", retry_after=5))

    def close(self) -> None:
        """Stop at the next tile, and wait for that."""
        self._draining = True
        for worker in self._workers:
            worker.close()

    def _become_ready(self, futures: list[Future[None]]) -> None:
        if all(future.done() for future in futures):
            error = next((error for future in futures if (error := future.exception())), None)
            self._not_ready = None if error is None else f"the weights cannot be loaded: {error}"
            if error is not None:
                log.error("%s", self._not_ready, exc_info=None if isinstance(error, UformerError) else error)


def _note(message: str) -> None:
    """A notice about an image; a client has no place for it, so it goes to the log."""
    log.info("%s", message)


class _Worker:
    """One thread with the restorers of one device."""

    def __init__(self, engine: Engine, device: str, load: Load) -> None:
        self.engine, self.device = engine, device
        self.jobs: list[Job] = []  # in the order of their turns, the running one first
        self._restorers = Restorers(load)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"uformer-{device}")

    def warm(self) -> Future[None]:
        return self._thread.submit(self._warm)

    def _warm(self) -> None:
        options = [self.engine.catalogue.defaults]
        if not self.engine.catalogue.own:
            options += [dataclasses.replace(options[0], task=task, weights=None) for task in registry.TASKS]
        for each in options:
            self._restorers.get(self._here(each))

    def submit(self, job: Job) -> None:
        self.jobs.append(job)
        job.future = self._thread.submit(self._restore, job)
        job.future.add_done_callback(lambda future: self._finish(job, future))

    def close(self) -> None:
        for job in list(self.jobs):
            job.cancel()
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _restore(self, job: Job) -> bytes:
        data = job.begin()
        with self._timed():
            with refused_as(400, "not-a-picture"):
                image = read(data, limits=Limits(max_bytes=len(data), max_pixels=self.engine.settings.max_pixels), notify=_note)
            del data
            job.check()
            with refused_as(422, "not-restored"):
                restored = self._restorers.get(self._here(job.options)).restore_image(image, progress=job.progress, notify=_note)
                job.check()
                return encode(restored, job.suffix, metadata=job.metadata, notify=_note)

    def _finish(self, job: Job, future: Future[bytes]) -> None:
        job.end()
        self.jobs.remove(job)
        error = None if future.cancelled() else future.exception()
        outcome = "cancelled" if future.cancelled() or isinstance(error, Cancelled) else "failed" if error else "done"
        metrics = self.engine.metrics
        metrics.count("uformer_pictures_total", outcome=outcome, weights=self.engine.catalogue.name(job.options))
        if outcome == "done":
            metrics.count("uformer_pixels_total", job.header.pixels)
        elif error is not None and not isinstance(error, Problem | Cancelled):
            log.error("a picture of %d x %d pixels failed", job.header.width, job.header.height, exc_info=error)

    @contextlib.contextmanager
    def _timed(self) -> Iterator[None]:
        start = time.monotonic()
        try:
            yield
        finally:
            self.engine.metrics.observe("uformer_restore_seconds", time.monotonic() - start)

    def _here(self, options: RestoreOptions) -> RestoreOptions:
        return dataclasses.replace(options, device=self.device)
