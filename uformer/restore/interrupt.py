"""Being told to stop, by whatever signal, is a KeyboardInterrupt."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def stops_like_ctrl_c() -> Iterator[None]:
    """Inside the block SIGTERM, and SIGHUP of a closed terminal unless that is ignored (nohup), raise KeyboardInterrupt."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [
        signal.SIGTERM,
        *([signal.SIGHUP] if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN else []),
    ]
    before = {number: signal.signal(number, _interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
