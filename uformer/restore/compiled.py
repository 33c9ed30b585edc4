"""What this process keeps compiled: a runner serves tiles of one size, and compiling one takes seconds."""

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
    """A number that grows with each use of any runner."""


class Compiled:
    """What was compiled of one network, by the size of tiles; it goes when the network goes.

    `make_room` drops what was not used for the longest time, whichever network of the process it belongs to.
    """

    _lock: ClassVar = threading.Lock()
    _clock: ClassVar = itertools.count()
    _all: ClassVar["weakref.WeakSet[Compiled]"] = weakref.WeakSet()

    def __init__(self) -> None:
        self._kept: dict[Size, _Kept] = {}
        with self._lock:
            self._all.add(self)

    def get(self, size: Size, cost: int, make: Callable[[], Runner]) -> Runner:
        """The runner for tiles of a size, made if it is not kept; `cost`: bytes it takes while it is kept."""
        with self._lock:
            kept = self._kept.get(size)
        runner = make() if kept is None else kept.runner
        with self._lock:
            self._kept[size] = _Kept(runner, cost, next(self._clock))
        return runner

    def make_room(self, limit: int, needed: set[Size]) -> None:
        """Drop runners until those of the whole process take no more than `limit` bytes.

        Those of this network for the sizes in `needed` stay and do not count.
        """
        with self._lock:
            others = [
                (kept.used, kept.cost, compiled, size)
                for compiled in self._all
                for size, kept in compiled._kept.items()  # noqa: SLF001 - another of this class
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
        """The sizes of tiles that runners are kept for."""
        with self._lock:
            return set(self._kept)

    @property
    def cost(self) -> int:
        """Bytes of all that are kept."""
        with self._lock:
            return sum(kept.cost for kept in self._kept.values())
