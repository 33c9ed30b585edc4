"""The memory budget of images that wait between reading and writing, granted in order."""

import threading
from concurrent.futures import CancelledError


class Budget:
    """A budget of `size` bytes for all images in flight.

    An image that is larger than the budget gets it alone.
    Requests are numbered from 0 and served in that order; otherwise a later image could take the memory that
    an earlier one waits for.
    """

    def __init__(self, size: int = 0) -> None:
        self._size = size
        self._taken = 0
        self._next = 0
        self._closed = False
        self._changed = threading.Condition()

    def resize(self, size: int) -> None:
        """Set the budget to `size` bytes, once it is known."""
        with self._changed:
            self._size = size
            self._changed.notify_all()

    def take(self, number: int, cost: int) -> None:
        """Wait until `cost` bytes are granted to request `number`. Raises CancelledError after `close`."""
        with self._changed:
            self._changed.wait_for(
                lambda: (
                    self._closed
                    or (self._next == number and (not self._taken or self._taken + cost <= self._size))
                )
            )
            if self._closed:
                raise CancelledError
            self._next += 1
            self._taken += cost
            self._changed.notify_all()

    def give_back(self, cost: int) -> None:
        with self._changed:
            self._taken -= cost
            self._changed.notify_all()

    def close(self) -> None:
        """Wake all that wait, and grant nothing more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
