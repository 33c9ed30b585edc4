"""A time limit for decoding."""

import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

GRACE = 1.0
"""Seconds that libvips gets to stop between two rows."""


def within(seconds: float, image: Any, work: Callable[[], T]) -> T:
    """The result of `work`, which evaluates a pyvips image; its exceptions are raised here.

    Raises TimeoutError after `seconds`. libvips stops between rows. A codec that decodes the whole image in
    one call (AVIF, WebP, progressive JPEG) cannot be stopped: it continues in its thread and frees its memory
    when it ends.
    """
    results: list[T] = []
    failures: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # noqa: BLE001 - raised again below, in the waiting thread
            failures.append(error)

    thread = threading.Thread(target=run, name="uformer-decode", daemon=True)
    thread.start()
    try:
        thread.join(min(seconds, threading.TIMEOUT_MAX))
        timely = not thread.is_alive()
    finally:
        if thread.is_alive():  # time is up, or Ctrl-C
            image.set_kill(True)
            thread.join(GRACE)
    if not timely:
        raise TimeoutError
    if failures:
        raise failures[0]
    return results[0]
