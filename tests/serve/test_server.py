"""A stopping server loses no image."""

import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.serve.conftest import Build, Pace, png, send, served, wait_until


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_what_runs_is_finished_and_the_rest_refused(build: Build, pace: Pace, sent: signal.Signals) -> None:
    pace.go.clear()
    service = build()
    with ThreadPoolExecutor() as threads, served(service) as (server, port):
        running = threads.submit(send, port, "POST", "/v1/restore", png())
        assert pace.at_work.wait(20)
        waiting = threads.submit(send, port, "POST", "/v1/restore", png())
        wait_until(lambda: service.engine.admitted == 2)
        server.handle_exit(sent, None)
        assert waiting.result(20)[0] == 503
        assert send(port, "POST", "/v1/restore", png())[0] == 503
        assert send(port, "GET", "/readyz")[0] == 503
        assert send(port, "GET", "/healthz")[0] == 200
        pace.go.set()
        assert running.result(20)[0] == 200
        wait_until(lambda: server.should_exit)
        assert server.interrupted == (sent == signal.SIGINT)


def test_a_finished_job_can_still_be_fetched(build: Build, pace: Pace) -> None:
    pace.go.clear()
    service = build(grace=20)
    with served(service) as (server, port):
        assert send(port, "POST", "/v1/jobs", png())[0] == 202
        assert pace.at_work.wait(20)
        (job,) = service.store._jobs
        server.handle_exit(signal.SIGTERM, None)
        pace.go.set()
        wait_until(lambda: service.idle)
        assert not server.should_exit
        assert send(port, "GET", f"/v1/jobs/{job}/result")[0] == 200
        wait_until(lambda: server.should_exit, 5)


def test_a_second_signal_stops_at_the_next_tile(build: Build, pace: Pace) -> None:
    pace.go.clear()
    service = build()
    with ThreadPoolExecutor() as threads, served(service) as (server, port):
        running = threads.submit(send, port, "POST", "/v1/jobs", png())
        assert running.result(20)[0] == 202
        assert pace.at_work.wait(20)
        server.handle_exit(signal.SIGTERM, None)
        server.handle_exit(signal.SIGTERM, None)
        threading.Timer(0.3, pace.go.set).start()
        wait_until(lambda: server.should_exit)
    assert pace.tiles_done == 1
