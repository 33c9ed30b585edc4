"""Start runs of two processes, as `torchrun` does, for tests."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

ENVIRONMENT = {"OMP_NUM_THREADS": "1", "TORCHELASTIC_ERROR_FILE": "", "PYTHONWARNINGS": "ignore"}


def torchrun(*words: str, nodes: int = 1, endpoint: str = "localhost:0") -> subprocess.Popen[str]:
    """Start `torchrun -m uformer WORDS`: two processes, or one on each of two nodes."""
    launcher = [
        "--nnodes",
        str(nodes),
        "--nproc-per-node",
        str(2 // nodes),
        "--rdzv-backend",
        "c10d",
        "--rdzv-endpoint",
        endpoint,
    ]
    return start([*launcher, "-m", "uformer", *words], module="torch.distributed.run")


def by_hand(*words: str, module: str = "uformer") -> list[subprocess.Popen[str]]:
    """Start two processes without a launcher, whose start alone takes seconds."""
    together = {
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "localhost",
        "MASTER_PORT": str(free_port()),
        "LOCAL_WORLD_SIZE": "2",
    }
    return [
        start(list(words), module=module, environment={**together, "RANK": rank, "LOCAL_RANK": rank})
        for rank in "01"
    ]


def start(
    words: list[str], *, module: str = "uformer", environment: Mapping[str, str] = {}
) -> subprocess.Popen[str]:
    variables = {**os.environ, **ENVIRONMENT, **environment}
    command = [sys.executable, "-m", module, *words]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=variables,
    )


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("localhost", 0))
        return int(server.getsockname()[1])


def wait_for(holds: Callable[[], bool], process: subprocess.Popen[str], *, seconds: float = 100) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.02)


def finish(process: subprocess.Popen[str], *, seconds: float = 120) -> tuple[int, str]:
    """Return (exit code, standard error)."""
    try:
        _, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return process.returncode, err


def has(path: Path, text: str) -> Callable[[], bool]:
    return lambda: path.exists() and text in path.read_text()
