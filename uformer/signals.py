"""Requests to stop: Ctrl-C, SIGTERM, or a closed terminal."""

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any, NoReturn, Self

INTERRUPTED = 130
"""The exit code of a process that Ctrl-C ended."""
_GRACE = 1.0  # seconds in which the process may end by itself after the second Ctrl-C
_NOTICED = 0.2  # seconds after which the watching thread has seen a signal
_told_twice = threading.Event()


@contextlib.contextmanager
def stops_like_ctrl_c() -> Iterator[None]:
    """Inside the block, SIGTERM raises KeyboardInterrupt, and SIGHUP (closed terminal) too unless ignored."""
    if not _in_main_thread():
        yield
        return
    numbers = [signal.SIGTERM]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, _interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


@contextlib.contextmanager
def deferred() -> Iterator[None]:
    """Inside the block, Ctrl-C, SIGTERM and SIGHUP have to wait; their handlers run at its end.

    For a few statements that belong together, such as counting an image and printing its line.
    """
    if not _in_main_thread():
        yield
        return
    names = ("SIGINT", "SIGTERM", "SIGHUP")
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    handlers = {number: handler for number, handler in before.items() if callable(handler)}
    waiting: list[int] = []
    try:
        for number in handlers:
            signal.signal(number, lambda number, _frame: waiting.append(number))
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for number in waiting:
            handlers[number](number, None)


class Interrupt:
    """Inside the block, the first SIGINT or SIGTERM sets `asked`; the second raises KeyboardInterrupt."""

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if _in_main_thread():
            numbers = (signal.SIGINT, signal.SIGTERM)
            self._before = {number: signal.signal(number, self._note) for number in numbers}
        return self

    def __exit__(self, *_error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


def second_ctrl_c_ends() -> None:
    """Make the second Ctrl-C end this process with code 130, whatever it is doing.

    A handler written in Python waits until the main thread runs Python again, and it cannot stop another
    thread: a native call that never returns (an .onnx file with an endless loop) would block the process. So
    a thread watches the signals as they arrive (`signal.set_wakeup_fd`). After the second Ctrl-C, the process
    has one second to end by itself; it should do so with `leave`.
    """
    if (
        not _in_main_thread() or "LOCAL_RANK" in os.environ
    ):  # torchrun repeats a Ctrl-C that the process received
        return
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    if hasattr(os, "register_at_fork"):
        # A terminal sends Ctrl-C to child processes too; those do not count.
        os.register_at_fork(after_in_child=lambda: signal.set_wakeup_fd(-1))
    threading.Thread(target=_watch, args=(reader, writer), name="signals", daemon=True).start()


def leave(code: int) -> int:
    """Return the exit code of a finished command, or end the process here if Ctrl-C came twice."""
    if code == INTERRUPTED and _told_twice.wait(_NOTICED):
        end_now(code)
    return code


def end_now(code: int) -> NoReturn:
    """End the process although threads are still at work.

    An ordinary exit would wait for them, and run the destructors of C++ libraries, which crash while a native
    call is still running.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _watch(reader: socket.socket, _writer: socket.socket) -> None:  # the argument keeps the writer open
    _wait_for_ctrl_c(reader)
    _wait_for_ctrl_c(reader)
    _told_twice.set()
    reader.settimeout(_GRACE)
    with contextlib.suppress(TimeoutError):
        _wait_for_ctrl_c(reader)
    os._exit(INTERRUPTED)


def _wait_for_ctrl_c(reader: socket.socket) -> None:
    while reader.recv(1) != bytes([signal.SIGINT]):
        pass


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
