import threading
import time

import pytest
import pyvips

from uformer.image.deadline import within


class Stoppable:
    """A fake of a pyvips image that stops between two rows."""

    def __init__(self) -> None:
        self.killed = threading.Event()

    def set_kill(self, kill: bool) -> None:
        assert kill
        self.killed.set()


def test_what_is_in_time_comes_back() -> None:
    image = Stoppable()
    assert within(10, image, lambda: 7) == 7
    assert not image.killed.is_set()


def test_exceptions_come_through() -> None:
    with pytest.raises(ZeroDivisionError):
        within(10, Stoppable(), lambda: 1 // 0)


def test_no_time_is_unlimited_time() -> None:
    assert within(float("inf"), Stoppable(), lambda: 7) == 7


def test_what_takes_too_long_is_stopped() -> None:
    image = Stoppable()
    with pytest.raises(TimeoutError):
        within(0.05, image, lambda: image.killed.wait(30))
    assert image.killed.is_set()


def test_what_cannot_be_stopped_is_left_behind() -> None:
    forever = threading.Event()
    start = time.monotonic()
    with pytest.raises(TimeoutError):
        within(0.05, Stoppable(), lambda: forever.wait(30))
    assert time.monotonic() - start < 10
    forever.set()


def test_libvips_stops() -> None:
    slow = pyvips.Image.perlin(20_000, 20_000)
    start = time.monotonic()
    with pytest.raises(TimeoutError):
        within(0.2, slow, slow.avg)
    assert time.monotonic() - start < 10
