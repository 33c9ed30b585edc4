"""The states of a job, and how long it is kept."""

import time
from concurrent.futures import Future
from typing import Any

import pytest

from tests.serve.conftest import header_of
from uformer.restore.options import RestoreOptions
from uformer.serve.jobs import Ending, Job, JobStore
from uformer.serve.problems import Cancelled, Problem


def make(seconds: float = 60) -> Job:
    return Job(b"data", header_of(), RestoreOptions(), suffix=".png", metadata="strip", seconds=seconds)


def finished(ending: Ending = b"image") -> Job:
    job = make()
    job.begin()
    job.future = Future()
    job.future.set_result(ending)
    job.end()
    return job


def test_states() -> None:
    job = make()
    assert job.state == "queued"
    assert job.begin() == (b"data", None)
    assert job.state == "running"
    job.progress(1, 4)
    shown = job.to_json(ahead=0)
    assert (shown["tiles_done"], shown["tiles"]) == (1, 4)
    assert shown["eta_seconds"] == pytest.approx(3 * shown["seconds"], abs=0.01)
    assert finished().state == "done"
    assert finished(Problem(400, "x", "y")).to_json(ahead=0)["problem"]["detail"] == "y"
    assert (finished(b"x").restored, make().restored) == (b"x", b"")


def test_cancelled_before_it_begins() -> None:
    job = make()
    job.cancel()
    assert job.state == "cancelled"
    with pytest.raises(Cancelled):
        job.begin()


def test_cancelled_between_tiles() -> None:
    job = make()
    job.future.set_running_or_notify_cancel()
    job.begin()
    job.cancel()
    with pytest.raises(Cancelled):
        job.progress(1, 4)
    assert job.state == "cancelled"


def test_a_finished_job_cannot_be_cancelled() -> None:
    job = finished()
    job.cancel()
    assert job.state == "done"


def test_its_time_is_bounded() -> None:
    job = make(seconds=0.01)
    job.begin()
    time.sleep(0.02)
    with pytest.raises(Problem, match="0.01 seconds"):
        job.progress(1, 4)


def test_refused_only_while_it_waits() -> None:
    waiting, running = make(), make()
    running.future.set_running_or_notify_cancel()
    for job in (waiting, running):
        job.refuse(Problem(503, "not-ready", "stopping"))
    assert waiting.problem is not None
    assert (waiting.problem.status, running.problem) == (503, None)


def test_other_changes_are_noted() -> None:
    job = Job(
        b"",
        header_of(frames=3, converted=True, depth=16),
        RestoreOptions(),
        suffix=".tif",
        metadata="strip",
        seconds=1,
    )
    shown = job.to_json(ahead=0)
    assert (shown["format"], shown["depth"], len(shown["notes"])) == ("PNG", 16, 2)
    assert make().notes == []


def stored(*jobs: Job, **settings: Any) -> JobStore:
    store = JobStore(**{"keep": 60, "max_bytes": 1000, "dropped": lambda _: None, **settings})
    for job in jobs:
        store.add(job)
    return store


def test_results_expire() -> None:
    old, running = finished(), make()
    store = stored(old, running, keep=0.01)
    time.sleep(0.02)
    with pytest.raises(Problem, match="no job"):
        store.get(old.id)
    assert store.get(running.id) is running


def test_what_was_fetched_makes_room() -> None:
    first, second = finished(bytes(600)), finished(bytes(600))
    store = stored(first, second)
    with pytest.raises(Problem, match="unfetched results take 1,200 bytes"):
        store.check_room()
    assert (store.kept_bytes, store.kept, store.unfetched) == (1200, 2, 2)
    first.fetched = True
    store.check_room()
    assert store.get(second.id) is second
    with pytest.raises(Problem, match="no job"):
        store.get(first.id)


def test_ids_cannot_be_guessed() -> None:
    ids = {make().id for _ in range(100)}
    assert len(ids) == 100
    assert {len(each) for each in ids} == {32}


def test_clear() -> None:
    waiting = make()
    store = stored(waiting, finished())
    store.clear()
    assert waiting.state == "cancelled"
    assert store.kept == 0
