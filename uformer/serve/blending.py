"""Applying controls to held answers, in a thread of its own beside the workers."""

import dataclasses
import threading
from functools import partial

from uformer.image.image import Header
from uformer.image.write import encode
from uformer.notices import ignore
from uformer.restore.masks import Mask, mask_values
from uformer.restore.options import Controls, RestoreOptions
from uformer.restore.restoration import Restoration
from uformer.restore.tones import decided
from uformer.serve.job_thread import JobThread
from uformer.serve.jobs import Job
from uformer.serve.problems import Problem, refused_as
from uformer.serve.prometheus import Metrics


class Blender:
    """Blends one image at a time, in order; at most `queue` others wait.

    It does not wait for the images that the workers restore, which take much longer.
    """

    def __init__(self, queue: int, metrics: Metrics) -> None:
        self._most, self._metrics = queue + 1, metrics
        self._lock = threading.Lock()
        self._thread = JobThread("uformer-blend")

    @property
    def count(self) -> int:
        """Number of images that wait or are being blended."""
        return len(self._thread.jobs)

    def submit(self, job: Job, answer: Restoration) -> None:
        """Start a job that blends an answer with the job's options. Raises Problem if too many wait."""
        with self._lock:
            if self.count >= self._most:
                detail = f"{self.count} images wait to be blended; try again later"
                raise Problem(429, "queue-full", detail, retry_after=1)
            self._thread.submit(job, partial(self._blended, answer))

    def interrupt(self) -> None:
        """Refuse all images; the work on one of them stops at the next block."""
        self._thread.interrupt()

    def close(self) -> None:
        """Cancel all work, and accept no more."""
        self._thread.close()

    def _blended(self, answer: Restoration, job: Job) -> bytes:
        _, mask = job.begin()
        mask = mask or answer.mask
        with refused_as(400, "not-a-picture"):
            fitted = None if mask is None else _fitted(mask, job.header)
        controls = dataclasses.asdict(controls_of(job.options))
        with self._metrics.blend_seconds.time(), refused_as(422, "not-restored"):
            image = answer.blend(check=job.check, mask=fitted, crop=job.crop, **controls)
            job.check()
            return encode(
                image, job.suffix, metadata=job.metadata, quality=job.options.quality, notify=ignore
            )


def _fitted(mask: bytes, image: Header) -> Mask:
    """Return a mask for an image. `blend` does not copy it, as it copies an array."""
    return Mask(mask_values(mask, notify=ignore), image.height, image.width)


def controls_of(options: RestoreOptions) -> Controls:
    """Return the controls of options for one task, with the tones decided."""
    (only,) = options.chain
    return decided(only)
