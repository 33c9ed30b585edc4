"""The parts of a server together."""

import asyncio
import contextlib
import sys
from typing import Any

import pytest

from tests.serve.conftest import HEADERS, Build, Pace, client_of, png, send, served, wait_until
from uformer.errors import OptionError
from uformer.restore import network
from uformer.restore.options import RestoreOptions
from uformer.serve.service import load_restorer


def test_gauges_and_idle(build: Build, pace: Pace) -> None:
    service = build()
    assert service.gauges()["uformer_ready"] is False
    with client_of(service) as client:
        pace.go.clear()
        for _ in range(3):
            client.post("/v1/jobs", content=png(), headers=HEADERS)
        assert pace.at_work.wait(20)
        assert not service.idle
        found = service.gauges()
        assert (found["uformer_running"], found["uformer_waiting"]) == (1, 2)
        pace.go.set()
        wait_until(lambda: service.idle)
        assert service.gauges()["uformer_kept_results"] == 3
        assert service.gauges()["uformer_kept_bytes"] > 0
    assert service.store.kept == 0


def test_no_connection_goes_anywhere_else(build: Build) -> None:
    reached: list[object] = []
    watching = True

    def watch(event: str, values: tuple[Any, ...]) -> None:
        if watching and event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
            reached.append(values[0] if event == "socket.getaddrinfo" else values[1])

    sys.addaudithook(watch)
    try:
        with served(build()) as (_, port):
            assert send(port, "POST", "/v1/restore", png())[0] == 200
            assert send(port, "GET", "/")[0] == 200
    finally:
        watching = False
    assert reached
    assert {each[0] if isinstance(each, tuple) else each for each in reached} == {"127.0.0.1"}


def test_a_restorer_is_loaded_with_its_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the first request would wait for the check of a device and the export of weights."""

    def trusted(*_: object) -> None:
        raise OptionError("torch is not installed")

    monkeypatch.setattr(network, "trusted", trusted)
    with pytest.raises(OptionError, match="torch is not installed"):
        load_restorer(RestoreOptions(), share=1.0)


def test_results_expire_without_requests(build: Build) -> None:
    service = build(keep=0.001)
    with client_of(service) as client:
        client.post("/v1/jobs", content=png(), headers=HEADERS)
        wait_until(lambda: service.idle)
    assert service.store.kept == 0

    async def sweep_once() -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(service.sweep(), 0.01)

    asyncio.run(sweep_once())
