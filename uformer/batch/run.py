"""Runs a job, from its inputs to its manifest."""

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from uformer.batch import places
from uformer.batch.identity import identity
from uformer.batch.manifest import Manifest
from uformer.batch.records import Item, Record
from uformer.batch.remaining import Remaining, find_remaining, shards
from uformer.batch.sources import Inputs, list_inputs
from uformer.batch.tally import Tally, list_failures
from uformer.batch.work import Task, Worker
from uformer.errors import OptionError, PictureError, UformerError
from uformer.files import one_line
from uformer.image.formats import can_write
from uformer.notices import Notify
from uformer.output import check_output_folder
from uformer.restore.chain import make_restorer
from uformer.restore.unread import summary
from uformer.restore.worklist import ignores_case
from uformer.signals import deferred, stops_like_ctrl_c
from uformer.words import counted

MANIFEST, FAILURES = "manifest.parquet", "failures.jsonl"

Engine = Callable[[Sequence[Item]], Iterator[Record]]
"""Restores items and yields records as they are made; on KeyboardInterrupt, also those it still holds."""


@dataclass(frozen=True, kw_only=True)
class BatchJob:
    """The arguments of a job."""

    source: str
    out: str
    task: Task = field(default_factory=Task)
    manifest: str | None = None
    failures: str | None = None
    overwrite: bool = False
    quiet: bool = False


def run(job: BatchJob, engine: Engine) -> int:
    """Run a job and return the exit code: 0 all restored, 1 some failed, 130 interrupted.

    Raises OptionError if the job is not possible, or differs from the job that its manifest records;
    PictureError if there is no image, or a place cannot be read or written.
    """
    out, manifest, failures_place = _checked_places(job)
    if places.is_local(out) and (Path(out).is_file() or can_write(Path(out).suffix)):
        raise OptionError(f"{job.out}: is a file or has the name of one; OUT must be a folder")
    written = (places.join(out, MANIFEST), manifest.place, failures_place)
    for folder in dict.fromkeys(Path(place).parent for place in written if places.is_local(place)):
        check_output_folder(folder)
    if places.is_local(job.source) and os.path.realpath(places.normal(job.source)) == os.path.realpath(out):
        raise OptionError(f"{job.out}: the outputs would replace the inputs; choose another folder")
    now = identity(job.task.options, job.task.metadata, mask=job.task.mask, redo=job.overwrite)
    with _said_in_one_line(job), contextlib.ExitStack() as stack:
        _check_failures(failures_place)
        inputs = list_inputs(job.source, without=out)
        if job.task.times == "keep":
            _check_times([out, *(source for source, _ in inputs.pairs)])
        stack.enter_context(manifest.held())
        todo = _remaining(inputs, out, manifest, now, overwrite=job.overwrite)
        named = {places.as_text(item.input) for item in todo.items} | {
            places.as_text(record.input) for record in todo.failures
        }
        if todo.items or todo.failures:
            manifest.start()
        tally = Tally(len(todo.items), quiet=job.quiet)
        began = time.monotonic()
        try:
            with stops_like_ctrl_c(), tally:
                for record in todo.failures:
                    manifest.add(record)
                for record in engine(todo.items) if todo.items else ():
                    with deferred():  # a record that is in the manifest counts
                        manifest.add(record)
                        tally.add(record)
        except KeyboardInterrupt:
            manifest.flush()
            done = todo.done + tally.restored + tally.found
            how = "without --overwrite " if job.overwrite else ""
            print(
                f"uformer: interrupted; {done} of {counted(todo.count, 'image')} finished, all outputs"
                f" complete; run the same command {how}to resume",
                file=sys.stderr,
            )
            return 130
        except UformerError:
            manifest.flush()
            manifest.withdraw()
            raise
        except BaseException:
            manifest.flush()
            raise
        failures = manifest.finish()
        _write_failures(failures_place, failures)
    # The manifest may also hold failures of images that no longer exist.
    failures = [(source, error) for source, error in failures if source in named]
    tally.say(_summary(todo, tally, time.monotonic() - began) + f" into {job.out}")
    if inputs.unread:
        tally.say(summary(inputs.unread))
    list_failures(failures, failures_place)
    return 1 if failures else 0


def _checked_places(job: BatchJob) -> tuple[str, Manifest, str]:
    """Return OUT, the manifest and the place of the failures.

    Raises OptionError if one of them is empty, if the manifest and the failures are the same place, or if IN
    is one of the two.
    """
    for name, value in (
        ("IN", job.source),
        ("OUT", job.out),
        ("--manifest", job.manifest),
        ("--failures", job.failures),
    ):
        if value is not None and not value.strip():
            raise OptionError(f"{name}: is empty (an unset variable?)")
    out = places.normal(job.out)
    manifest = places.normal(job.manifest) if job.manifest else places.join(out, MANIFEST)
    failures = places.normal(job.failures) if job.failures else places.join(out, FAILURES)
    if manifest == failures:
        raise OptionError(f"{manifest}: cannot be both the manifest and the list of failures")
    if places.normal(job.source) in (manifest, failures):
        raise OptionError(
            f"{job.source}: is a file that this job writes;"
            " choose another IN, or other places with --manifest and --failures"
        )
    return out, Manifest(manifest), failures


@contextlib.contextmanager
def _said_in_one_line(job: BatchJob) -> Iterator[None]:
    """Inside the block, turn an OSError into a PictureError that names the place."""
    try:
        yield
    except OSError as error:
        where = error.filename or (
            job.out if isinstance(error, PermissionError) else f"{job.source}, {job.out}"
        )
        raise PictureError(f"{where}: {error.strerror or one_line(error) or type(error).__name__}") from None


def _check_failures(place: str) -> None:
    """Raise OptionError if the job would replace a file that is not a list of failures."""
    try:
        first = places.read_bytes(place).partition(b"\n")[0]
        ours = not first or set(json.loads(first)) == {"input", "error"}
    except FileNotFoundError:
        return
    except (ValueError, TypeError):
        ours = False
    if not ours:
        raise OptionError(
            f"{place}: exists but is not a list of failures of this command;"
            " remove it, or choose another place with --failures"
        )


def _check_times(found: Sequence[str]) -> None:
    """Raise OptionError if a place has no modification times that can be read and set."""
    for place in found:
        if not places.is_local(place):
            raise OptionError(
                f"--times keep: {place} is not on a disk; times are kept from disk to disk only"
            )


def _remaining(
    inputs: Inputs, out: str, manifest: Manifest, now: dict[str, Any], *, overwrite: bool
) -> Remaining:
    redo = manifest.begin(now, overwrite=overwrite)
    fold = places.is_local(out) and ignores_case(Path(out))
    todo = find_remaining(
        inputs.pairs, out, there=places.files_below(out), recorded=manifest.done(), redo=redo, fold=fold
    )
    todo.failures += [Record(input=source, output=None, error=why) for source, why in inputs.failures]
    return todo


def _summary(todo: Remaining, tally: Tally, seconds: float) -> str:
    parts = [f"{tally.restored} of {counted(todo.count, 'image')} restored in {seconds:.1f} s"]
    if todo.done + tally.found:
        parts.append(f"{todo.done + tally.found} skipped as finished (--overwrite restores them again)")
    if tally.failed + len(todo.failures):
        parts.append(f"{tally.failed + len(todo.failures)} failed")
    return ", ".join(parts)


def _write_failures(place: str, failures: Sequence[tuple[str, str]]) -> None:
    """Write one line of JSON per failure; without failures, remove the file."""
    if not failures:
        places.remove(place)
        return
    lines = [json.dumps({"input": source, "error": error}, ensure_ascii=False) for source, error in failures]
    places.write_bytes(place, ("\n".join(lines) + "\n").encode("utf-8", errors="backslashreplace"))


def here(task: Task, notify: Notify) -> Engine:
    """Return the engine that works in this process. `notify`: see `Network`."""

    def engine(items: Sequence[Item]) -> Iterator[Record]:
        worker = Worker(make_restorer(task.options, notify=notify), task)
        for shard in shards(items, 1):
            records: list[Record] = []
            try:
                worker.work(shard, records.append)
            finally:
                yield from records

    return engine
