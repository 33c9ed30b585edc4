import os
import signal
import threading

import pytest

from uformer.restore.interrupt import stops_like_ctrl_c


def send(number: signal.Signals) -> None:
    with stops_like_ctrl_c():
        os.kill(os.getpid(), number)
        threading.Event().wait(5)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_signals_interrupt_inside_the_block_only(name: str) -> None:
    number = signal.Signals[name]
    before = signal.signal(number, signal.SIG_DFL)  # under nohup a hangup is ignored
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
