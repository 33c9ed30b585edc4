"""A worker: downloads images, restores them as `uformer restore` does, and uploads the outputs."""

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from uformer.batch import places
from uformer.batch.records import Item, Record
from uformer.errors import PictureError
from uformer.files import Times, one_line, sha256_of
from uformer.image.image import Pixels
from uformer.image.read import header
from uformer.image.write import MetadataPolicy
from uformer.restore import pipeline
from uformer.restore.options import RestoreOptions
from uformer.restore.pipeline import Outcome
from uformer.restore.restorer import Restorer
from uformer.restore.worklist import FileJob
from uformer.staging import staging

Take = Callable[[Record], None]
"""Called with the record of each image, in the thread that called `Worker.work`."""

_CARRIERS = 8  # threads for downloads and uploads; they mostly wait
_TRIES = 3
_PAUSE = 1.0  # seconds before the first retry of a transfer; doubled for each further one


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is done with every image of a job."""

    options: RestoreOptions = RestoreOptions()
    mask: Pixels | None = None
    """The values of a mask (see `mask_values`), which is stretched to each image."""
    metadata: MetadataPolicy = "keep"
    times: Times = "now"
    """keep: each output gets the modification time of its input; both must be on this machine."""


@dataclass
class Worker:
    """A loaded network, and what to do with it."""

    restorer: Restorer
    task: Task = Task()

    def __post_init__(self) -> None:
        if self.task.mask is not None:
            self.restorer = self.restorer.masked(self.task.mask)

    def work(self, items: Sequence[Item], take: Take) -> None:
        """Restore the images whose outputs do not exist, and record the outputs that do.

        A failure becomes a record and does not stop the others. Raises OptionError if the options cannot
        restore any image, and KeyboardInterrupt after all finished images have been passed to `take`.
        """
        for item in items:
            if item.there:
                take(_look(item))
        waiting = [item for item in items if not item.there]
        if waiting:
            with (
                staging(Path(tempfile.gettempdir())) as scratch,
                ThreadPoolExecutor(_CARRIERS, "uformer-carry") as carriers,
            ):
                carrier = _Carrier(waiting, scratch, carriers, take)
                pipeline.run(
                    carrier.jobs(),
                    lambda: self.restorer,
                    carrier,
                    metadata=self.task.metadata,
                    times=self.task.times,
                    threads=self.restorer.options.threads,
                )
                carrier.finish()


@dataclass
class _Trip:
    """One image in transit; `source` and `output` are paths on this machine."""

    item: Item
    source: Path
    output: Path
    fetched: "Future[str | None] | None" = None
    """The error of the download, or None, once it ends; None for a local file."""


@dataclass
class _Carrier:
    """Downloads inputs before the pipeline needs them, and uploads outputs; the pipeline's watcher."""

    items: Sequence[Item]
    scratch: Path
    threads: ThreadPoolExecutor
    take: Take
    _under_way: dict[Path, _Trip] = field(default_factory=dict)
    _bringing: list[Future[Record]] = field(default_factory=list)

    def jobs(self) -> Iterator[FileJob]:
        for trip in [self._plan(number, item) for number, item in enumerate(self.items)]:
            if trip.fetched is not None and (error := trip.fetched.result()) is not None:
                self.take(Record(input=trip.item.input, output=None, error=error))
                continue
            self._under_way[trip.source] = trip
            yield FileJob(trip.source, trip.output)

    def _plan(self, number: int, item: Item) -> _Trip:
        source, output = Path(item.input), Path(item.output)
        fetched = None
        if not places.is_local(item.input):
            source = self.scratch / f"{number}-in{PurePosixPath(item.input).suffix}"
            fetched = self.threads.submit(_carry, item.input, lambda: places.fetch(item.input, source))
        if not places.is_local(item.output):
            output = self.scratch / f"{number}-out{PurePosixPath(item.output).suffix}"
        return _Trip(item, source, output, fetched)

    def started(self, job: FileJob) -> None: ...
    def page(self, job: FileJob, number: int, count: int) -> None: ...

    def tile(self, done: int, total: int) -> None: ...
    def warned(self, job: FileJob, message: str) -> None: ...

    def finished(self, outcome: Outcome) -> None:
        trip = self._under_way.pop(outcome.job.source)
        self._bringing.append(self.threads.submit(self._bring, trip, outcome))
        while self._bringing and self._bringing[0].done():
            self.take(self._bringing.pop(0).result())

    def finish(self) -> None:
        for record in self._bringing:
            self.take(record.result())
        self._bringing.clear()

    def _bring(self, trip: _Trip, outcome: Outcome) -> Record:
        item = trip.item

        def named(message: str) -> str:
            return message.replace(str(trip.source), item.input).replace(str(trip.output), item.output)

        error = None if outcome.error is None else named(outcome.error)
        sha256 = None
        if error is None:
            try:
                sha256 = sha256_of(trip.output)
            except OSError as problem:
                error = f"{item.output}: {problem.strerror or problem}"
        if error is None and not places.is_local(item.output):
            error = _carry(item.output, lambda: places.put(trip.output, item.output))
        for path, place in ((trip.source, item.input), (trip.output, item.output)):
            if not places.is_local(place):
                path.unlink(missing_ok=True)
        return Record(
            input=item.input,
            output=item.output if error is None else None,
            seconds=round(outcome.seconds, 4),
            size=outcome.bytes if error is None else None,
            width=outcome.width,
            height=outcome.height,
            sha256=sha256 if error is None else None,
            warnings=named("; ".join(outcome.warnings)) or None,
            error=error,
        )


def _look(item: Item) -> Record:
    """Return the record of an output that exists."""
    try:
        with staging(Path(tempfile.gettempdir())) as scratch:
            path = Path(item.output)
            if not places.is_local(item.output):
                path = scratch / "output"
                places.fetch(item.output, path)
            head, size, sha256 = header(path), path.stat().st_size, sha256_of(path)
    except (OSError, PictureError) as error:
        reason = one_line(error).replace(str(path), item.output)
        why = f"{item.output}: exists but cannot be read ({reason}); restore it again with --overwrite"
        return Record(input=item.input, output=None, error=why)
    return Record(
        input=item.input, output=item.output, size=size, width=head.width, height=head.height, sha256=sha256
    )


def _carry(place: str, move: Callable[[], None]) -> str | None:
    """Transfer a file, with retries if they may help. Returns the error in one line, or None."""
    for number in range(_TRIES):
        try:
            move()
        except (FileNotFoundError, PermissionError, IsADirectoryError) as error:
            reason = "no such file" if isinstance(error, FileNotFoundError) else error
            return f"{place}: {error.strerror or reason}"
        except (OSError, RuntimeError) as error:
            if number == _TRIES - 1:
                return f"{place}: {one_line(error) or type(error).__name__} (tried {_TRIES} times)"
            time.sleep(_PAUSE * 2**number)
        else:
            return None
    return None
