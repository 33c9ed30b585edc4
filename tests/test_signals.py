"""A process that is told to stop does so: at once, after a step, or, if told twice, unconditionally."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from uformer.signals import Interrupt, deferred, stops_like_ctrl_c

ROOT = Path(__file__).parents[1]


def send(number: signal.Signals) -> None:
    with stops_like_ctrl_c():
        os.kill(os.getpid(), number)
        threading.Event().wait(5)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_signals_interrupt_inside_the_block_only(name: str) -> None:
    number = signal.Signals[name]
    before = signal.signal(number, signal.SIG_DFL)  # under nohup, SIGHUP is ignored
    try:
        with pytest.raises(KeyboardInterrupt):
            send(number)
        assert signal.getsignal(number) is signal.SIG_DFL
    finally:
        signal.signal(number, before)


def test_a_hangup_that_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stops_like_ctrl_c():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_another_thread_may_use_it() -> None:
    entered = []

    def enter() -> None:
        with stops_like_ctrl_c():
            entered.append(1)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert entered


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_waits_for_the_end_of_the_block(number: signal.Signals) -> None:
    before, done = signal.getsignal(number), list[str]()

    def work() -> None:
        with deferred():
            os.kill(os.getpid(), number)
            time.sleep(0.05)
            done.append("all of it")

    with stops_like_ctrl_c():
        outside = signal.getsignal(number)
        with pytest.raises(KeyboardInterrupt):
            work()
        assert signal.getsignal(number) is outside
    assert signal.getsignal(number) is before
    assert done == ["all of it"]


def test_an_error_inside_the_block_is_raised_and_the_handlers_are_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(ValueError, match="inside"), deferred():
        raise ValueError("inside")
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_is_noted_and_the_second_interrupts(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with Interrupt() as interrupt:
        assert not interrupt.asked
        os.kill(os.getpid(), number)
        assert interrupt.asked
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before


HANGS = """
import ctypes, threading
from concurrent.futures import ThreadPoolExecutor
from uformer.signals import second_ctrl_c_ends

def hang():  # a mutex locked twice: no signal ends the call
    mutex, library = ctypes.create_string_buffer(128), ctypes.CDLL(None)
    library.pthread_mutex_lock(mutex)
    threading.Timer(0.3, print, ["hangs"], {"flush": True}).start()  # after the call below has begun
    library.pthread_mutex_lock(mutex)

second_ctrl_c_ends()
"""
CRASHES_AT_EXIT = """
import atexit, os, sys, time
from uformer.signals import leave, second_ctrl_c_ends
second_ctrl_c_ends()
atexit.register(os.abort)
code = 0
for _ in range(2):
    try:
        print("hangs", flush=True)
        time.sleep(60)
    except KeyboardInterrupt:
        code = 130
print("cleaned up")
sys.exit(leave(code))
"""
CLEANS_UP = """
import time
from uformer.signals import second_ctrl_c_ends
second_ctrl_c_ends()
try:
    print("hangs", flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    try:
        print("stops", flush=True)
        time.sleep(60)
    except KeyboardInterrupt:
        raise SystemExit(7) from None
"""
FORKS = """
import os, signal, sys, time
from uformer.signals import second_ctrl_c_ends
second_ctrl_c_ends()
signal.signal(signal.SIGINT, lambda *_: None)
child = os.fork()
if child == 0:
    print("hangs", flush=True)
    time.sleep(2.5)
    os._exit(0)
os.waitpid(child, 0)
raise SystemExit(0)
"""


def started(script: str) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "hangs\n"
    return process


@pytest.mark.skipif(sys.platform != "linux", reason="the lock that hangs is a size that Linux has")
@pytest.mark.parametrize("where", ["hang()", "ThreadPoolExecutor().submit(hang).result()"])
def test_the_second_ctrl_c_ends_a_native_call_that_does_not_return(where: str) -> None:
    process = started(
        f"{HANGS}try:\n    {where}\nexcept KeyboardInterrupt:\n    raise SystemExit(130) from None"
    )
    process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.3)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    process.communicate()


def test_a_process_that_ends_by_itself_may_do_so() -> None:
    process = started(CLEANS_UP)
    process.send_signal(signal.SIGINT)
    assert process.stdout is not None
    assert process.stdout.readline() == "stops\n"
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 7
    process.communicate()


def test_a_library_that_crashes_at_exit_does_not_change_the_exit_code() -> None:
    process = started(CRASHES_AT_EXIT)
    process.send_signal(signal.SIGINT)
    assert process.stdout is not None
    assert process.stdout.readline() == "hangs\n"
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    assert process.communicate()[0] == "cleaned up\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_one_ctrl_c_that_children_get_too_counts_once() -> None:
    process = started(FORKS)
    time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(30) == 0
    process.communicate()
