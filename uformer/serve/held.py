"""The network's answers of finished jobs, held so that other controls need no new run."""

import threading
from collections import OrderedDict
from dataclasses import dataclass

from uformer.restore.restoration import Restoration
from uformer.serve.jobs import Job

DROPPED = "newer answers needed the memory (--hold-memory)"
"""Why an answer is no longer held."""


@dataclass
class _Place:
    """The memory for a job's answer, and the answer once the network has returned it."""

    job: Job
    cost: int
    """Bytes."""
    answer: Restoration | None = None


class HeldAnswers:
    """Answers by job. The least recently used one is dropped first. Thread-safe.

    `limit`: bytes for all answers and for blending one of them, which takes at most as much memory as the
    answer itself. So all answers together, and the largest one once more, stay within it.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._lock = threading.Lock()
        self._places: OrderedDict[str, _Place] = OrderedDict()  # the least recently used one first

    def reserve(self, job: Job, cost: int) -> bool:
        """Make room for an answer of `cost` bytes. Returns False if it can never be held."""
        with self._lock:
            if 2 * cost > self.limit:
                return False
            if not job.cancelled:  # `drop` has been called for it already
                self._places[job.id] = _Place(job, cost)
            while self._needed() > self.limit:
                _, place = self._places.popitem(last=False)
                place.job.held, place.job.not_held = False, DROPPED
            return True

    def put(self, job: Job, answer: Restoration) -> None:
        """Hold an answer, unless the job was cancelled or newer answers have taken its room meanwhile."""
        with self._lock:
            if job.id in self._places:
                self._places[job.id].answer = answer
                job.held = True

    def get(self, job: Job) -> Restoration | None:
        """Return the answer of a job, which counts as a use; None if it is not held."""
        with self._lock:
            if job.id not in self._places:
                return None
            self._places.move_to_end(job.id)
            return self._places[job.id].answer

    def drop(self, job: Job) -> None:
        """Drop the answer of a job, or the room for it."""
        with self._lock:
            self._places.pop(job.id, None)
            job.held = False

    @property
    def count(self) -> int:
        """Number of answers, including those that the network is computing."""
        return len(self._places)

    @property
    def bytes(self) -> int:
        """Bytes that the answers take."""
        with self._lock:
            return sum(place.cost for place in self._places.values())

    def _needed(self) -> int:
        costs = [place.cost for place in self._places.values()]
        return sum(costs) + max(costs, default=0)
