"""Starts another Python process that finds the same modules, this package among them."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import BinaryIO

from uformer.errors import UformerError

_INTERRUPTED = (-signal.SIGINT, -signal.SIGTERM, 130)
"""The exit codes of a process that was asked to stop."""

_running: set[subprocess.Popen[bytes]] = set()


def command(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module in a Python process like this one."""
    return [sys.executable, "-P", "-m", module, *arguments]


def environment() -> dict[str, str]:
    """Return this process's environment, in which the other process finds the same modules."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def run(words: Sequence[str], printed: BinaryIO, *, seconds: float | None = None) -> int:
    """Run a `command` until it ends, and return its exit code; what it prints goes to `printed`.

    Raises OSError if it cannot be started, subprocess.TimeoutExpired if it takes longer than `seconds`, and
    UformerError if it was interrupted, by Ctrl-C or by `end_all`.
    """
    process = subprocess.Popen(  # noqa: S603 - this Python, no shell
        words, stdin=subprocess.DEVNULL, stdout=printed, stderr=printed, env=environment()
    )
    _running.add(process)
    try:
        code = process.wait(seconds)
    finally:
        _running.discard(process)
        process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)  # a process that waits inside a driver cannot be killed
    if code in _INTERRUPTED:
        raise UformerError("interrupted")
    return code


def end_all() -> None:
    """End the processes that other threads `run`, so that a program that stops need not wait for them."""
    for process in list(_running):
        process.terminate()
