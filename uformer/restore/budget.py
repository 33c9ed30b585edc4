"""Memory that pictures take while they wait, granted in order."""

import threading
from concurrent.futures import CancelledError


class Budget:
    """So many bytes for all pictures between reading and writing; one that takes more than all of them is there alone.

    Whoever asks is numbered from 0, and served in that order, or a later picture could take what an earlier one waits for.
    """

    def __init__(self, size: int = 0) -> None:
        self._size = size
        self._taken = 0
        self._next = 0
        self._closed = False
        self._changed = threading.Condition()

    def resize(self, size: int) -> None:
        """Grant `size` bytes from now on, where their number was not known before."""
        with self._changed:
            self._size = size
            self._changed.notify_all()

    def take(self, number: int, cost: int) -> None:
        """Wait until `cost` bytes are granted. Raises CancelledError once the budget is closed."""
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
        """Nobody waits any more, and nothing is granted."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
