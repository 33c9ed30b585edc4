"""The container's health check."""

import os
import socket
import subprocess
import sys

import psutil
import pytest

from uformer.serve.healthy import address, main

SERVE = """
import http.server, sys
class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/healthz" else 404)
        self.end_headers()
server = http.server.HTTPServer((sys.argv[2], 0), Health)
print(server.server_port, flush=True)
server.handle_request()
"""


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_it_follows_the_port_of_the_server(host: str) -> None:
    command = [sys.executable, "-c", SERVE, "serve", host]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        found = psutil.Process(process.pid)
        assert address([psutil.Process(os.getpid()), found]) == f"127.0.0.1:{port}"
        assert main([found]) == 0
        process.wait(20)


def test_it_fails_where_nothing_answers(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 1
    assert "no uformer serve is running" in capsys.readouterr().err


def test_it_fails_where_the_server_is_stuck(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("uformer.serve.healthy._SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as stuck:
        port = stuck.getsockname()[1]
        monkeypatch.setattr("uformer.serve.healthy.address", lambda _: f"127.0.0.1:{port}")
        assert main([]) == 1
    assert f"127.0.0.1:{port} does not answer" in capsys.readouterr().err
