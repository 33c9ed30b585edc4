"""The compiled networks that this process keeps: each serves tiles of one size, and to compile one takes seconds."""

import itertools
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from uformer.restore.backends.base import Backend

Size = tuple[int, int]
"""Height and width of tiles."""


@dataclass
class _Kept:
    backend: Backend
    cost: int
    used: int
    """A number that grows with each use of any network."""


class Networks:
    """The networks of one restorer by size of their tiles; they go when it goes.

    `make_room` drops the networks that were not used for the longest, whichever restorer of the process they belong to.
    """

    _lock: ClassVar = threading.Lock()
    _clock: ClassVar = itertools.count()
    _all: ClassVar["weakref.WeakSet[Networks]"] = weakref.WeakSet()

    def __init__(self) -> None:
        self._kept: dict[Size, _Kept] = {}
        with self._lock:
            self._all.add(self)

    def get(self, size: Size, cost: int, make: Callable[[], Backend]) -> Backend:
        """The network for tiles of a size, made if it is not kept; `cost`: bytes that it takes while it is kept."""
        with self._lock:
            kept = self._kept.get(size)
        backend = make() if kept is None else kept.backend
        with self._lock:
            self._kept[size] = _Kept(backend, cost, next(self._clock))
        return backend

    def make_room(self, limit: int, needed: set[Size]) -> None:
        """Drop networks until all of the process take no more than `limit` bytes, without those of this restorer for `needed`."""
        with self._lock:
            others = [
                (kept.used, kept.cost, networks, size)
                for networks in self._all
                for size, kept in networks._kept.items()  # noqa: SLF001 - another of this class
                if networks is not self or size not in needed
            ]
            total = sum(cost for _, cost, _, _ in others)
            for _, cost, networks, size in sorted(others, key=lambda each: each[0]):
                if total <= limit:
                    return
                del networks._kept[size]  # noqa: SLF001
                total -= cost

    def clear(self) -> None:
        with self._lock:
            self._kept.clear()

    @property
    def cost(self) -> int:
        """Bytes of all that are kept."""
        with self._lock:
            return sum(kept.cost for kept in self._kept.values())
