"""A thread that does jobs one after another."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

from uformer.serve.jobs import Ending, Job, settled, stopping


class JobThread:
    """A thread that does one job at a time, in the order in which they are submitted.

    `jobs`: the jobs that wait or run, by id, in that order; the running one is first.
    """

    def __init__(self, name: str) -> None:
        self.jobs: dict[str, Job] = {}
        self._preparing: Future[None] | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)

    @property
    def busy(self) -> bool:
        """Whether a job waits or runs, or the thread is still preparing."""
        return bool(self.jobs) or not (self._preparing is None or self._preparing.done())

    def prepare(self, work: Callable[[], None]) -> Future[None]:
        """Do work that the jobs need, before any of them."""
        self._preparing = self._thread.submit(work)
        return self._preparing

    def submit(
        self, job: Job, work: Callable[[Job], bytes], *, ended: Callable[[Job, Ending], None] | None = None
    ) -> None:
        """Queue a job. `work` returns its result. `ended` is called with its outcome afterwards."""
        self.jobs[job.id] = job
        job.future = self._thread.submit(settled, job, work)
        # A future keeps its callbacks, so the callback must not hold the job.
        job.future.add_done_callback(partial(self._finish, job.id, ended))

    def refuse(self) -> None:
        """Refuse the jobs that wait, because the server is stopping."""
        for job in list(self.jobs.values()):
            if not job.started:
                job.refuse(stopping())

    def interrupt(self) -> None:
        """Refuse the running job too; its work stops at the next check."""
        for job in list(self.jobs.values()):
            job.interrupt(stopping())

    def close(self) -> list[Future[Any]]:
        """Cancel all jobs, accept no more, and return the futures of the work that still runs."""
        futures: list[Future[Any]] = [] if self._preparing is None else [self._preparing]
        for job in list(self.jobs.values()):
            job.cancel()
            futures.append(job.future)
        self._thread.shutdown(wait=False, cancel_futures=True)
        return [future for future in futures if not future.done()]

    def _finish(
        self, job_id: str, ended: Callable[[Job, Ending], None] | None, future: Future[Ending]
    ) -> None:
        job = self.jobs.pop(job_id)
        if future.cancelled():
            job.end()
        if ended is not None:
            ended(job, None if future.cancelled() else future.result())
