"""The workers, one thread per device, and the bounded queue in front of them."""

import dataclasses
import logging
import threading
from concurrent.futures import Future, wait

from uformer.errors import UformerError
from uformer.image.read import Limits, read
from uformer.image.stored import StoredImage
from uformer.image.write import encode
from uformer.restore.masks import mask_values
from uformer.restore.memory import answer_size
from uformer.restore.options import RestoreOptions
from uformer.restore.restorer import Restorer
from uformer.serve.catalogue import Catalogue, Load, Restorers
from uformer.serve.held import HeldAnswers
from uformer.serve.job_thread import JobThread
from uformer.serve.jobs import Ending, Job
from uformer.serve.problems import Problem, refused_as
from uformer.serve.prometheus import Metrics
from uformer.serve.settings import Settings
from uformer.serve.stack_jobs import NOT_HELD, restored_stack
from uformer.weights import registry

log = logging.getLogger("uformer.serve")

_ROOM_FOR_FORMS = 2**20  # bytes


class Slot:
    """One image's share of the server: the bytes uploaded so far, and later a place in the queue.

    An upload takes a place only when it is complete, so slow uploads do not block others.
    """

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine
        self._bytes, self._places = 0, 0

    def add_bytes(self, count: int) -> None:
        """Count uploaded bytes. Raises Problem if all uploads are too large or the server is stopping."""
        self._engine.change(count, 0)
        self._bytes += count

    def enter_queue(self) -> None:
        """Take a place in the queue. Raises Problem if the queue is full or the server is stopping."""
        self._engine.change(0, 1)
        self._places += 1

    def release(self) -> None:
        """Give back the bytes and the place. A second call has no effect."""
        count, places, self._bytes, self._places = self._bytes, self._places, 0, 0
        self._engine.give_back(count, places)


class Engine:
    """Restores images, one at a time on each device of `catalogue.defaults.device` ("cuda:0,cuda:1").

    `held` receives the network's answers to hold. `load` creates a restorer from options.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        settings: Settings,
        metrics: Metrics,
        held: HeldAnswers,
        *,
        load: Load = Restorer.from_options,
    ) -> None:
        self.catalogue, self.settings, self.metrics, self.held = catalogue, settings, metrics, held
        self._lock = threading.Lock()
        self._admitted = 0
        self._uploaded = 0
        self._draining = False
        self._not_ready: str | None = "the weights are being loaded"
        self._workers = [_Worker(self, name.strip(), load) for name in catalogue.defaults.device.split(",")]

    @property
    def capacity(self) -> int:
        """Maximum number of images that wait or run."""
        return self.settings.queue + len(self._workers)

    @property
    def admitted(self) -> int:
        """Number of images that wait or run."""
        return self._admitted

    @property
    def uploaded(self) -> int:
        """Bytes of all files that wait, run or are still being uploaded."""
        return self._uploaded

    @property
    def running(self) -> int:
        """Number of images in progress."""
        return sum(job.started > 0 for worker in self._workers for job in list(worker.thread.jobs.values()))

    @property
    def not_ready(self) -> str | None:
        """Why the server accepts no images now; None if it does."""
        return "the server is stopping" if self._draining else self._not_ready

    def check_ready(self) -> None:
        """Raise Problem if the server accepts no images now."""
        if self.not_ready is not None:
            raise Problem(503, "not-ready", self.not_ready, retry_after=5 if self._draining else 1)

    def start(self) -> None:
        """Load the default weights and, unless they are the operator's own, those of every task.

        Each worker loads in its own thread.
        """
        ready = [worker.thread.prepare(worker.warm) for worker in self._workers]
        for future in ready:
            future.add_done_callback(lambda _: self._become_ready(ready))

    def admit(self) -> Slot:
        """Return a slot for an upload whose body has not been read yet.

        Raises Problem if the image could not enter the queue now.
        """
        with self._lock:
            self._check_room(0, 1)
        return self.slot()

    def slot(self) -> Slot:
        """Return a slot for an upload that does not enter the queue."""
        return Slot(self)

    def change(self, count: int, places: int) -> None:
        """Add bytes and places to those in use. Raises Problem if there is no room."""
        with self._lock:
            self._check_room(count, places)
            self._uploaded += count
            self._admitted += places

    def give_back(self, count: int, places: int) -> None:
        """Free bytes and places."""
        with self._lock:
            self._uploaded -= count
            self._admitted -= places

    def _check_room(self, count: int, places: int) -> None:
        self.check_ready()
        if places and self._admitted + places > self.capacity:
            detail = f"the queue is full with {self._admitted} images; try again later"
            raise Problem(429, "queue-full", detail, retry_after=self._seconds_to_wait())
        if self._uploaded + count > self.capacity * self.settings.max_bytes + _ROOM_FOR_FORMS:
            detail = f"uploads already take {self._uploaded:,} bytes; try again later"
            raise Problem(429, "uploads-full", detail, retry_after=self._seconds_to_wait())

    def _seconds_to_wait(self) -> float:
        """Estimate the seconds until the waiting images are done."""
        waiting = max(self._admitted - self.running, 1)
        return min(waiting * (self.metrics.mean_restore_seconds() or 5) / len(self._workers), 120)

    def submit(self, job: Job, slot: Slot) -> None:
        """Queue a job on the device with the shortest queue. The slot is released when the job ends.

        Raises Problem and releases the slot if the queue is full or the server is stopping.
        """
        try:
            slot.enter_queue()
        except Problem:
            slot.release()
            raise
        worker = min(self._workers, key=lambda each: len(each.thread.jobs))
        worker.thread.submit(job, worker.restore, ended=worker.ended)
        job.future.add_done_callback(lambda _: slot.release())

    def ahead(self, job: Job) -> int:
        """Return the number of images ahead of a job on its device."""
        for worker in self._workers:
            ids = list(worker.thread.jobs)
            if job.id in ids:
                return ids.index(job.id)
        return 0

    def drain(self) -> None:
        """Finish the jobs that run; refuse those that wait and all new ones."""
        self._draining = True
        for worker in self._workers:
            worker.thread.refuse()

    def interrupt(self) -> None:
        """Refuse the images in progress too; their work stops at the next tile."""
        for worker in self._workers:
            worker.thread.interrupt()

    def close(self, seconds: float | None = None) -> None:
        """Stop all work at the next tile, and wait until it has stopped, at most `seconds`."""
        self._draining = True
        wait([future for worker in self._workers for future in worker.thread.close()], seconds)

    @property
    def busy(self) -> bool:
        """Whether a worker is still in the middle of a tile, or loading weights."""
        return any(worker.thread.busy for worker in self._workers)

    def _become_ready(self, futures: list[Future[None]]) -> None:
        if all(future.done() for future in futures):
            error = next((error for future in futures if (error := future.exception())), None)
            self._not_ready = None if error is None else f"the weights cannot be loaded: {error}"
            if error is not None:
                log.error("%s", self._not_ready, exc_info=None if isinstance(error, UformerError) else error)


def _note(message: str) -> None:
    """Log a notice about an image; responses have no field for it."""
    log.info("%s", message)


class _Worker:
    """A thread with the restorers of one device."""

    def __init__(self, engine: Engine, device: str, load: Load) -> None:
        self.engine, self.device = engine, device
        self._restorers = Restorers(load)
        self.thread = JobThread(f"uformer-{device}")

    def warm(self) -> None:
        """Load the weights that the server starts with."""
        options = [self.engine.catalogue.defaults]
        if not self.engine.catalogue.own:
            options += [dataclasses.replace(options[0], task=task, weights=None) for task in registry.TASKS]
        for each in options:
            self._restorers.get(self._here(each))

    def restore(self, job: Job) -> bytes:
        """Return the restored file of a job."""
        data, mask = job.begin()
        if job.header.stack:
            return self._restore_stack(job, data, mask)
        with self.engine.metrics.restore_seconds.time():
            with refused_as(400, "not-a-picture"):
                image = read(
                    data,
                    limits=Limits(max_bytes=len(data), max_pixels=self.engine.settings.max_pixels),
                    notify=_note,
                )
                shares = None if mask is None else mask_values(mask, notify=_note)
            holds = job.hold and self._can_hold(job, answer_size(job.header) + len(data) + len(mask or b""))
            del data
            job.check()
            with refused_as(422, "not-restored"):
                restorer = self._restorers.get(self._here(job.options))
                if shares is not None:
                    restorer = restorer.masked(shares)
                    del shares  # the restorer has a copy
                answer = None
                if holds:
                    stored = StoredImage.of(image)
                    del image
                    answer = restorer.infer(stored, progress=job.progress, notify=_note)
                    job.range = answer.ranges[0].reported(stored.depth)
                    restored = answer.blend(check=job.check)
                    answer.mask = mask  # its file takes less memory
                else:
                    used = restorer.range_of_image(image, notify=_note)
                    job.range = used.reported(image.depth)
                    restored = restorer.restore_image(image, used=used, progress=job.progress, notify=_note)
                job.check()
                encoded = encode(
                    restored, job.suffix, metadata=job.metadata, quality=job.options.quality, notify=_note
                )
        if answer is not None:
            self.engine.held.put(job, answer)
        return encoded

    def _restore_stack(self, job: Job, data: bytes, mask: bytes | None) -> bytes:
        """Return the restored TIFF of a job."""
        if job.hold:
            job.not_held = NOT_HELD
        with self.engine.metrics.restore_seconds.time():
            with refused_as(400, "not-a-picture"):
                shares = None if mask is None else mask_values(mask, notify=_note)
            with refused_as(422, "not-restored"):
                restorer = self._restorers.get(self._here(job.options))
                if shares is not None:
                    restorer = restorer.masked(shares)
                encoded, job.range = restored_stack(
                    restorer, data, progress=job.progress, check=job.check, notify=_note
                )
        return encoded

    def _can_hold(self, job: Job, cost: int) -> bool:
        """Make room for the answer of a job, or record why it cannot be held."""
        if len(job.options.chain) > 1:
            job.not_held = "the controls of several tasks apply to each of them in turn"
        elif not self.engine.held.reserve(job, cost):
            most = self.engine.held.limit // 2
            job.not_held = f"the answer takes {cost:,} bytes; the limit is {most:,} (half of --hold-memory)"
        return job.not_held is None

    def ended(self, job: Job, ending: Ending) -> None:
        """Count a job, and drop what is held of one that failed."""
        outcome = "cancelled" if ending is None else "failed" if isinstance(ending, Problem) else "done"
        metrics = self.engine.metrics
        metrics.images.labels(outcome=outcome, weights=self.engine.catalogue.name(job.options)).inc()
        if outcome == "done":
            metrics.pixels.inc(job.header.pixels * job.pages)
        else:
            self.engine.held.drop(job)

    def _here(self, options: RestoreOptions) -> RestoreOptions:
        return dataclasses.replace(options, device=self.device)
