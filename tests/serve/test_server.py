"""A stopping server loses no image."""

import logging
import re
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.serve.conftest import Build, Pace, png, send, served, wait_until
from uformer.serve.security import access_log
from uformer.serve.server import log_requests


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_what_runs_is_finished_and_the_rest_refused(build: Build, pace: Pace, sent: signal.Signals) -> None:
    pace.go.clear()
    service = build(grace=60)
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
    service = build(grace=60)
    with served(service) as (server, port):
        assert send(port, "POST", "/v1/jobs", png())[0] == 202
        assert pace.at_work.wait(20)
        (job,) = service.store._jobs
        server.handle_exit(signal.SIGTERM, None)
        pace.go.set()
        wait_until(lambda: service.idle)
        assert not server.should_exit
        assert send(port, "GET", f"/v1/jobs/{job}/result")[0] == 200
        wait_until(lambda: server.should_exit)


def test_stopping_takes_no_longer_than_the_grace(build: Build, pace: Pace) -> None:
    """Even in the middle of a long tile; its client is told."""
    pace.go.clear()
    service = build(grace=0.1)
    with ThreadPoolExecutor() as threads, served(service) as (server, port):
        running = threads.submit(send, port, "POST", "/v1/restore", png())
        assert pace.at_work.wait(20)
        server.handle_exit(signal.SIGTERM, None)
        status, body = running.result(20)
        assert (status, b"the server is stopping" in body) == (503, True)
        wait_until(lambda: server.should_exit)
        wait_until(lambda: not server.started or not server.server_state.connections)
        assert service.engine.busy  # so that the command ends the process
        pace.go.set()
        wait_until(lambda: not service.engine.busy)


def test_requests_are_logged(build: Build, capsys: pytest.CaptureFixture[str]) -> None:
    log_requests()
    try:
        with served(build()) as (_, port):
            assert send(port, "POST", "/v1/restore?task=derain", png())[0] == 200
            assert send(port, "GET", "/a%0Ab")[0] == 404
            metrics = send(port, "GET", "/metrics")[1].decode()
    finally:
        access_log.handlers = []
        access_log.setLevel(logging.NOTSET)
    lines = capsys.readouterr().err.splitlines()
    time = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
    restored, missing, measured = lines
    assert re.fullmatch(
        time + r' 127\.0\.0\.1 "POST /v1/restore\?task=derain" 200 \d{3} \d+\.\d{3}', restored
    )
    assert '"GET /a%0Ab" 404 ' in missing
    assert f'"GET /metrics" 200 {len(metrics)} ' in measured
    assert 'uformer_http_request_seconds_count{route="/v1/restore"} 1.0' in metrics


def test_a_second_signal_stops_at_the_next_tile(build: Build, pace: Pace) -> None:
    pace.go.clear()
    service = build()
    with ThreadPoolExecutor() as threads, served(service) as (server, port):
        running = threads.submit(send, port, "POST", "/v1/jobs", png())
        assert running.result(20)[0] == 202
        assert pace.at_work.wait(20)
        server.handle_exit(signal.SIGTERM, None)
        server.handle_exit(signal.SIGTERM, None)
        wait_until(lambda: server.should_exit)
        pace.go.set()
        wait_until(lambda: not service.engine.busy)
    assert pace.tiles_done == 1
