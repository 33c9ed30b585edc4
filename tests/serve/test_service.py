"""The parts together."""

import asyncio
import contextlib

from tests.serve.conftest import HEADERS, Build, Pace, client_of, png, wait_until


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


def test_results_go_without_anybody_asking(build: Build) -> None:
    service = build(keep=0.001)
    with client_of(service) as client:
        client.post("/v1/jobs", content=png(), headers=HEADERS)
        wait_until(lambda: service.idle)
    assert service.store.kept == 0

    async def sweep_once() -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(service.sweep(), 0.01)

    asyncio.run(sweep_once())
