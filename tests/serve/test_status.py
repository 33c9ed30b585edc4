"""Models, limits, health and metrics."""

from fastapi.testclient import TestClient

from tests.serve.conftest import HEADERS, Build, Pace, client_of, png
from tests.serve.test_prometheus import samples
from uformer.errors import CheckpointError
from uformer.image import extras
from uformer.weights import registry


def test_models_and_limits(client: TestClient) -> None:
    answer = client.get("/v1/models").json()
    assert {model["name"] for model in answer["models"]} == set(registry.WEIGHTS)
    assert [model["name"] for model in answer["models"] if model["default"]] == ["uformer_t.denoise"]
    assert answer["limits"]["max_pixels"] == 50_000_000
    assert {"image/avif", "image/heic", "image/*"} <= {*answer["media_types"]}
    body = client.get("/openapi.json").json()["paths"]["/v1/restore"]["post"]["requestBody"]
    assert body["content"].keys() == {*answer["media_types"], "multipart/form-data"}
    assert answer["suffixes"][:3] == [".png", ".jpg", ".jpeg"]
    assert (".heic" in answer["suffixes"]) is extras.can_read(".heic")


def test_healthy_and_ready(client: TestClient) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"status": "ready"}


def test_not_ready_says_why(build: Build, pace: Pace) -> None:
    service = build()
    with client_of(service) as client:
        service.engine._not_ready = f"the weights cannot be loaded: {CheckpointError('gone')}"
        for answer in (client.get("/readyz"), client.post("/v1/restore", content=png(), headers=HEADERS)):
            assert answer.status_code == 503
            assert "gone" in answer.json()["detail"]
            assert int(answer.headers["retry-after"]) >= 1
        assert client.get("/healthz").status_code == 200
    assert not pace.seen


def test_metrics_count_what_happens(client: TestClient) -> None:
    client.post("/v1/restore", content=png(12, 8), headers=HEADERS)
    client.post("/v1/restore", content=b"", headers=HEADERS)
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    found = samples(answer.text)
    for route, status in (("/v1/restore", "200"), ("/v1/restore", "400")):
        assert found["uformer_http_requests_total", (("route", route), ("status", status))] == 1
    assert found["uformer_pictures_total", (("outcome", "done"), ("weights", "uformer_t.denoise"))] == 1
    values = {
        "uformer_pixels_total": 96,
        "uformer_restore_seconds_count": 1,
        "uformer_running": 0,
        "uformer_ready": 1,
    }
    assert {name: found[name, ()] for name in values} == values
