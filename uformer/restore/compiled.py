"""A cache of compiled runners: each serves tiles of one size, and compiling one takes seconds."""

import itertools
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from uformer.restore.backends.base import Runner
from uformer.restore.memory import Size


@dataclass
class _Kept:
    runner: Runner
    cost: int
    used: int
    """Time of the last use: a counter that grows with each use of any runner."""


class Compiled:
    """The compiled runners of one network, by tile size. They are freed with the network.

    `make_room` drops the least recently used runners, whichever network of the process they belong to.
    """

    _lock: ClassVar = threading.Lock()
    _clock: ClassVar = itertools.count()
    _all: ClassVar["weakref.WeakSet[Compiled]"] = weakref.WeakSet()

    def __init__(self) -> None:
        self._kept: dict[Size, _Kept] = {}
        with self._lock:
            self._all.add(self)

    def get(self, size: Size, cost: int, make: Callable[[], Runner]) -> Runner:
        """Return the runner for a tile size; `make` it if it is not cached. `cost`: its size in bytes."""
        with self._lock:
            kept = self._kept.get(size)
        runner = make() if kept is None else kept.runner
        with self._lock:
            self._kept[size] = _Kept(runner, cost, next(self._clock))
        return runner

    def make_room(self, limit: int, needed: set[Size]) -> None:
        """Drop runners until those of the whole process take at most `limit` bytes.

        The runners of this network for the sizes in `needed` stay and do not count.
        """
        with self._lock:
            others = [
                (kept.used, kept.cost, compiled, size)
                for compiled in self._all
                for size, kept in compiled._kept.items()  # noqa: SLF001 - an object of this class
                if compiled is not self or size not in needed
            ]
            total = sum(cost for _, cost, _, _ in others)
            for _, cost, compiled, size in sorted(others, key=lambda each: each[0]):
                if total <= limit:
                    return
                del compiled._kept[size]  # noqa: SLF001
                total -= cost

    def clear(self) -> None:
        with self._lock:
            self._kept.clear()

    @property
    def sizes(self) -> set[Size]:
        """The tile sizes of the cached runners."""
        with self._lock:
            return set(self._kept)

    @property
    def cost(self) -> int:
        """The size of all cached runners in bytes."""
        with self._lock:
            return sum(kept.cost for kept in self._kept.values())
