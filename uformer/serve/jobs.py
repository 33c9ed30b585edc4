"""A picture on its way through the server, and the jobs whose results are kept for a while."""

import copy
import secrets
import threading
import time
from concurrent.futures import Future
from typing import Any

from uformer.image.formats import by_suffix
from uformer.image.image import Header
from uformer.image.write import MetadataPolicy
from uformer.restore.options import RestoreOptions
from uformer.serve.problems import Cancelled, Problem

Ending = bytes | Problem | None
"""What became of an image: the restored file, why it failed, or None where nobody wants it any more.

It is a value even where the work failed: an exception that a future keeps would keep the frames it came through, and
with them the decoded image.
"""

FINISHED = ("done", "failed", "cancelled")


class Job:
    """One picture to restore. The server's loop reads what a worker's thread writes; each field is written by one of them.

    `header`: what the file says of itself. `suffix`: of the format to answer in. `seconds`: after which it is given up.
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
    ) -> None:
        self.id = secrets.token_hex(16)
        self.options, self.suffix, self.metadata = options, suffix, metadata
        self.header = header
        self.future: Future[Ending] = Future()
        self.tiles_done, self.tiles = 0, 0
        self.created, self.started, self.finished = time.monotonic(), 0.0, 0.0
        self.fetched = False
        self._data: bytes | None = data
        self._deadline, self._seconds = self.created + seconds, seconds
        self._cancelled = threading.Event()
        self._refusal: Problem | None = None

    def begin(self) -> bytes:
        """The picture's bytes, handed over once. Raises as `check`."""
        self.check()
        self.started = time.monotonic()
        data, self._data = self._data, None
        if data is None:
            raise RuntimeError("a job begins once")
        return data

    def end(self) -> None:
        self.finished = time.monotonic()
        self._data = None

    def cancel(self) -> None:
        """Stop the work at the next tile, or before it begins; nothing where it is done."""
        if not self.future.done():
            self._cancelled.set()
            self.future.cancel()

    def refuse(self, problem: Problem) -> None:
        """Give it up for a reason, if it has not begun."""
        self._refusal = problem
        if not self.future.cancel():
            self._refusal = None

    def check(self) -> None:
        """Raise Cancelled where nobody wants the work any more, and Problem where it took too long."""
        if self._cancelled.is_set():
            raise Cancelled
        if time.monotonic() > self._deadline:
            raise too_slow(self._seconds)

    def progress(self, done: int, total: int) -> None:
        """What a restorer calls after each tile; raises as `check`."""
        self.tiles_done, self.tiles = done, total
        self.check()

    @property
    def state(self) -> str:
        """queued, running, done, failed or cancelled."""
        if self._refusal is not None:
            return "failed"
        if self.future.cancelled() or self._cancelled.is_set():
            return "cancelled"
        if not self.future.done():
            return "running" if self.started else "queued"
        return "done" if isinstance(self.future.result(), bytes) else "failed"

    @property
    def problem(self) -> Problem | None:
        """Why it failed, if it did."""
        if self.state != "failed":
            return None
        ending = self._refusal or self.future.result()
        return (
            copy.copy(ending) if isinstance(ending, Problem) else None
        )  # whoever raises it leaves frames in it

    @property
    def restored(self) -> bytes:
        """The restored file; empty unless the job is done."""
        ending = self.future.result() if self.state == "done" else None
        return ending if isinstance(ending, bytes) else b""

    @property
    def notes(self) -> list[str]:
        """What is done to the picture besides restoring it."""
        several = "of several pages or frames, the first is restored"
        converted = "its colours are converted to sRGB"
        return [several] * (self.header.frames > 1) + [converted] * self.header.converted

    def to_json(self, *, ahead: int) -> dict[str, Any]:
        """What clients see of it. `ahead`: pictures that come before it."""
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
            "notes": self.notes,
            "tiles_done": self.tiles_done,
            "tiles": self.tiles or None,
            "seconds": round(seconds, 3),
            "eta_seconds": round(seconds * (1 - share) / share, 3) if running and share else None,
            "problem": None if problem is None else problem.to_json(),
            "result": f"/v1/jobs/{self.id}/result",
        }


def too_slow(seconds: float) -> Problem:
    """The refusal of a picture that took longer than `seconds`."""
    return Problem(
        504,
        "too-slow",
        f"the picture was not finished within {seconds:g} seconds; try a smaller one, or /v1/jobs",
    )


class JobStore:
    """Jobs by id; results are kept for a time and up to a number of bytes. For one thread.

    `keep`: seconds after the end of a job. `max_bytes`: of all results together.
    """

    def __init__(self, *, keep: float, max_bytes: int) -> None:
        self._keep, self._max_bytes = keep, max_bytes
        self._jobs: dict[str, Job] = {}

    def add(self, job: Job) -> None:
        self._jobs[job.id] = job

    def get(self, job_id: str) -> Job:
        """Raises Problem where there is no such job (any more)."""
        self.sweep()
        if job_id not in self._jobs:
            raise Problem(
                404,
                "no-such-job",
                f"there is no job {job_id[:64]!r}, or its time is over: results are kept for {self._keep:g} s",
            )
        return self._jobs[job_id]

    def remove(self, job: Job) -> None:
        job.cancel()
        self._jobs.pop(job.id, None)

    def sweep(self) -> None:
        """Forget jobs whose time is over, and fetched ones where results take too much."""
        now = time.monotonic()
        for job in list(self._jobs.values()):
            if job.state in FINISHED and now > (job.finished or job.created) + self._keep:
                del self._jobs[job.id]
        for job in list(self._jobs.values()):
            if self.kept_bytes > self._max_bytes and job.fetched:
                del self._jobs[job.id]

    def check_room(self) -> None:
        """Raise Problem where results that nobody fetched take all the room there is."""
        self.sweep()
        if self.kept_bytes > self._max_bytes:
            raise Problem(
                429,
                "results-full",
                "too many results wait to be fetched; fetch or delete some",
                retry_after=30,
            )

    @property
    def kept_bytes(self) -> int:
        return sum(len(job.restored) for job in self._jobs.values())

    @property
    def kept(self) -> int:
        return sum(job.state == "done" for job in self._jobs.values())

    @property
    def unfetched(self) -> int:
        """Finished jobs whose result nobody has fetched yet."""
        return sum(job.state == "done" and not job.fetched for job in self._jobs.values())

    def clear(self) -> None:
        for job in list(self._jobs.values()):
            self.remove(job)
