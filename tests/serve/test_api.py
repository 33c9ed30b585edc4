"""Images over HTTP: restoring, errors, jobs, cancelling and limits."""

import contextlib
import http.client
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import numpy as np
import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.image.cameras import heic
from tests.networks import TINY
from tests.networks import build as build_network
from tests.serve.conftest import HEADERS, Build, Pace, client_of, levels, png, send, served, wait_until
from uformer.cli import main
from uformer.errors import OptionError, PictureError
from uformer.restore.options import RestoreOptions
from uformer.serve.service import Service
from uformer.serve.settings import Settings
from uformer.weights import checkpoint


def test_an_image_comes_back_restored(client: TestClient) -> None:
    data = png()
    answer = client.post("/v1/restore", content=data, headers=HEADERS)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    assert np.array_equal(levels(answer.content), levels(data) - 51)
    assert "restore;dur=" in answer.headers["server-timing"]


def test_heic_comes_back_as_jpeg(client: TestClient) -> None:
    data = heic(np.full((8, 12, 3), 99, np.uint8), "RGB")
    answer = client.post("/v1/restore", content=data, headers=HEADERS | {"Content-Type": "image/heic"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
    assert abs(levels(answer.content).astype(int) - (99 - 51)).max() <= 3


def test_a_form_will_do(client: TestClient) -> None:
    answer = client.post(
        "/v1/restore", files={"picture": ("a.png", png(), "image/png")}, data={"other": "field"}
    )
    assert np.array_equal(levels(answer.content), levels(png()) - 51)


@pytest.mark.parametrize(
    ("query", "accept", "kind"),
    [("", "*/*", "jpeg"), ("?format=png", "*/*", "png"), ("", "image/webp", "webp")],
)
def test_the_format_is_that_of_the_upload_or_the_requested_one(
    client: TestClient, query: str, accept: str, kind: str
) -> None:
    answer = client.post(
        f"/v1/restore{query}",
        content=png(suffix="JPEG"),
        headers={"Content-Type": "image/jpeg", "Accept": accept},
    )
    assert answer.headers["content-type"] == f"image/{kind}"


def fetched(client: TestClient, result: str) -> httpx2.Response:
    """Wait for a job's result and return it."""
    wait_until(lambda: client.get(result).status_code == 200)
    return client.get(result)


@pytest.mark.parametrize("path", ["/v1/restore", "/v1/jobs"])
def test_metadata_is_stripped_by_default(client: TestClient, path: str) -> None:
    found = []
    for query in ("", "?metadata=keep"):
        answer = client.post(path + query, content=png(suffix="JPEG"), headers={"Content-Type": "image/jpeg"})
        if path == "/v1/jobs":
            answer = fetched(client, answer.json()["result"])
        found.append(b"where I live" in answer.content)
    assert found == [False, True]


def test_options_reach_the_restorer(client: TestClient, pace: Pace) -> None:
    for query in ("task=derain&strength=0.5&tile=64&overlap=8", "weights=uformer_t.deblur"):
        assert client.post(f"/v1/restore?{query}", content=png(), headers=HEADERS).status_code == 200
    first, second = pace.seen
    assert (first.task, first.strength, first.tile, first.overlap, first.weights) == (
        "derain",
        0.5,
        64,
        8,
        None,
    )
    assert (second.weights, second.strength, second.tile) == ("uformer_t.deblur", 1, None)
    assert len(pace.loaded) == 4  # one per task at the start, and one by name


@pytest.mark.parametrize(
    ("status", "kind", "words", "request_"),
    [
        (400, "not-a-picture", "not a PNG, JPEG", {"content": b"hello"}),
        (400, "not-a-picture", "empty", {"content": b""}),
        (400, "not-a-picture", "cannot be read as PNG", {"content": png()[:100]}),
        (
            400,
            "form",
            "unknown file 'file'; known: picture, mask",
            {"headers": {}, "files": {"file": ("a.png", png())}},
        ),
        (406, "not-acceptable", "text/html", {"headers": {**HEADERS, "Accept": "text/html"}}),
        (413, "too-many-bytes", "limit of 5,000 bytes", {"content": bytes(5001)}),
        (
            413,
            "too-many-pixels",
            "100 x 101 (10,100 pixels); the limit is 10,000",
            {"content": png(100, 101, "1")},
        ),
        (415, "media-type", "image/png", {"headers": {}}),
        (415, "media-type", "'image/bmp'", {"headers": {"Content-Type": "image/bmp"}}),
        (
            415,
            "content-encoding",
            "without Content-Encoding",
            {"headers": {**HEADERS, "Content-Encoding": "gzip"}},
        ),
        (422, "options", "strength", {"params": {"strength": "2"}}),
        (422, "options", "known: denoise", {"params": {"task": "dehaze"}}),
        (422, "options", "uformer_t.denoise", {"params": {"weights": "/etc/passwd"}}),
        (422, "options", "unknown parameter 'device'", {"params": {"device": "cuda"}}),
        (422, "options", "more than once", {"params": [("tile", "64"), ("tile", "65")]}),
        (422, "options", "alpha", {"content": png(mode="RGBA"), "params": {"format": "jpg"}}),
    ],
)
def test_every_refusal_says_why(build: Build, status: int, kind: str, words: str, request_: dict) -> None:
    service = build(max_bytes=5000, max_pixels=10_000)
    with client_of(service) as client:
        for path in ("/v1/restore", "/v1/jobs"):
            if path == "/v1/jobs" and (status == 406 or "cannot be read" in words):
                continue  # Accept applies to the job's JSON, and a job's image is decoded later
            body = {} if "files" in request_ else {"content": png()}
            answer = client.post(path, **{**body, "headers": HEADERS, **request_})
            assert answer.status_code == status
            assert answer.headers["content-type"] == "application/problem+json"
            problem = answer.json()
            assert (problem["type"], problem["status"]) == (f"urn:uformer:{kind}", status)
            assert words in problem["detail"]
        assert service.engine.admitted == 0


def test_nothing_is_decoded_before_it_can_be_afforded(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uformer.serve.engine.read", lambda *_, **__: pytest.fail("decoded"))
    with client_of(build(max_pixels=95)) as client:
        assert client.post("/v1/restore", content=png(12, 8), headers=HEADERS).status_code == 413


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (PictureError("no"), 422),
        (OptionError("no fp16 here"), 422),
        (MemoryError(), 503),
        (RuntimeError("a secret"), 500),
    ],
)
def test_an_error_while_restoring_is_reported(
    client: TestClient, pace: Pace, error: Exception, status: int
) -> None:
    pace.error = error
    answer = client.post("/v1/restore", content=png(), headers=HEADERS)
    assert answer.status_code == status
    assert "a secret" not in answer.text
    assert ("bug" in answer.text) == (status == 500)
    job = client.post("/v1/jobs", content=png(), headers=HEADERS).json()
    wait_until(lambda: client.get(f"/v1/jobs/{job['id']}").json()["state"] == "failed")
    assert client.get(f"/v1/jobs/{job['id']}").json()["problem"]["status"] == status
    assert client.get(job["result"]).status_code == status
    pace.error = None
    assert client.post("/v1/restore", content=png(), headers=HEADERS).status_code == 200


def test_too_slow_is_504_and_stops_the_work(build: Build, pace: Pace) -> None:
    pace.go.clear()
    service = build(timeout=0.3)
    with client_of(service) as client:
        answer = client.post("/v1/restore", content=png(), headers=HEADERS)
        assert answer.status_code == 504
        assert "0.3 seconds" in answer.json()["detail"]
        pace.go.set()
        wait_until(lambda: service.idle)
    assert pace.tiles_done == 1


def test_a_full_queue_says_when_to_retry(build: Build, pace: Pace) -> None:
    pace.go.clear()
    with client_of(build(queue=1)) as client, ThreadPoolExecutor() as threads:
        first = client.post("/v1/jobs", content=png(), headers=HEADERS)
        second = client.post("/v1/jobs", content=png(), headers=HEADERS)
        assert (first.status_code, second.status_code) == (202, 202)
        assert client.get(f"/v1/jobs/{second.json()['id']}").json()["ahead"] == 1
        answer = threads.submit(client.post, "/v1/restore", content=png(), headers=HEADERS).result(20)
        assert answer.status_code == 429
        assert 1 <= int(answer.headers["retry-after"]) <= 120
        pace.go.set()
        wait_until(lambda: client.get(second.json()["result"]).status_code == 200)
        assert client.post("/v1/restore", content=png(), headers=HEADERS).status_code == 200


def test_a_job_reports_its_progress(client: TestClient, pace: Pace) -> None:
    pace.go.clear()
    begun = client.post("/v1/jobs", content=png(30, 20), headers=HEADERS)
    where = begun.headers["location"]
    assert pace.at_work.wait(20)
    job = client.get(where).json()
    assert (job["state"], job["tiles_done"], job["tiles"], job["eta_seconds"]) == ("running", 0, None, None)
    assert (job["width"], job["height"]) == (30, 20)
    assert client.get(job["result"]).status_code == 409
    pace.go.set()
    wait_until(lambda: client.get(where).json()["state"] == "done")
    job = client.get(where).json()
    assert (job["tiles_done"], job["tiles"], job["problem"]) == (4, 4, None)
    assert client.get(job["result"], headers={"Accept": "image/webp"}).status_code == 406
    results = [client.get(job["result"]).content for _ in range(2)]
    assert np.array_equal(levels(results[0]), levels(png(30, 20)) - 51)
    assert results[0] == results[1]
    assert client.delete(where).status_code == 204
    assert (
        client.get(where).status_code
        == client.get(job["result"]).status_code
        == client.delete(where).status_code
        == 404
    )


def test_a_deleted_job_stops_at_the_next_tile(build: Build, pace: Pace) -> None:
    pace.go.clear()
    service = build()
    with client_of(service) as client:
        where = client.post("/v1/jobs", content=png(), headers=HEADERS).headers["location"]
        assert pace.at_work.wait(20)
        assert client.delete(where).status_code == 204
        pace.go.set()
        wait_until(lambda: service.idle)
    assert pace.tiles_done == 1


def test_results_nobody_fetches_are_bounded(build: Build) -> None:
    with client_of(build(max_kept=10)) as client:
        job = client.post("/v1/jobs", content=png(), headers=HEADERS).json()
        wait_until(lambda: client.get(f"/v1/jobs/{job['id']}").json()["state"] == "done")
        refused = client.post("/v1/jobs", content=png(), headers=HEADERS)
        assert refused.status_code == 429
        assert "fetch" in refused.json()["detail"]
        assert client.get(job["result"]).status_code == 200
        assert client.post("/v1/jobs", content=png(), headers=HEADERS).status_code == 202
        assert client.get(job["result"]).status_code == 404


def test_a_client_that_leaves_cancels_its_work(build: Build, pace: Pace) -> None:
    pace.go.clear()
    service = build()
    with served(service) as (_, port):
        gone = http.client.HTTPConnection("127.0.0.1", port)
        gone.request("POST", "/v1/restore", png(), HEADERS)
        assert pace.at_work.wait(20)
        waiting = http.client.HTTPConnection("127.0.0.1", port)
        waiting.request("POST", "/v1/restore", png(), HEADERS)
        wait_until(lambda: service.engine.admitted == 2)
        waiting.close()
        wait_until(lambda: service.engine.admitted == 1)  # it never begins
        gone.close()
        wait_until(lambda: b'status="499"} 2' in send(port, "GET", "/metrics")[1])
        pace.go.set()
        wait_until(lambda: service.idle)
    assert pace.tiles_done == 1
    assert len(pace.seen) == 1


def test_a_refused_upload_receives_the_reason(build: Build) -> None:
    with served(build(max_bytes=1000)) as (_, port):
        status, body = send(port, "POST", "/v1/restore", bytes(10 * 2**20))
    assert status == 413
    assert b"1,000 bytes" in body


def test_the_same_bytes_as_the_command(tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "tiny.safetensors", build_network(TINY))
    options = RestoreOptions(weights=str(tmp_path / "tiny.safetensors"), precision="fp32", backend="openvino")
    service = Service.build(Settings(), options)
    with client_of(service) as client:
        for name, kind, mode in (
            ("a.png", "image/png", "RGBA"),
            ("b.jpg", "image/jpeg", "L"),
            ("c.webp", "image/webp", "RGB"),
        ):
            path = tmp_path / name
            path.write_bytes(png(50, 30, mode, {"jpg": "JPEG"}.get(name[2:], name[2:].upper())))
            command = [
                "restore",
                str(path),
                "--weights",
                options.weights,
                "--precision",
                "fp32",
                "--backend",
                "openvino",
            ]
            assert main([*map(str, command), "--metadata", "strip", "--quiet"]) == 0
            answer = client.post("/v1/restore", content=path.read_bytes(), headers={"Content-Type": kind})
            assert answer.content == path.with_name(f"{path.stem}.restored{path.suffix}").read_bytes()


@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode), ids=lambda mode: mode.value)
def test_no_request_makes_it_fail(build: Build, mode: schemathesis.GenerationMode) -> None:
    """Valid and invalid requests, drawn from the OpenAPI document, get documented responses and no 500."""
    checks = [
        not_a_server_error,
        status_code_conformance,
        content_type_conformance,
        response_schema_conformance,
        response_headers_conformance,
    ]
    tried = set()
    with served(build(queue=1000)) as (_, port):
        schema = schemathesis.openapi.from_url(f"http://127.0.0.1:{port}/openapi.json")
        for each in schema.get_all_operations():
            assert isinstance(each, Ok)

            @settings(max_examples=8, suppress_health_check=list(HealthCheck))
            @given(case=each.ok().as_strategy(generation_mode=mode), sound=st.booleans())
            def call(case: schemathesis.Case, *, sound: bool) -> None:
                if sound and (case.media_type or "").startswith("image/"):
                    case.body = png()
                answer = case.call_and_validate(checks=checks)
                tried.add((case.method, case.path, answer.status_code))

            with contextlib.suppress(Unsatisfiable):  # a route without parameters has no invalid requests
                call()
    taken = {("POST", "/v1/restore", 200), ("POST", "/v1/jobs", 202), ("GET", "/healthz", 200)}
    assert tried >= (
        {("GET", "/v1/jobs/{job_id}", 404), *taken} if mode.is_positive else {("POST", "/v1/restore", 422)}
    )
