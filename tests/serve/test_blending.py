"""Other controls for a finished job, over HTTP and without a new run."""

import dataclasses
import http.client
import io
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx2
import numpy as np
import PIL.Image
import pytest
from fastapi.testclient import TestClient

from tests.networks import TINY
from tests.networks import build as build_network
from tests.serve.conftest import (
    HEADERS,
    Build,
    Pace,
    client_of,
    header_of,
    levels,
    png,
    send,
    served,
    wait_until,
)
from uformer.restore.options import RestoreOptions
from uformer.restore.restoration import Restoration
from uformer.serve.blending import Blender, controls_of
from uformer.serve.jobs import Job
from uformer.serve.problems import Problem
from uformer.serve.prometheus import Metrics
from uformer.serve.service import Service
from uformer.serve.settings import Settings
from uformer.weights import checkpoint


def begun(client: TestClient, query: str, data: bytes, kind: str = "image/png") -> str:
    """Start a job, wait for it and return its path."""
    where = client.post(f"/v1/jobs?{query}", content=data, headers={"Content-Type": kind}).headers["location"]
    wait_until(lambda: client.get(where).json()["state"] == "done")
    return str(where)


def refused(answer: httpx2.Response, status: int, kind: str, words: str) -> None:
    assert (answer.status_code, answer.json()["type"]) == (status, f"urn:uformer:{kind}"), answer.text
    assert words in answer.json()["detail"]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """Yield a client of a server with a small network."""
    weights = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    checkpoint.save(weights, build_network(TINY))
    options = RestoreOptions(weights=str(weights), precision="fp32", backend="openvino")
    with client_of(Service.build(Settings(), options)) as client:
        yield client


def sixteen() -> bytes:
    """Return a 16-bit TIFF."""
    file = io.BytesIO()
    values = np.random.default_rng(0).integers(10_000, 60_000, (24, 40), dtype=np.uint16)
    PIL.Image.fromarray(values).save(file, "TIFF")
    return file.getvalue()


@pytest.mark.parametrize(
    ("kind", "most"), [("image/png", 1), ("image/jpeg", 1), ("image/tiff", 32)], ids=["8", "lossy", "16"]
)
def test_a_blend_is_what_a_new_job_with_these_controls_returns(
    tiny: TestClient, kind: str, most: int
) -> None:
    """But for the rounding of the residual to float16."""
    data = sixteen() if most > 1 else png(40, 24, suffix=kind[6:].upper())
    query = "luma=0.3&chroma=0.8&detail=0.5&grain=0.2&shadows=0.6&tones=lock&format=tif"
    fresh = tiny.post(f"/v1/restore?{query}", content=data, headers={"Content-Type": kind}).content
    result = f"{begun(tiny, 'hold=true&strength=0.9', data, kind)}/result"
    blended = tiny.get(f"{result}?{query}&strength=1").content
    assert np.abs(levels(blended) - levels(fresh)).max() <= most
    plain, given = tiny.get(result).content, tiny.get(f"{result}?strength=0.9&metadata=strip").content
    assert plain == given
    assert plain[:3] == data[:3], "the format of the upload"
    assert not np.array_equal(levels(plain), levels(blended))


def test_tones_are_decided_as_for_a_new_job() -> None:
    """`auto` is what the weights need, also if the job was made with other tones."""
    free = RestoreOptions(tones="free")
    assert controls_of(dataclasses.replace(free, tones="auto")).tones == "lock"
    assert controls_of(RestoreOptions(tasks="derain")).tones == "free"


def test_a_blend_runs_no_network(client: TestClient, pace: Pace) -> None:
    data = png(40, 24)
    where = begun(client, "hold=true", data)
    job = client.get(where).json()
    assert (job["held"], job["not_held"]) == (True, None)
    assert np.array_equal(levels(client.get(job["result"]).content), levels(data) - 51)
    half = client.get(f"{job['result']}?strength=0.5&format=webp&metadata=keep&quality=90")
    assert (half.status_code, half.headers["content-type"]) == (200, "image/webp")
    assert "blend;dur=" in half.headers["server-timing"]
    exact = levels(client.get(f"{job['result']}?strength=0").content)
    assert np.array_equal(exact, levels(data))
    assert len(pace.seen) == 1
    assert "uformer_blend_seconds_count 2" in client.get("/metrics").text
    assert "uformer_held_answers 1" in client.get("/metrics").text
    client.delete(where)
    assert "uformer_held_bytes 0" in client.get("/metrics").text


def test_metadata_is_what_the_blend_asks_for(client: TestClient) -> None:
    result = f"{begun(client, 'hold=true', png(suffix='JPEG'), 'image/jpeg')}/result"
    assert b"where I live" not in client.get(result).content
    assert b"where I live" in client.get(f"{result}?metadata=keep").content


def test_what_cannot_be_blended_is_refused(client: TestClient) -> None:
    where = begun(client, "hold=true", png(mode="RGBA"))
    result = f"{where}/result"
    for query, words in (
        ("luma=2", "luma"),
        ("tones=tight", "tones"),
        ("quality=0", "quality"),
        ("lumma=1", "unknown parameter 'lumma'; known: strength"),
        ("luma=1&luma=1", "more than once"),
        ("task=derain", "task: needs a new run; send the image again"),
        ("metadata=all", "metadata"),
        ("format=jpg", "alpha, which JPEG cannot hold"),
    ):
        refused(client.get(f"{result}?{query}"), 422, "options", words)
    refused(client.get(f"{result}?luma=0", headers={"Accept": "image/webp"}), 406, "not-acceptable", "png")
    refused(client.post("/v1/restore?hold=true", content=png(), headers=HEADERS), 422, "options", "'hold'")
    assert client.get(result).status_code == 200


@pytest.mark.parametrize(
    ("settings", "query", "reason", "words"),
    [
        ({}, "", None, "started without hold=true; send the image again"),
        ({"hold_memory": "100"}, "hold=true", "--hold-memory", "the limit is 50"),
        ({"hold_memory": "0"}, "hold=true", "--hold-memory", "the limit is 0"),
    ],
)
def test_a_job_says_why_its_answer_is_not_held(
    build: Build, settings: dict[str, str], query: str, reason: str | None, words: str
) -> None:
    with client_of(build(**settings)) as client:
        where = begun(client, query, png())
        job = client.get(where).json()
        assert job["held"] is False
        assert (job["not_held"] is None) if reason is None else (reason in job["not_held"])
        refused(client.get(f"{job['result']}?luma=0.5"), 409, "not-held", words)
        assert client.get(f"{job['result']}?luma=1").status_code == 200  # as the job was made


def test_controls_of_several_tasks_need_a_new_run(client: TestClient) -> None:
    query = "hold=true&tasks=derain,denoise"
    where = client.post(f"/v1/jobs?{query}", content=png(), headers=HEADERS).headers["location"]
    wait_until(lambda: client.get(where).json()["not_held"])
    assert "several tasks" in client.get(where).json()["not_held"]


def test_a_dropped_answer_leaves_the_plain_result(build: Build) -> None:
    cost = 12 * 8 * 3 * 3 + len(png())
    with client_of(build(hold_memory=str(2 * cost))) as client:  # room for one answer and its blend
        first, second = begun(client, "hold=true", png()), begun(client, "hold=true", png())
        refused(client.get(f"{first}/result?luma=0"), 409, "not-held", "newer answers needed the memory")
        assert client.get(f"{first}/result").status_code == 200
        assert client.get(f"{second}/result?luma=0").status_code == 200


def test_a_failed_job_holds_nothing(build: Build, pace: Pace) -> None:
    pace.error = RuntimeError("a bug")
    service = build()
    with client_of(service) as client:
        where = client.post("/v1/jobs?hold=1", content=png(), headers=HEADERS).headers["location"]
        wait_until(lambda: client.get(where).json()["state"] == "failed")
        assert client.get(where).json()["held"] is False
        assert (service.held.count, service.held.bytes) == (0, 0)


class Slow:
    """Blends until it is told to stop."""

    mask = None

    def __init__(self) -> None:
        self.begun, self.go, self.stopped = threading.Event(), threading.Event(), threading.Event()

    def blend(self, *, check: object, **_: object) -> object:
        assert callable(check)
        self.begun.set()
        try:
            while not self.go.wait(0.005):
                check()
        finally:
            self.stopped.set()
        raise Problem(422, "not-restored", "it went")


def make() -> Job:
    return Job(b"", header_of(), RestoreOptions(), suffix=".png", metadata="strip", seconds=60)


def test_those_that_wait_are_bounded_and_closing_stops_them() -> None:
    blender, slow, jobs = Blender(1, Metrics()), Slow(), [make(), make()]
    for job in jobs:
        blender.submit(job, slow)  # type: ignore[arg-type] # a stand-in
    with pytest.raises(Problem, match="2 images wait to be blended"):
        blender.submit(make(), slow)  # type: ignore[arg-type]
    assert slow.begun.wait(20)
    blender.close()
    assert [job.state for job in jobs] == ["cancelled"] * 2
    wait_until(lambda: blender.count == 0)


def test_a_client_that_leaves_stops_the_blend_and_others_go_on(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, service = Slow(), build()
    with served(service) as (_, port), ThreadPoolExecutor() as threads:
        assert send(port, "POST", "/v1/jobs?hold=true", png())[0] == 202
        wait_until(lambda: service.idle)
        (job,) = service.store._jobs
        monkeypatch.setattr(Restoration, "blend", lambda _, **options: slow.blend(**options))
        gone = http.client.HTTPConnection("127.0.0.1", port)
        gone.request("GET", f"/v1/jobs/{job}/result?luma=0")
        assert slow.begun.wait(20)
        waiting = threads.submit(send, port, "GET", f"/v1/jobs/{job}/result?luma=0.5")
        wait_until(lambda: service.blender.count == 2)
        assert send(port, "GET", "/healthz")[0] == 200  # the event loop does not wait
        assert send(port, "POST", "/v1/restore", png())[0] == 200  # neither do the workers
        gone.close()
        wait_until(slow.stopped.is_set)
        slow.go.set()
        assert waiting.result(20)[0] == 422
        wait_until(lambda: service.idle)
