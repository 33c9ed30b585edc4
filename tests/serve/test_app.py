"""The page, and responses for unknown paths."""

import re
from urllib.parse import urljoin

import pytest
from fastapi.testclient import TestClient

from uformer.serve.security import HEADERS


@pytest.mark.parametrize(
    ("path", "kind"), [("/", "text/html"), ("/docs", "text/html"), ("/openapi.json", "application/json")]
)
def test_pages(client: TestClient, path: str, kind: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(kind)


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_a_page_asks_nothing_of_anyone_else(client: TestClient, path: str) -> None:
    html = client.get(path).text
    asked = re.findall(r"(?:src|href)=\"([^\"#]+)\"", html)
    assert asked
    for each in asked:
        assert not re.match(r"/|\w+:", each), "the page may lie below a path of another site"
        assert client.get(urljoin(path, each)).status_code == 200, each
    assert "style=" not in html, "the content security policy blocks it"
    assert not re.search(r"<script(?![^>]*\bsrc=)[^>]*>", html)


def test_no_file_of_the_page_names_another_host(client: TestClient) -> None:
    for name in ("index.html", "docs.html", "app.js", "style.css"):
        text = client.get(f"/page/{name}").text
        assert set(re.findall(r"https?://[^\s\"'`)<]+", text)) <= {"http://www.w3.org/2000/svg"}


def test_browsers_ask_again_only_for_what_changed(client: TestClient) -> None:
    first = client.get("/page/style.css")
    again = client.get("/page/style.css", headers={"If-None-Match": first.headers["etag"]})
    assert (first.status_code, again.status_code, again.content) == (200, 304, b"")


@pytest.mark.parametrize("tags", ["W/{}", '"another", {}', 'W/"another",W/{}', "*"])
def test_browsers_behind_a_proxy_too(client: TestClient, tags: str) -> None:
    etag = client.get("/page/style.css").headers["etag"]
    assert client.get("/page/style.css", headers={"If-None-Match": tags.format(etag)}).status_code == 304
    assert client.get("/page/style.css", headers={"If-None-Match": '"another"'}).status_code == 200


@pytest.mark.parametrize("path", ["/", "/docs", "/page/style.css"])
def test_head_is_get_without_the_file(client: TestClient, path: str) -> None:
    head, get = client.head(path), client.get(path)
    assert (head.status_code, head.headers) == (200, get.headers)
    assert client.head("/page/nothing.js").status_code == 404


@pytest.mark.parametrize(
    "path", ["/page/nothing.js", "/page/..%2Fapp.py", "/page/../app.py", "/v2", "/v1/jobs/0", "/redoc"]
)
def test_nothing_there(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_wrong_method(client: TestClient) -> None:
    answer = client.get("/v1/restore")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert answer.json()["type"] == "urn:uformer:method"


@pytest.mark.parametrize("path", ["/", "/page/style.css", "/v1/models", "/nothing"])
def test_every_answer_has_the_headers(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    for name in HEADERS:
        assert name.decode() in headers
    assert "access-control-allow-origin" not in headers
    assert "server" not in headers
