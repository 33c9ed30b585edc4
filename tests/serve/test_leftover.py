"""Responses that are sent before the request is complete."""

import asyncio
import socket
import time
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.error import HTTPError

import pytest
from starlette.types import Message, Receive, Scope, Send

from tests.serve.conftest import Build, send, served
from uformer.serve import leftover
from uformer.serve.leftover import Leftover

CHUNKED = (
    b"POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\nTransfer-Encoding: chunked\r\n\r\n"
)
CHUNK = b"4000\r\n" + bytes(0x4000) + b"\r\n"


async def refuse(_scope: Scope, _receive: Receive, send_: Send) -> None:
    await send_({"type": "http.response.start", "status": 413, "headers": []})
    await send_({"type": "http.response.body", "body": b"no"})


async def read_all(_scope: Scope, receive: Receive, send_: Send) -> None:
    while (await receive()).get("more_body"):
        pass
    await refuse(_scope, receive, send_)


def answered(app: Any, chunks: Iterator[bytes], **headers: str) -> tuple[list[Message], int]:
    """Run a request through `Leftover`; return the messages sent and the number of chunks read."""
    sent: list[Message] = []
    taken = 0

    async def receive() -> Message:
        nonlocal taken
        taken += 1
        chunk = next(chunks, None)
        return {"type": "http.request", "body": chunk or b"", "more_body": chunk is not None}

    async def keep(message: Message) -> None:
        sent.append(message)

    encoded = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    asyncio.run(Leftover(app)({"type": "http", "headers": encoded}, receive, keep))
    return sent, taken


def endless() -> Iterator[bytes]:
    while True:
        yield bytes(2**16)


def closes(sent: list[Message]) -> bool:
    return (b"connection", b"close") in sent[0]["headers"]


def test_the_response_comes_first_and_the_rest_is_discarded() -> None:
    sent, taken = answered(refuse, iter([bytes(1000)] * 3), content_length="3000")
    assert [message.get("body") for message in sent] == [None, b"no", b""]
    assert [message.get("more_body") for message in sent] == [None, True, False]
    assert (closes(sent), taken) == (True, 4)


@pytest.mark.parametrize("headers", [{"transfer_encoding": "chunked"}, {"content_length": str(10**12)}])
def test_what_never_ends_is_cut_off(headers: dict[str, str]) -> None:
    sent, taken = answered(refuse, endless(), **headers)
    assert taken <= leftover.LITTLE // 2**16 + 1
    assert sent[-1]["more_body"] is False


def test_what_comes_slowly_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leftover, "LITTLE_SECONDS", 0.05)

    async def wait(*_: object) -> None:
        await asyncio.sleep(60)

    sent: list[Message] = []

    async def keep(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "headers": [(b"transfer-encoding", b"chunked")]}
    began = time.monotonic()
    asyncio.run(Leftover(refuse)(scope, wait, keep))  # type: ignore[arg-type] # it never returns
    assert time.monotonic() - began < 50, "it waited for the minute that a message takes"
    assert len(sent) == 3


@pytest.mark.parametrize(
    ("app", "headers", "taken"),
    [
        (refuse, {}, 0),
        (refuse, {"content_length": "0"}, 0),
        (refuse, {"content_length": "10", "expect": "100-continue"}, 0),
        (read_all, {"content_length": "10"}, 2),
    ],
)
def test_nothing_is_left_to_take(app: Any, headers: dict[str, str], taken: int) -> None:
    sent, found = answered(app, iter([bytes(10)]), **headers)
    assert found == taken
    assert closes(sent) == ("expect" in headers)


@pytest.mark.parametrize(
    ("path", "status"), [(b"/v1/restore", b"413"), (b"/nothing", b"404"), (b"/healthz", b"405")]
)
def test_an_endless_upload_receives_the_reason_and_is_cut_off(
    build: Build, path: bytes, status: bytes
) -> None:
    with (
        served(build(max_bytes=100_000)) as (_, port),
        socket.create_connection(("127.0.0.1", port), timeout=20) as client,
    ):
        client.sendall(CHUNKED % path)
        with pytest.raises(ConnectionError):
            client.sendall(CHUNK * 10_000)
        assert client.recv(12) == b"HTTP/1.1 " + status


@pytest.mark.parametrize("path", ["/v1/restore", "/nothing"])
def test_a_client_that_sends_everything_first_receives_the_reason(build: Build, path: str) -> None:
    with served(build(max_bytes=1000)) as (_, port):
        assert send(port, "POST", path, bytes(10 * 2**20))[0] in (404, 413)
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}{path}", bytes(10 * 2**20), {"Content-Type": "image/png"}
        )
        with pytest.raises(HTTPError) as caught:
            urllib.request.urlopen(request, timeout=20)  # noqa: S310 - http
        assert caught.value.code in (404, 413)
        caught.value.close()
