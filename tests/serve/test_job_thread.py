"""A thread with jobs: their order, their outcomes, and stopping."""

import threading
from collections.abc import Iterator

import pytest

from tests.serve.conftest import header_of, wait_until
from uformer.restore.options import RestoreOptions
from uformer.serve.job_thread import JobThread
from uformer.serve.jobs import Ending, Job
from uformer.serve.problems import Problem


def make() -> Job:
    return Job(b"", header_of(), RestoreOptions(), suffix=".png", metadata="strip", seconds=60)


class Work:
    """Returns a job's id, once the test sets `go`."""

    def __init__(self) -> None:
        self.begun, self.go = threading.Event(), threading.Event()
        self.endings: list[tuple[Job, Ending]] = []

    def __call__(self, job: Job) -> bytes:
        job.begin()
        self.begun.set()
        assert self.go.wait(20)
        job.check()
        return job.id.encode()

    def ended(self, job: Job, ending: Ending) -> None:
        self.endings.append((job, ending))


@pytest.fixture
def work() -> Iterator[Work]:
    work = Work()
    yield work
    work.go.set()


def started(work: Work) -> tuple[JobThread, list[Job]]:
    """Return a thread with one job that runs and two that wait."""
    thread, jobs = JobThread("test"), [make() for _ in range(3)]
    for job in jobs:
        thread.submit(job, work, ended=work.ended)
    assert work.begun.wait(20)
    return thread, jobs


def test_jobs_are_done_in_order(work: Work) -> None:
    thread, jobs = started(work)
    assert list(thread.jobs.values()) == jobs
    work.go.set()
    wait_until(lambda: len(work.endings) == 3)
    assert work.endings == [(job, job.id.encode()) for job in jobs]
    assert all(job.finished >= job.started > 0 for job in jobs)
    assert not thread.busy


def test_those_that_wait_are_refused(work: Work) -> None:
    thread, (running, *waiting) = started(work)
    thread.refuse()
    assert [job.problem and job.problem.kind for job in waiting] == ["not-ready"] * 2
    work.go.set()
    wait_until(lambda: not thread.busy)
    assert running.state == "done"
    assert all(job.finished for job in waiting)


def test_the_one_that_runs_is_interrupted(work: Work) -> None:
    thread, jobs = started(work)
    thread.interrupt()
    assert [job.problem and job.problem.kind for job in jobs] == ["not-ready"] * 3
    work.go.set()
    wait_until(lambda: not thread.busy)
    assert [ending for _, ending in work.endings] == [None] * 3


def test_closing_cancels_all_jobs_and_returns_the_one_that_runs(work: Work) -> None:
    thread, jobs = started(work)
    assert thread.close() == [jobs[0].future]
    assert [job.state for job in jobs] == ["cancelled"] * 3
    with pytest.raises(RuntimeError):
        thread.submit(make(), work)


def test_preparing_comes_first(work: Work) -> None:
    thread, ready, job = JobThread("test"), threading.Event(), make()

    def prepare() -> None:
        ready.wait(20)

    prepared = thread.prepare(prepare)
    assert thread.busy
    thread.submit(job, work)
    assert job.state == "queued"
    ready.set()
    work.go.set()
    wait_until(lambda: not thread.busy)
    assert prepared.done()
    assert job.state == "done"


def test_a_failure_is_the_outcome() -> None:
    def fail(_: Job) -> bytes:
        raise Problem(422, "options", "no")

    thread, job, work = JobThread("test"), make(), Work()
    thread.submit(job, fail, ended=work.ended)
    wait_until(lambda: work.endings)
    assert job.problem is not None
    assert job.problem.detail == "no"
