"""A server below a path of a proxy, which removes the path or keeps it."""

import pytest

from tests.serve.conftest import HEADERS, Build, client_of, png, wait_until

TOKEN = {"Authorization": "Bearer s3cret"}


@pytest.mark.parametrize("sent", ["", "/tools/uformer"], ids=["removed", "kept"])
def test_everything_works_below_a_path(build: Build, sent: str) -> None:
    with client_of(build(root_path="/tools/uformer")) as client:
        for path in ("/", "/docs", "/page/app.js", "/healthz", "/metrics"):
            assert client.get(sent + path).status_code == 200, path
        assert client.get(f"{sent}/openapi.json").json()["servers"] == [{"url": "/tools/uformer"}]
        begun = client.post(f"{sent}/v1/jobs", content=png(), headers=HEADERS)
        where, result = begun.headers["location"], begun.json()["result"]
        assert where == f"/tools/uformer/v1/jobs/{begun.json()['id']}"
        assert result == f"{where}/result"
        wait_until(lambda: client.get(where).json()["state"] == "done")
        assert client.get(where).json()["result"] == result
        assert client.get(result).status_code == 200


def test_the_path_without_its_slash_leads_to_the_page(build: Build) -> None:
    with client_of(build(root_path="/uformer")) as client:
        moved = client.get("/uformer", follow_redirects=False)
        assert (moved.status_code, moved.headers["location"]) == (308, "/uformer/")
        assert client.get("/uformers").status_code == 404


def test_no_spelling_of_a_path_avoids_the_token(build: Build) -> None:
    with client_of(build(root_path="/uformer", token="s3cret")) as client:
        for path in ("/v1/models", "/metrics"):
            assert client.get(f"/uformer{path}").status_code == 401
            assert client.get(f"/uformer/uformer{path}").status_code == 404
            assert client.get(f"/uformer/{path}").status_code == 404
            assert client.get(f"/uformer{path}", headers=TOKEN).status_code == 200


def test_without_a_root_path_nothing_is_below_one(build: Build) -> None:
    with client_of(build()) as client:
        assert client.get("/uformer/healthz").status_code == 404
        assert "servers" not in client.get("/openapi.json").json()
