"""The workers, their queue, and stopping."""

import dataclasses
import http.client
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
from fastapi.testclient import TestClient

from tests.image.suspects import suspects
from tests.serve.conftest import HEADERS, Build, Pace, client_of, header_of, png, send, served, wait_until
from uformer.errors import PictureError
from uformer.restore.options import RestoreOptions
from uformer.serve import engine as engine_module
from uformer.serve.engine import Engine
from uformer.serve.jobs import Job
from uformer.serve.problems import Problem


def make(engine: Engine) -> Job:
    return Job(png(), header_of(), engine.catalogue.defaults, suffix=".png", metadata="strip", seconds=60)


def submit(engine: Engine) -> Job:
    job = make(engine)
    engine.submit(job, engine.admit())
    return job


@pytest.fixture
def engine(build: Build) -> Engine:
    engine = build(queue=2).engine
    engine.start()
    wait_until(lambda: engine.not_ready is None)
    return engine


def test_no_image_is_accepted_before_the_weights_are_loaded(build: Build) -> None:
    with pytest.raises(Problem, match="being loaded"):
        build().engine.admit()


def test_weights_that_cannot_be_loaded_are_reported(
    build: Build, pace: Pace, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = build().engine
    monkeypatch.setattr(pace, "loaded", None)
    engine.start()
    wait_until(lambda: "cannot be loaded" in str(engine.not_ready))


def test_slots_are_bounded_and_come_back(engine: Engine, pace: Pace) -> None:
    pace.go.clear()
    jobs = [submit(engine) for _ in range(3)]
    assert engine.capacity == engine.admitted == 3
    assert [engine.ahead(job) for job in jobs] == [0, 1, 2]
    with pytest.raises(Problem, match="full with 3 images"):
        engine.admit()
    pace.go.set()
    wait_until(lambda: engine.admitted == 0)
    slot = engine.admit()
    slot.release()
    slot.release()
    assert engine.admitted == 0
    assert all(job.state == "done" for job in jobs)
    engine.close()


def test_one_worker_a_device(build: Build, pace: Pace) -> None:
    engine = build(RestoreOptions(device="cuda:0,cuda:1", backend="torch")).engine
    engine.start()
    wait_until(lambda: engine.not_ready is None)
    assert {options.device for options in pace.loaded} == {"cuda:0", "cuda:1"}
    pace.go.clear()
    jobs = [submit(engine) for _ in range(4)]
    wait_until(lambda: engine.running == 2)
    assert [job.state for job in jobs] == ["running", "running", "queued", "queued"]
    pace.go.set()
    wait_until(lambda: engine.admitted == 0)
    engine.close()
    assert sorted(options.device for options in pace.seen) == ["cuda:0", "cuda:0", "cuda:1", "cuda:1"]


def test_draining_finishes_what_runs_and_refuses_the_rest(engine: Engine, pace: Pace) -> None:
    pace.go.clear()
    running, waiting = submit(engine), submit(engine)
    assert pace.at_work.wait(20)
    engine.drain()
    assert waiting.problem is not None
    assert waiting.problem.status == 503
    with pytest.raises(Problem, match="stopping"):
        engine.admit()
    pace.go.set()
    wait_until(lambda: engine.admitted == 0)
    assert running.state == "done"
    engine.close()


def test_an_upload_that_ends_after_draining_is_refused(engine: Engine) -> None:
    slot = engine.admit()
    engine.drain()
    with pytest.raises(Problem, match="stopping"):
        engine.submit(make(engine), slot)
    assert engine.admitted == 0
    engine.close()


def test_closing_stops_at_the_next_tile(engine: Engine, pace: Pace) -> None:
    pace.go.clear()
    job, waiting = submit(engine), submit(engine)
    assert pace.at_work.wait(20)
    threading.Timer(0.05, pace.go.set).start()
    engine.close()
    assert (job.state, waiting.state, pace.tiles_done, engine.busy) == ("cancelled", "cancelled", 1, False)


def test_an_engine_that_was_never_started_can_be_closed(build: Build) -> None:
    engine = build().engine
    engine.close()
    assert not engine.busy


@pytest.mark.parametrize("error", [None, PictureError("no"), RuntimeError("a bug")])
@pytest.mark.usefixtures("no_garbage_collector")
def test_an_image_is_released_when_it_is_done(
    engine: Engine, pace: Pace, error: Exception | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module.log, "disabled", True)  # pytest keeps log records and their frames
    pace.error = error
    jobs = [weakref.ref(submit(engine)) for _ in range(3)]
    wait_until(lambda: engine.admitted == 0)
    wait_until(lambda: [each() for each in pace.images + jobs] == [None] * 6)
    engine.close()


@pytest.mark.usefixtures("no_garbage_collector")
def test_an_image_is_released_when_its_client_disconnects(build: Build, pace: Pace) -> None:
    service = build()
    pace.go.clear()
    with served(service) as (_, port):
        client = http.client.HTTPConnection("127.0.0.1", port)
        client.request("POST", "/v1/restore", png(), HEADERS)
        assert pace.at_work.wait(20)
        client.close()
        wait_until(lambda: b'status="499"} 1' in send(port, "GET", "/metrics")[1])
        pace.go.set()
        wait_until(lambda: service.idle)
        wait_until(lambda: pace.images[0]() is None)


@pytest.mark.usefixtures("no_garbage_collector")
def test_an_image_is_released_when_its_job_is_deleted(build: Build, pace: Pace) -> None:
    service = build()
    pace.go.clear()
    with client_of(service) as client:
        where = client.post("/v1/jobs", content=png(), headers=HEADERS).headers["location"]
        assert pace.at_work.wait(20)
        job = weakref.ref(service.store.get(where.rpartition("/")[2]))
        client.delete(where)
        pace.go.set()
        wait_until(lambda: service.idle)
        wait_until(lambda: (pace.images[0](), job()) == (None, None))


def test_an_upload_takes_bytes_but_no_place(engine: Engine) -> None:
    engine.settings = dataclasses.replace(engine.settings, max_bytes=1000)
    slots = [engine.admit() for _ in range(20)]
    assert engine.admitted == 0
    for slot in slots:
        slot.add_bytes(100)
    assert engine.uploaded == 2000
    with pytest.raises(Problem, match="uploads already take 2,000 bytes") as caught:
        slots[0].add_bytes(3000 + 2**20)
    assert (caught.value.status, caught.value.kind) == (429, "uploads-full")
    for slot in slots:
        slot.release()
        slot.release()
    assert engine.uploaded == 0


def test_an_upload_that_arrives_after_others_filled_the_queue_is_refused(engine: Engine, pace: Pace) -> None:
    pace.go.clear()
    late = engine.admit()
    late.add_bytes(10)
    jobs = [submit(engine) for _ in range(engine.capacity)]
    with pytest.raises(Problem, match="full with 3 images"):
        engine.submit(make(engine), late)
    assert (engine.admitted, engine.uploaded) == (3, 0)
    pace.go.set()
    wait_until(lambda: engine.admitted == 0)
    assert [job.state for job in jobs] == ["done"] * 3


def test_an_upload_is_stopped_by_draining(engine: Engine) -> None:
    slot = engine.admit()
    engine.drain()
    with pytest.raises(Problem, match="stopping"):
        slot.add_bytes(1)
    engine.close()


def restore_many(client: TestClient, data: bytes, number: int) -> None:
    for at in range(number):
        if at % 10 == 9:  # sometimes a job that nobody fetches, and a damaged upload
            assert client.post("/v1/jobs", content=data, headers=HEADERS).status_code == 202
            assert client.post("/v1/restore", content=data[:1000], headers=HEADERS).status_code == 400
        else:
            assert client.post("/v1/restore", content=data, headers=HEADERS).status_code == 200


@pytest.mark.slow
def test_memory_stays_flat_over_a_thousand_requests(build: Build, pace: Pace) -> None:
    pace.tiles = 1
    data = png(110, 80)
    process = psutil.Process()
    with client_of(build(keep=0.5, queue=1000)) as client:
        restore_many(client, data, 300)
        before, threads = process.memory_info().rss, process.num_threads()
        restore_many(client, data, 1000)
        after = process.memory_info().rss
        assert process.num_threads() <= threads + 1
    assert after - before < 1000 * len(data) / 2, f"{before / 2**20:.0f} to {after / 2**20:.0f} MiB"


def test_a_verdict_depends_on_the_file_alone(build: Build, pace: Pace) -> None:
    files = [(name, data) for number in range(4) for name, data in suspects(number).items()]
    pace.go.set()
    with client_of(build(queue=16)) as client, ThreadPoolExecutor(8) as pool:

        def post(data: bytes) -> int:
            return client.post("/v1/restore", content=data, headers={"Content-Type": "image/*"}).status_code

        answers = list(pool.map(post, [data for _, data in files]))
    for (name, _), status in zip(files, answers, strict=True):
        assert status == (200 if name.startswith("good") else 400), name
