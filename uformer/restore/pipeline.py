"""Restores many images: while the network restores one, threads read the next and write the last ones.

There are three thread pools: readers, one network thread, and writers. The caller's thread only waits. It
therefore notices Ctrl-C at once, and Ctrl-C never interrupts a thread that writes a file. An exception stays
in the future of its image and becomes that image's failure.
"""

import functools
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from uformer import child
from uformer.errors import PictureError, UformerError
from uformer.files import Times, keep_time, one_line
from uformer.image.any_stack import any_header
from uformer.image.formats import by_suffix
from uformer.image.image import Image
from uformer.image.prepare import check
from uformer.image.read import read
from uformer.image.value_range import ValueRange
from uformer.image.write import MetadataPolicy, write
from uformer.notices import ignore
from uformer.processors import available_processors
from uformer.restore.auto import Auto
from uformer.restore.budget import Budget
from uformer.restore.changes import note_little_change
from uformer.restore.diagnosis import Diagnosis
from uformer.restore.large import restore_file, should_stream
from uformer.restore.memory import SHARE_FOR_WAITING, decoded_size
from uformer.restore.options import RestoreOptions
from uformer.restore.planes import Ranges, check_not_automatic, check_stack_output, reported, restore_stack
from uformer.restore.reporting.change_report import Recorder
from uformer.restore.reporting.report_files import write_report
from uformer.restore.residual_file import check_room_to_keep, residual_file
from uformer.restore.restoration import Restoration
from uformer.restore.restorer import Restorer
from uformer.restore.views import views_of
from uformer.restore.worklist import FileJob
from uformer.signals import deferred
from uformer.zarr_folder import size_of

READERS, WRITERS = 4, 8
"""Most threads, each with one image at a time: more writers, because encoding takes longer than decoding."""
_POLL = 0.5  # seconds until Ctrl-C is noticed where waiting cannot be interrupted (Windows)


@dataclass(kw_only=True)
class Outcome:
    """The outcome of one image. Unknown values are None."""

    job: FileJob
    seconds: float = 0.0
    """Time to read, restore and write the image, without waiting."""
    width: int | None = None
    """Pixels."""
    height: int | None = None
    """Pixels."""
    bytes: int | None = None
    """Size of the output file."""
    tile: tuple[int, int] | None = None
    """Tile height and width, in pixels."""
    backend: str | None = None
    precision: str | None = None
    diagnosis: Diagnosis | None = None
    """What `--task auto` found."""
    report: str | None = None
    """The JSON file of the report, if one was written."""
    range: Ranges = None
    """The range of values that was scaled for the network, in the file's own units; None for all of it.

    For a stack of several channels, it is a list with the range of each.
    """
    pages: int | None = None
    """Number of pages of a TIFF stack or Zarr; None for any other image."""
    warnings: list[str] = field(default_factory=list)
    error: str | None = None
    """Why the image failed, in one line; None if it was restored."""


class Watcher(Protocol):
    """Receives the progress of a run. All methods but `finished` are called from other threads."""

    def started(self, job: FileJob) -> None: ...
    def page(self, job: FileJob, number: int, count: int) -> None: ...
    def tile(self, done: int, total: int) -> None: ...
    def warned(self, job: FileJob, message: str) -> None: ...
    def finished(self, outcome: Outcome) -> None: ...


def run(
    jobs: Iterable[FileJob],
    make_restorer: Callable[[], Restorer],
    watcher: Watcher,
    *,
    metadata: MetadataPolicy = "keep",
    times: Times = "now",
    threads: int | None = None,
    reports: bool = False,
    keep: bool = False,
) -> None:
    """Restore images, write their outputs, and report each outcome to the watcher, in order.

    `times`: keep gives each output the modification time of its input. `threads`: the most images that are
    read at once, and the most that are written at once; None: as many as there are processors. `reports`:
    write a report beside each output. `keep`: keep the answer beside it, from which the output is blended.

    The first images are read while the network loads. If the run is interrupted, images that are already
    restored are still written. Raises what `make_restorer` raises, and OptionError if the options cannot
    restore any image.
    """
    line = _Line(
        watcher,
        metadata,
        times,
        make_restorer,
        threads or available_processors(),
        reports=reports,
        keep=keep,
    )
    going: deque[tuple[Outcome, Future[Future[None]]]] = deque()

    def finish_first() -> None:
        outcome, restoring = going[0]
        error = _error_of(line.checked) or _error_of(restoring)
        if error is not None and (error is line.checked.exception() or not isinstance(error, Exception)):
            raise error  # it concerns all images, not only this one
        outcome.error = describe(_error_of(restoring.result()) if error is None else error)
        with deferred():  # an outcome that is reported in part would be reported again below
            going.popleft()
            watcher.finished(outcome)

    try:
        for number, job in enumerate(jobs):
            going.append(line.put(number, job))
            if len(going) > line.width:
                finish_first()
        while going:
            finish_first()
    finally:
        line.stop()
        for outcome, restoring in going:  # images in flight when something stopped the run
            if not restoring.cancelled() and not restoring.exception() and not restoring.result().exception():
                watcher.finished(outcome)


def describe(error: BaseException | None) -> str | None:
    """Describe in one line why an image failed; None for no error."""
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
class _Read:
    """An image that was read, or None for a stack and for an image too large to be in memory as a whole."""

    image: Image | None
    cost: int
    """Bytes of the budget that the image takes."""
    depth: int
    """Bits per sample."""


@dataclass
class _Restored:
    """What is left to write once an image is restored."""

    image: Image | None = None
    """None if the output is written already: for a stack, and for an image that was restored row by row."""
    recorder: Recorder | None = None
    """For the report, if one is written."""
    answer: Restoration | None = None
    """The answer of the network, if it is kept."""


class _Line:
    """The three thread pools, and the work of each on an image."""

    def __init__(
        self,
        watcher: Watcher,
        metadata: MetadataPolicy,
        times: Times,
        make_restorer: Callable[[], Restorer],
        processors: int,
        *,
        reports: bool,
        keep: bool,
    ) -> None:
        readers, writers = min(READERS, processors), min(WRITERS, processors)
        self.width = readers + writers
        """Images that are enough to keep all threads busy."""
        self._readers = ThreadPoolExecutor(readers, "uformer-read")
        self._network = ThreadPoolExecutor(1, "uformer-network")
        self._writers = ThreadPoolExecutor(writers, "uformer-write")
        self._watcher, self._metadata, self._times = watcher, metadata, times
        self._reports, self._keep = reports, keep
        self._budget = Budget()
        self._stopped = threading.Event()
        self._made = self._network.submit(self._make, make_restorer)
        self.checked = self._network.submit(self._check)

    def put(self, number: int, job: FileJob) -> tuple[Outcome, Future[Future[None]]]:
        """Submit an image. Its future is the restoration, whose result is the future of the writing."""
        outcome = Outcome(job=job)
        reading = self._readers.submit(self._read, number, outcome)
        return outcome, self._network.submit(self._restore, outcome, reading)

    def stop(self) -> None:
        """Start nothing new, write the images that are restored, and wait for that."""
        self._stopped.set()
        child.end_all()  # a device that is being checked, or weights that are being exported
        self._budget.close()
        self._readers.shutdown(cancel_futures=True)
        self._network.shutdown(cancel_futures=True)
        self._writers.shutdown()

    def _warn(self, outcome: Outcome, message: str) -> None:
        """Record a warning about an image, and pass it to the watcher."""
        outcome.warnings.append(message)
        self._watcher.warned(outcome.job, message)

    def _make(self, make_restorer: Callable[[], Restorer]) -> Restorer:
        restorer = make_restorer()
        self._budget.resize(int(restorer.memory_budget * SHARE_FOR_WAITING))
        return restorer

    def _check(self) -> None:
        """Raise OptionError now for an error that would affect every image. Reading continues meanwhile."""
        restorer = self._made.result()
        _ = restorer.precision  # raises if the requested precision is not available
        restorer.tile_for(1, 1)

    def _read(self, number: int, outcome: Outcome) -> _Read:
        restorer = self._made.result()
        source, cost, whole, depth = outcome.job.source, 0, True, 8
        try:
            with self._working(outcome):
                head = any_header(source)
                outcome.width, outcome.height, depth = head.width, head.height, head.depth
                whole = not head.stack and not should_stream(head, restorer.memory_budget)
                if head.stack:
                    outcome.pages = head.frames
                    self._check_stack(outcome.job, restorer.options)
                elif self._keep and not whole:
                    check_room_to_keep(head, restorer.memory_budget)
                    whole = True
                cost = decoded_size(head) if whole or head.stack else 0
        finally:
            self._budget.take(number, cost)  # even if cost is 0: the next image waits for this one's turn
        with self._giving_back(cost), self._working(outcome):
            image = read(source, notify=functools.partial(self._warn, outcome)) if whole else None
            if image is not None:
                # Fail before the network runs for nothing. `write` gives the warnings later.
                check(image, by_suffix(outcome.job.output.suffix), self._metadata, notify=ignore)
            return _Read(image, cost, depth if image is None else image.depth)

    def _restore(self, outcome: Outcome, reading: Future[_Read]) -> Future[None]:
        restorer, source, job = self._made.result(), reading.result(), outcome.job
        with self._giving_back(source.cost), self._working(outcome):
            self._watcher.started(job)
            outcome.backend, outcome.precision = restorer.backend, restorer.precision
            if outcome.height and outcome.width:
                outcome.tile = restorer.tile_for(outcome.height, outcome.width)
            result = _Restored()
            if outcome.pages is not None:
                outcome.range = self._restore_stack(restorer, outcome, source.depth)
                return self._writers.submit(self._write, outcome, result, source.cost)
            if self._reports:
                result.recorder = Recorder(views=views_of(ensemble=restorer.options.ensemble))
                restorer = restorer.observed(result.recorder.add_spread)
            if isinstance(restorer, Auto):
                restorer = restorer.telling(functools.partial(setattr, outcome, "diagnosis"))
            if source.image is not None:
                used = self._restore_image(restorer, outcome, source.image, result)
            else:
                job.output.parent.mkdir(parents=True, exist_ok=True)
                used = restore_file(
                    restorer,
                    job.source,
                    job.output,
                    metadata=self._metadata,
                    progress=self._tile,
                    notify=functools.partial(self._warn, outcome),
                    recorder=result.recorder,
                )
            outcome.range = used.reported(source.depth)
            return self._writers.submit(self._write, outcome, result, source.cost)

    def _restore_image(
        self, restorer: Restorer, outcome: Outcome, image: Image, result: _Restored
    ) -> ValueRange:
        """Restore an image in memory, set `result`, and return the range of values that was restored."""
        notify = functools.partial(self._warn, outcome)
        if result.recorder is not None:
            result.recorder.begin(*image.pixels.shape)
        if self._keep:
            result.answer = restorer.infer(image, progress=self._tile, notify=notify)
            used, restored = result.answer.ranges[0], result.answer.blend()
        else:
            used = restorer.range_of_image(image, notify=notify)
            restored = restorer.restore_image(image, used=used, progress=self._tile, notify=notify)
        note_little_change(image.pixels, restored.pixels, used, restorer.options, notify)
        if result.recorder is not None:
            result.recorder.add_image(image, restored, used)
        result.image = restored
        return used

    def _check_stack(self, job: FileJob, options: RestoreOptions) -> None:
        """Raise PictureError if a stack cannot be restored, written, or have what is asked for beside it."""
        check_not_automatic(job.source, options)
        check_stack_output(job.source, job.output, self._metadata)
        if self._reports or self._keep:
            why = any_header(job.source).stack
            raise PictureError(
                f"{job.source}: {why}; --report and --keep-residual are for single photos only"
            )

    def _restore_stack(self, restorer: Restorer, outcome: Outcome, depth: int) -> Ranges:
        """Restore all pages of a stack, and return the ranges as an outcome has them."""
        outcome.job.output.parent.mkdir(parents=True, exist_ok=True)
        ranges = restore_stack(
            restorer,
            outcome.job.source,
            outcome.job.output,
            metadata=self._metadata,
            progress=self._tile,
            page_started=functools.partial(self._watcher.page, outcome.job),
            notify=functools.partial(self._warn, outcome),
        )
        return reported(ranges, depth)

    def _write(self, outcome: Outcome, result: _Restored, cost: int) -> None:
        output = outcome.job.output
        try:
            with self._working(outcome):
                if result.image is not None:
                    output.parent.mkdir(parents=True, exist_ok=True)
                    write(
                        result.image,
                        output,
                        metadata=self._metadata,
                        quality=self._made.result().options.quality,
                        notify=functools.partial(self._warn, outcome),
                    )
                if self._times == "keep":
                    keep_time(outcome.job.source, output)
                outcome.bytes = size_of(output)
                if result.recorder is not None:
                    report = result.recorder.report()
                    outcome.report = str(write_report(report, outcome.job.source, output))
                if result.answer is not None:
                    result.answer.save(residual_file(output), overwrite=True)
        finally:
            self._budget.give_back(cost)

    def _tile(self, done: int, total: int) -> None:
        if self._stopped.is_set():
            raise CancelledError
        self._watcher.tile(done, total)

    @contextmanager
    def _working(self, outcome: Outcome) -> Iterator[None]:
        """Add the time spent in the block to the image's."""
        began = time.perf_counter()
        try:
            yield
        finally:
            outcome.seconds += time.perf_counter() - began

    @contextmanager
    def _giving_back(self, cost: int) -> Iterator[None]:
        """Give the image's memory back if the block fails."""
        try:
            yield
        except BaseException:
            self._budget.give_back(cost)
            raise


def _error_of(future: Future[Any]) -> BaseException | None:
    """Wait for a future, and return what it raised."""
    while not future.done():
        wait([future], timeout=_POLL)
    return future.exception()
