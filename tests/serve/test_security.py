"""Access control."""

import pytest

from tests.serve.conftest import HEADERS, Build, client_of, png

TOKEN = {"Authorization": "Bearer s3cret"}


def test_a_token_opens_the_api(build: Build) -> None:
    with client_of(build(token="s3cret", host="0.0.0.0"), host="anything.example") as client:
        for path in ("/", "/docs", "/healthz", "/readyz", "/openapi.json"):
            assert client.get(path).status_code == 200
        for path in ("/v1/models", "/metrics", "/v1/jobs/0", "/v1/nothing"):
            refused = client.get(path)
            assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
            assert refused.json()["type"] == "urn:uformer:token"
        assert client.post("/v1/restore", content=png(), headers=HEADERS).status_code == 401
        assert client.post("/v1/restore", content=png(), headers={**HEADERS, **TOKEN}).status_code == 200
        for wrong in (
            "Bearer s3cre",
            "Bearer s3crets",
            "Bearer",
            "Basic s3cret",
            "s3cret",
            "Bearer s\xfccret",
        ):
            assert (
                client.get("/v1/models", headers={b"Authorization": wrong.encode("latin-1")}).status_code
                == 401
            )


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", ""])
def test_a_name_pointed_at_this_machine_is_not_served(build: Build, host: str) -> None:
    with client_of(build()) as client:
        answer = client.get("/", headers={"Host": host})
        assert answer.status_code == 421
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1", "[::1]:8000", "LocalHost"])
def test_this_machines_names_are(build: Build, host: str) -> None:
    with client_of(build()) as client:
        assert client.get("/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://localhost:9000", "https://localhost.evil.example"]
)
def test_pages_of_other_sites_cannot_use_it(build: Build, origin: str) -> None:
    for settings in ({}, {"host": "0.0.0.0", "insecure": True}):
        with client_of(build(**settings)) as client:
            files = {"picture": ("a.png", png())}  # browsers send forms to other sites without a preflight
            assert client.post("/v1/restore", files=files, headers={"Origin": origin}).status_code == 403
            assert (
                client.post("/v1/restore", files=files, headers={"Origin": "http://localhost"}).status_code
                == 200
            )
            asked = client.options(
                "/v1/restore", headers={"Origin": origin, "Access-Control-Request-Method": "POST"}
            )
            assert not [name for name in asked.headers if name.startswith("access-control")]


def test_the_histogram_has_one_label_for_all_jobs(build: Build) -> None:
    with client_of(build()) as client:
        for job in range(3):
            assert client.get(f"/v1/jobs/{job}").status_code == 404
        assert 'request_seconds_count{route="/v1/jobs/{job_id}"} 3.0' in client.get("/metrics").text


def test_insecure_answers_to_any_name(build: Build) -> None:
    with client_of(build(host="0.0.0.0", insecure=True), host="box.example") as client:
        assert client.get("/v1/models").status_code == 200
