"""Idle and slow connections are closed, and other clients are served meanwhile."""

import contextlib
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import cast

import pytest

from tests.serve.conftest import Build, Pace, png, send, served, wait_until
from tests.serve.test_jobs import finished
from uformer.serve import connection
from uformer.serve.connection import Connection

UPLOAD = b"POST /v1/restore HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\n"


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def closed(client: socket.socket) -> bool:
    """Return whether the server has closed a connection without sending anything."""
    client.setblocking(False)
    try:
        return client.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("before", [b"", b"GET /healthz HTTP/1.1\r\nX-Slow: "])
def test_idle_connections_keep_nobody_out(build: Build, before: bytes) -> None:
    with served(build()) as (_, port), ExitStack() as stack:
        idle = [stack.enter_context(connect(port)) for _ in range(600)]
        for each in idle:
            each.sendall(before)
        assert send(port, "GET", "/healthz")[0] == 200
        wait_until(lambda: sum(map(closed, idle)) >= 600 - connection.MOST)
        assert closed(idle[0]), "the oldest goes first"
        assert not closed(idle[-1])


def test_a_connection_at_work_is_not_closed_for_a_new_one(
    build: Build, pace: Pace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "MOST", 2)
    pace.go.clear()
    with ThreadPoolExecutor() as threads, served(build()) as (_, port), ExitStack() as stack:
        running = threads.submit(send, port, "POST", "/v1/restore", png())
        assert pace.at_work.wait(20)
        idle = [stack.enter_context(connect(port)) for _ in range(4)]
        wait_until(lambda: closed(idle[0]))
        assert send(port, "GET", "/healthz")[0] == 200
        pace.go.set()
        assert running.result(20)[0] == 200


def test_slow_uploads_take_no_place_and_end(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uformer.serve.upload.HEAD_START", 1.5)
    service = build()
    with served(service) as (_, port), ExitStack() as stack:
        slow = [stack.enter_context(connect(port)) for _ in range(service.engine.capacity)]
        for each in slow:
            each.sendall(UPLOAD + b"Content-Length: 1000\r\n\r\n12345")
        wait_until(lambda: service.engine.uploaded == 5 * len(slow))
        assert send(port, "POST", "/v1/restore", png())[0] == 200
        assert [each.recv(12) for each in slow] == [b"HTTP/1.1 408"] * len(slow)
        wait_until(lambda: service.engine.uploaded == 0)


@pytest.mark.parametrize("min_rate", [10**9, 0])
def test_a_client_that_does_not_read_is_dropped(
    build: Build, monkeypatch: pytest.MonkeyPatch, min_rate: int
) -> None:
    monkeypatch.setattr(connection, "_READER_SECONDS", 0.2)
    service = build(min_rate=min_rate)
    job = finished(bytes(10 * 2**20))  # more than the socket buffers hold
    service.store.add(job)
    with served(service) as (server, port), socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", port))
        client.sendall(f"GET /v1/jobs/{job.id}/result HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        wait_until(
            lambda: any(cast(Connection, each).flow.write_paused for each in server.server_state.connections)
        )
        if min_rate:
            wait_until(lambda: not server.server_state.connections)
            return
        time.sleep(0.5)
        client.settimeout(20)
        total = 0
        while total < len(job.restored):
            total += len(client.recv(2**16))


@pytest.mark.parametrize("sent", [b"G", b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "])
@pytest.mark.parametrize("before", [False, True], ids=["new", "kept-alive"])
def test_a_header_that_never_ends_closes_the_connection(
    build: Build, monkeypatch: pytest.MonkeyPatch, sent: bytes, before: bool
) -> None:
    if not before:
        monkeypatch.setattr(connection, "_HEADER_SECONDS", 0.5)
    with served(build()) as (_, port), socket.create_connection(("127.0.0.1", port), timeout=60) as client:
        if before:  # the first request has all the time that it needs
            client.sendall(f"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
            assert client.recv(4096).startswith(b"HTTP/1.1 200")
            monkeypatch.setattr(connection, "_HEADER_SECONDS", 0.5)
        with contextlib.suppress(ConnectionError):
            client.sendall(sent)
            for _ in range(300):  # each byte is in time, but the header as a whole is not
                client.sendall(b"a")
                time.sleep(0.1)
            pytest.fail("the connection is still open")


def test_a_request_at_work_outlasts_the_patience_for_headers(
    build: Build, pace: Pace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "_HEADER_SECONDS", 1.0)
    pace.go.clear()
    with ThreadPoolExecutor() as threads, served(build()) as (_, port):
        running = threads.submit(send, port, "POST", "/v1/restore", png())
        assert pace.at_work.wait(20)
        time.sleep(1.1)
        pace.go.set()
        assert running.result(60)[0] == 200
