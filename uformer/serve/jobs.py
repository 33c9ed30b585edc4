"""Jobs (one image each), and the store that keeps their results for a while."""

import copy
import logging
import secrets
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from uformer.image.formats import by_suffix
from uformer.image.image import Header
from uformer.image.write import MetadataPolicy
from uformer.restore.options import RestoreOptions
from uformer.restore.planes import Ranges
from uformer.restore.restoration import Crop
from uformer.serve.problems import BUG, Cancelled, Problem

log = logging.getLogger("uformer.serve")

Ending = bytes | Problem | None
"""The outcome of a job: the restored file, the reason it failed, or None if it was cancelled.

A failure is a value and not an exception, because an exception stored in a future keeps the frames of its
traceback alive, and with them the decoded image.
"""

FINISHED = ("done", "failed", "cancelled")


class Job:
    """One image to restore.

    `suffix`: suffix of the response's format. `seconds`: time after which the job is given up. `hold`:
    whether to hold the network's answer, if possible. `mask`: the file of a mask. `crop`: the part that a
    job that blends returns.

    The event loop reads fields that a worker thread writes; only one of the two writes each field.
    """

    def __init__(
        self,
        data: bytes,
        header: Header,
        options: RestoreOptions,
        *,
        suffix: str,
        metadata: MetadataPolicy,
        seconds: float,
        hold: bool = False,
        mask: bytes | None = None,
        crop: Crop | None = None,
    ) -> None:
        self.id = secrets.token_hex(16)
        self.options, self.suffix, self.metadata = options, suffix, metadata
        self.header = header
        self.future: Future[Ending] = Future()
        self.tiles_done, self.tiles = 0, 0
        self.created, self.started, self.finished = time.monotonic(), 0.0, 0.0
        self.range: Ranges = None
        self.fetched = False
        self.hold = hold
        self.held = False
        """Whether the network's answer is held now; HeldAnswers sets it."""
        self.not_held: str | None = None
        """Why the answer is not held although `hold` is true, if this is decided."""
        self.crop = crop
        self._files: tuple[bytes, bytes | None] | None = (data, mask)
        self._deadline, self._seconds = self.created + seconds, seconds
        self._cancelled = threading.Event()
        self._refusal: Problem | None = None

    def begin(self) -> tuple[bytes, bytes | None]:
        """Start the job and return its file and mask, which it then drops. Raises the errors of `check`."""
        self.check()
        self.started = time.monotonic()
        files, self._files = self._files, None
        if files is None:
            raise RuntimeError("the job has already begun")
        return files

    def end(self) -> None:
        """Record the end of the work."""
        self.finished = time.monotonic()
        self._files = None

    def cancel(self) -> None:
        """Stop the work at the next tile, or before it begins. No effect on a finished job."""
        if not self.future.done():
            self._cancelled.set()
            self.future.cancel()

    def refuse(self, problem: Problem) -> None:
        """Fail the job with a problem, unless it has begun."""
        self._refusal = problem
        if not self.future.cancel():
            self._refusal = None

    def interrupt(self, problem: Problem) -> None:
        """Fail the job with a problem now, unless it is done. Its work stops at the next tile."""
        if not self.future.done():
            self._refusal = problem
            self.cancel()

    def check(self) -> None:
        """Raise Cancelled if the job was cancelled, and Problem if it took too long."""
        if self._cancelled.is_set():
            raise Cancelled
        if time.monotonic() > self._deadline:
            raise too_slow(self._seconds)

    def progress(self, done: int, total: int) -> None:
        """Record the number of finished tiles; the restorer's callback. Raises the errors of `check`."""
        self.tiles_done, self.tiles = done, total
        self.check()

    @property
    def cancelled(self) -> bool:
        """Whether `cancel` was called in time."""
        return self._cancelled.is_set()

    @property
    def state(self) -> str:
        """One of queued, running, done, failed and cancelled."""
        if self._refusal is not None:
            return "failed"
        if self.future.cancelled() or self.cancelled:
            return "cancelled"
        if not self.future.done():
            return "running" if self.started else "queued"
        return "done" if isinstance(self.future.result(), bytes) else "failed"

    @property
    def problem(self) -> Problem | None:
        """Why the job failed; None if it did not."""
        if self.state != "failed":
            return None
        ending = self._refusal or self.future.result()
        return copy.copy(ending) if isinstance(ending, Problem) else None  # raising it adds a traceback

    @property
    def restored(self) -> bytes:
        """The restored file; empty unless the job is done."""
        ending = self.future.result() if self.state == "done" else None
        return ending if isinstance(ending, bytes) else b""

    def is_as(self, options: RestoreOptions, suffix: str, metadata: MetadataPolicy) -> bool:
        """Return whether the result is what these options, format and metadata return."""
        return (options, suffix, metadata) == (self.options, self.suffix, self.metadata)

    @property
    def notes(self) -> list[str]:
        """What happens to the image besides restoring it."""
        if self.header.stack:
            return [f"all {self.header.frames} pages are restored" if self.pages > 1 else self.header.stack]
        several = "only the primary one of several images is restored"
        converted = "the colours are converted to sRGB"
        return [several] * (self.header.frames > 1) + [converted] * self.header.converted

    @property
    def pages(self) -> int:
        """Number of images that are restored."""
        return self.header.frames if self.header.stack else 1

    def to_json(self, *, ahead: int, root: str = "") -> dict[str, Any]:
        """Return the JSON that clients see.

        `ahead`: number of images ahead in the queue. `root`: path below which a proxy serves the server.
        """
        until = self.finished or time.monotonic()
        seconds = until - self.started if self.started else 0.0
        share = self.tiles_done / self.tiles if self.tiles else 0.0
        running = self.state == "running"
        problem = self.problem
        return {
            "id": self.id,
            "state": self.state,
            "ahead": ahead if self.state == "queued" else 0,
            "width": self.header.width,
            "height": self.header.height,
            "format": by_suffix(self.header.suffix).name,
            "depth": self.header.depth,
            "pages": self.pages if self.header.stack else None,
            "notes": self.notes,
            "range": self.range,
            "tiles_done": self.tiles_done,
            "tiles": self.tiles or None,
            "seconds": round(seconds, 3),
            "eta_seconds": round(seconds * (1 - share) / share, 3) if running and share else None,
            "problem": None if problem is None else problem.to_json(),
            "held": self.held,
            "not_held": self.not_held,
            "result": f"{root}/v1/jobs/{self.id}/result",
        }


def settled(job: Job, work: Callable[[Job], bytes]) -> Ending:
    """Do the work of a job, end it and return its outcome."""
    try:
        return work(job)
    except Cancelled:
        return None
    except Problem as problem:
        return copy.copy(problem)  # the copy has no traceback, whose frames hold the decoded image
    except Exception:
        log.exception("restoring an image of %d x %d pixels failed", job.header.width, job.header.height)
        return Problem(500, "internal", BUG)
    finally:
        job.end()


def stopping() -> Problem:
    """Return the problem of an image that a stopping server refuses."""
    return Problem(503, "not-ready", "the server is stopping", retry_after=5)


def too_slow(seconds: float) -> Problem:
    """Return the problem of an image that took longer than `seconds`."""
    return Problem(
        504,
        "too-slow",
        f"the image was not finished within {seconds:g} seconds; try a smaller one or /v1/jobs",
    )


class JobStore:
    """Jobs by id, with limits on how long and how many results are kept. Not thread-safe.

    `keep`: seconds that a finished job is kept. `max_bytes`: total size of the results. `dropped`: called
    with each job that is deleted.
    """

    def __init__(self, *, keep: float, max_bytes: int, dropped: Callable[[Job], None]) -> None:
        self._keep, self._max_bytes, self._dropped = keep, max_bytes, dropped
        self._jobs: dict[str, Job] = {}

    def add(self, job: Job) -> None:
        self._jobs[job.id] = job

    def get(self, job_id: str) -> Job:
        """Return a job. Raises Problem if it is unknown or has expired."""
        self.sweep()
        if job_id not in self._jobs:
            raise Problem(
                404,
                "no-such-job",
                f"no job {job_id[:64]!r}; it may have expired: results are kept for {self._keep:g} s",
            )
        return self._jobs[job_id]

    def remove(self, job: Job) -> None:
        """Cancel a job and delete its result."""
        job.cancel()
        self._jobs.pop(job.id, None)
        self._dropped(job)

    def sweep(self) -> None:
        """Delete expired jobs, and fetched ones while the results exceed `max_bytes`."""
        now = time.monotonic()
        for job in list(self._jobs.values()):
            if job.state in FINISHED and now > (job.finished or job.created) + self._keep:
                self.remove(job)
        for job in list(self._jobs.values()):
            if self.kept_bytes > self._max_bytes and job.fetched:
                self.remove(job)

    def check_room(self) -> None:
        """Raise Problem if unfetched results leave no room."""
        self.sweep()
        if self.kept_bytes > self._max_bytes:
            raise Problem(
                429,
                "results-full",
                f"unfetched results take {self.kept_bytes:,} bytes; fetch or delete some",
                retry_after=30,
            )

    @property
    def kept_bytes(self) -> int:
        """Total size of the results."""
        return sum(len(job.restored) for job in self._jobs.values())

    @property
    def kept(self) -> int:
        """Number of results."""
        return sum(job.state == "done" for job in self._jobs.values())

    @property
    def unfetched(self) -> int:
        """Number of results that nobody has fetched yet."""
        return sum(job.state == "done" and not job.fetched for job in self._jobs.values())

    def clear(self) -> None:
        """Cancel and delete all jobs."""
        for job in list(self._jobs.values()):
            self.remove(job)
