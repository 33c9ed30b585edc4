"""Applying controls to held answers, in a thread of its own beside the workers."""

import dataclasses
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from uformer.image.write import encode
from uformer.notices import ignore
from uformer.restore.options import Controls, RestoreOptions
from uformer.restore.restoration import Restoration
from uformer.restore.tones import decided
from uformer.serve.jobs import Ending, Job, settled
from uformer.serve.problems import Problem, refused_as
from uformer.serve.prometheus import Metrics


class Blender:
    """Blends one image at a time, in order; at most `queue` others wait.

    It does not wait for the images that the workers restore, which take much longer.
    """

    def __init__(self, queue: int, metrics: Metrics) -> None:
        self._most, self._metrics = queue + 1, metrics
        self._lock = threading.Lock()
        self._jobs: dict[str, Job] = {}
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="uformer-blend")

    @property
    def count(self) -> int:
        """Number of images that wait or are being blended."""
        return len(self._jobs)

    def submit(self, job: Job, answer: Restoration) -> None:
        """Start a job that blends an answer with the job's options. Raises Problem if too many wait."""
        with self._lock:
            if len(self._jobs) >= self._most:
                detail = f"{len(self._jobs)} images wait to be blended; try again later"
                raise Problem(429, "queue-full", detail, retry_after=1)
            self._jobs[job.id] = job
        job.future = self._thread.submit(self._blend, job, answer)
        # A future keeps its callbacks, so the callback must not hold the job.
        job.future.add_done_callback(partial(self._finish, job.id))

    def interrupt(self) -> None:
        """Refuse all images; the work on one of them stops at the next block."""
        for job in list(self._jobs.values()):
            job.interrupt(Problem(503, "not-ready", "the server is stopping", retry_after=5))

    def close(self) -> None:
        """Cancel all work, and accept no more."""
        for job in list(self._jobs.values()):
            job.cancel()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _blend(self, job: Job, answer: Restoration) -> Ending:
        start = time.monotonic()
        try:
            return settled(job, partial(_blended, job, answer))
        finally:
            job.end()
            self._metrics.blend_seconds.observe(time.monotonic() - start)

    def _finish(self, job_id: str, _future: object) -> None:
        del self._jobs[job_id]


def controls_of(options: RestoreOptions) -> Controls:
    """Return the controls of options for one task, with the tones decided."""
    (only,) = options.chain
    return decided(only)


def _blended(job: Job, answer: Restoration) -> bytes:
    job.begin()
    controls = dataclasses.asdict(controls_of(job.options))
    with refused_as(422, "not-restored"):
        image = answer.blend(check=job.check, **controls)
        job.check()
        return encode(image, job.suffix, metadata=job.metadata, quality=job.options.quality, notify=ignore)
