"""Many pictures: while the network restores one, the next are read and the last are written, in threads.

Reading, the network and writing are three pools of threads, the network's of one; the caller's thread only waits, so that
Ctrl-C is noticed at once, and no file is written in the thread that it interrupts. What one picture raises stays in its future and
becomes that picture's failure.
"""

import functools
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from uformer.errors import UformerError
from uformer.files import one_line
from uformer.image.formats import by_suffix
from uformer.image.image import Image
from uformer.image.prepare import check
from uformer.image.read import header, read
from uformer.image.write import MetadataPolicy, write
from uformer.notices import ignore
from uformer.restore.budget import Budget
from uformer.restore.changes import note_little_change
from uformer.restore.large import restore_file, should_stream
from uformer.restore.memory import SHARE_FOR_WAITING, decoded_size
from uformer.restore.restorer import Restorer
from uformer.restore.worklist import FileJob

READERS, WRITERS = (min(most, os.cpu_count() or 1) for most in (4, 8))
"""Threads, each with one picture at a time; encoding a picture takes longer than decoding it."""
_POLL = 0.5  # seconds; where waiting cannot be interrupted (Windows), Ctrl-C is noticed after so long


@dataclass(kw_only=True)
class Outcome:
    """What became of one picture."""

    job: FileJob
    seconds: float = 0.0
    """For reading, restoring and writing it, without waiting."""
    width: int | None = None
    """Pixels."""
    height: int | None = None
    bytes: int | None = None
    """Size of the output."""
    tile: tuple[int, int] | None = None
    """Height and width, pixels."""
    backend: str | None = None
    precision: str | None = None
    warnings: list[str] = field(default_factory=list)
    error: str | None = None
    """Why it failed, in one line; None where it was restored."""


class Watcher(Protocol):
    """Who wants to know how it goes; all but `finished` are called from other threads."""

    def started(self, job: FileJob) -> None: ...
    def tile(self, done: int, total: int) -> None: ...
    def warned(self, job: FileJob, message: str) -> None: ...
    def finished(self, outcome: Outcome) -> None: ...


def run(
    jobs: Iterable[FileJob],
    make_restorer: Callable[[], Restorer],
    watcher: Watcher,
    *,
    metadata: MetadataPolicy = "keep",
) -> None:
    """Restore pictures, each into its output; what became of each, in order, goes to the watcher.

    The first pictures are read while the network is loaded. When interrupted, pictures that are restored already are still written.
    Raises what `make_restorer` raises, and OptionError where the options restore no picture whatever.
    """
    line = _Line(watcher, metadata, make_restorer)
    going: deque[tuple[Outcome, Future[Future[None]]]] = deque()

    def finish_first() -> None:
        outcome, restoring = going[0]
        error = _error_of(line.checked) or _error_of(restoring)
        if error is not None and (error is line.checked.exception() or not isinstance(error, Exception)):
            raise error  # of all pictures, not of this one
        outcome.error = describe(_error_of(restoring.result()) if error is None else error)
        watcher.finished(outcome)
        going.popleft()

    try:
        for number, job in enumerate(jobs):
            going.append(line.put(number, job))
            if len(going) > READERS + WRITERS:
                finish_first()
        while going:
            finish_first()
    finally:
        line.stop()
        for outcome, restoring in going:  # those that were on their way when something stopped the run
            if not restoring.cancelled() and not restoring.exception() and not restoring.result().exception():
                watcher.finished(outcome)


def describe(error: BaseException | None) -> str | None:
    """In one line what went wrong with a picture; None where nothing did."""
    if error is None:
        return None
    if isinstance(error, UformerError):
        return one_line(error, 4096)
    if isinstance(error, MemoryError):
        return "out of memory"
    if isinstance(error, OSError):
        return one_line(
            f"{error.filename}: {error.strerror}" if error.filename and error.strerror else error, 4096
        )
    return one_line(f"unexpected {type(error).__name__}: {error}; please report it", 4096)


@dataclass
class _Picture:
    """A picture that was read, or one that is too large to be read whole (None)."""

    image: Image | None
    cost: int
    """What it takes of the budget."""


class _Line:
    """The three pools, and what each does with a picture."""

    def __init__(
        self, watcher: Watcher, metadata: MetadataPolicy, make_restorer: Callable[[], Restorer]
    ) -> None:
        self._readers = ThreadPoolExecutor(READERS, "uformer-read")
        self._network = ThreadPoolExecutor(1, "uformer-network")
        self._writers = ThreadPoolExecutor(WRITERS, "uformer-write")
        self._watcher, self._metadata = watcher, metadata
        self._budget = Budget()
        self._stopped = threading.Event()
        self._made = self._network.submit(self._make, make_restorer)
        self.checked = self._network.submit(self._check)

    def put(self, number: int, job: FileJob) -> tuple[Outcome, Future[Future[None]]]:
        """Send a picture on its way; its future is that of restoring, whose result is that of writing."""
        outcome = Outcome(job=job)
        reading = self._readers.submit(self._read, number, outcome)
        return outcome, self._network.submit(self._restore, outcome, reading)

    def stop(self) -> None:
        """Begin nothing new, write what is restored, and wait for that."""
        self._stopped.set()
        self._budget.close()
        self._readers.shutdown(cancel_futures=True)
        self._network.shutdown(cancel_futures=True)
        self._writers.shutdown()

    def _warn(self, outcome: Outcome, message: str) -> None:
        """Note a warning about a picture, and tell the watcher."""
        outcome.warnings.append(message)
        self._watcher.warned(outcome.job, message)

    def _make(self, make_restorer: Callable[[], Restorer]) -> Restorer:
        restorer = make_restorer()
        self._budget.resize(int(restorer.memory_budget * SHARE_FOR_WAITING))
        return restorer

    def _check(self) -> None:
        """Raise OptionError now for what would be wrong with every picture; reading goes on meanwhile."""
        restorer = self._made.result()
        _ = restorer.precision  # raises where the one asked for is not there
        restorer.tile_for(1, 1)

    def _read(self, number: int, outcome: Outcome) -> _Picture:
        restorer = self._made.result()
        source, cost, whole = outcome.job.source, 0, True
        try:
            with self._working(outcome):
                head = header(source)
                outcome.width, outcome.height = head.width, head.height
                whole = not should_stream(head, restorer.memory_budget)
                cost = decoded_size(head) if whole else 0
        finally:
            self._budget.take(number, cost)  # even for nothing: the next picture waits for this one's turn
        with self._giving_back(cost), self._working(outcome):
            image = read(source, notify=functools.partial(self._warn, outcome)) if whole else None
            if (
                image is not None
            ):  # refuse it before the network runs for nothing; what is left out `write` tells later
                check(image, by_suffix(outcome.job.output.suffix), self._metadata, notify=ignore)
            return _Picture(image, cost)

    def _restore(self, outcome: Outcome, reading: Future[_Picture]) -> Future[None]:
        restorer, picture, job = self._made.result(), reading.result(), outcome.job
        with self._giving_back(picture.cost), self._working(outcome):
            self._watcher.started(job)
            outcome.backend, outcome.precision = restorer.backend, restorer.precision
            if outcome.height and outcome.width:
                outcome.tile = restorer.tile_for(outcome.height, outcome.width)
            restored, warn = None, functools.partial(self._warn, outcome)
            if picture.image is not None:
                restored = restorer.restore_image(picture.image, progress=self._tile, notify=warn)
                note_little_change(picture.image.pixels, restored.pixels, restorer.options, warn)
            else:
                job.output.parent.mkdir(parents=True, exist_ok=True)
                restore_file(
                    restorer,
                    job.source,
                    job.output,
                    metadata=self._metadata,
                    progress=self._tile,
                    notify=warn,
                )
            return self._writers.submit(self._write, outcome, restored, picture.cost)

    def _write(self, outcome: Outcome, restored: Image | None, cost: int) -> None:
        output = outcome.job.output
        try:
            with self._working(outcome):
                if restored is not None:
                    output.parent.mkdir(parents=True, exist_ok=True)
                    write(
                        restored,
                        output,
                        metadata=self._metadata,
                        notify=functools.partial(self._warn, outcome),
                    )
                outcome.bytes = output.stat().st_size
        finally:
            self._budget.give_back(cost)

    def _tile(self, done: int, total: int) -> None:
        if self._stopped.is_set():
            raise CancelledError
        self._watcher.tile(done, total)

    @contextmanager
    def _working(self, outcome: Outcome) -> Iterator[None]:
        """Count the time as the picture's."""
        began = time.perf_counter()
        try:
            yield
        finally:
            outcome.seconds += time.perf_counter() - began

    @contextmanager
    def _giving_back(self, cost: int) -> Iterator[None]:
        """Give the picture's memory back where it goes no further."""
        try:
            yield
        except BaseException:
            self._budget.give_back(cost)
            raise


def _error_of(future: Future[Any]) -> BaseException | None:
    """What a future raised, once it is done."""
    while not future.done():
        wait([future], timeout=_POLL)
    return future.exception()
