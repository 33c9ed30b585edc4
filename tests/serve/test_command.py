"""`uformer serve` as a process."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.networks import TINY, build
from tests.serve.conftest import png, send, wait_until
from uformer.cli import main
from uformer.serve import command
from uformer.serve.command import page_url
from uformer.serve.engine import Engine
from uformer.serve.server import Server
from uformer.serve.settings import Settings
from uformer.weights import checkpoint

ROOT = Path(__file__).parents[2]


@contextmanager
def started(*arguments: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], int, str]]:
    """Start `uformer serve`; when it is ready, yield its process, its port and the line that it printed."""
    line = [sys.executable, "-m", "uformer", "serve", "--port", "0", *arguments]
    process = subprocess.Popen(
        line,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
        cwd=ROOT,
    )
    try:
        assert process.stdout is not None
        printed = process.stdout.readline()
        found = re.search(r"http://[^/]+:(\d+)/", printed)
        assert found, process.communicate(timeout=10)
        port = int(found[1])
        wait_until(lambda: send(port, "GET", "/readyz")[0] == 200)
        yield process, port, printed
    finally:
        process.kill()
        process.wait(20)
        for stream in (process.stdout, process.stderr):
            assert stream is not None
            stream.close()


@pytest.fixture
def weights(tmp_path: Path) -> str:
    checkpoint.save(tmp_path / "tiny.safetensors", build(TINY))
    return str(tmp_path / "tiny.safetensors")


def test_sigterm_in_the_middle_of_an_image(weights: str, tmp_path: Path) -> None:
    options = ["--weights", weights, "--tile", "16", "--overlap", "8", "--grace", "60"]
    with started(*options, TMPDIR=str(tmp_path), HOME=str(tmp_path)) as (process, port, printed):
        assert printed.startswith(f"http://127.0.0.1:{port}/ ")
        answers: list[tuple[int, bytes]] = []
        asking = threading.Thread(
            target=lambda: answers.append(send(port, "POST", "/v1/restore", png(200, 200)))
        )
        asking.start()
        while b"uformer_running 1" not in send(port, "GET", "/metrics")[1]:
            assert asking.is_alive(), answers
        process.send_signal(signal.SIGTERM)
        asking.join(120)
        assert process.wait(20) == 0
        assert answers[0][0] == 200
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert [
        path.name for path in tmp_path.iterdir() if path.name not in ("tiny.safetensors", ".cache")
    ] == [], "something was left on disk"


def test_ctrl_c_an_amount_and_a_token_from_the_environment(weights: str) -> None:
    options = "--weights", weights, "--max-bytes", "1.5MB"
    with started(*options, UFORMER_TOKEN="s3cret") as (process, port, printed):
        assert "s3cret" not in printed, "a log would contain the token"
        assert send(port, "GET", "/v1/models")[0] == 401
        status, models = send(port, "GET", "/v1/models", headers={"Authorization": "Bearer s3cret"})[:2]
        assert status == 200
        assert json.loads(models)["limits"]["max_bytes"] == 1_500_000
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--host", "0.0.0.0"], 2, "--insecure"),
        (["--port", "70000"], 2, "port: 70000"),
        (["--max-bytes", "much"], 2, "--max-bytes: 'much' is not an amount such as 500MB"),
        (["--max-kept", "50%"], 2, "--max-kept: '50%' is not an amount such as 500MB"),
        (["--weights", "nothing.safetensors"], 2, "nothing.safetensors"),
        (["--task", "dehaze"], 2, "known: denoise"),
        (["--host", "256.0.0.1", "--insecure"], 1, "cannot listen"),
    ],
)
def test_what_cannot_be_is_one_line(
    arguments: list[str], code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", *arguments]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert words in err


def test_a_port_in_use_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", "--port", str(port)]) == 1
    assert (
        f"127.0.0.1:{port}: cannot listen: Address already in use; choose another --port\n"
        in capsys.readouterr().err
    )


def test_a_missing_extra_is_reported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "fastapi", None)
    assert main(["serve"]) == 2
    assert 'pip install "uformer[serve]"' in capsys.readouterr().err


def test_a_warning_is_one_line_without_a_path(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(
            Server,
            "run",
            lambda *_args, **_kwargs: warnings.warn("out of memory with tiles of 832", stacklevel=1),
        )
        assert main(["serve", "--port", "0", "--no-browser"]) == 0
    assert capsys.readouterr().err == "uformer: out of memory with tiles of 832\n"


def test_a_server_that_stops_in_the_middle_of_a_tile_ends_its_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended: list[int] = []
    monkeypatch.setattr(Server, "run", lambda *_args, **_kwargs: None)
    monkeypatch.setattr(command, "end_now", ended.append)
    for busy in (False, True):
        monkeypatch.setattr(Engine, "busy", busy)
        assert main(["serve", "--port", "0", "--no-browser"]) == 0
    assert ended == [0]


def test_urls() -> None:
    assert page_url(Settings(), 80) == "http://127.0.0.1:80/"
    assert page_url(Settings(host="::1"), 80) == "http://[::1]:80/"
    assert page_url(Settings(host="0.0.0.0", token="t"), 80) == f"http://{socket.gethostname()}:80/#token=t"


def test_a_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setenv("DISPLAY", ":0")
    assert command.has_screen()
    monkeypatch.delenv("DISPLAY")
    assert not command.has_screen()
