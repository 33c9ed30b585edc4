"""Reports a run: progress on standard error, JSON records on standard output, failures at the end."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from uformer.bars import LONGEST_LINE, Bars
from uformer.errors import PictureError
from uformer.files import one_line
from uformer.restore.diagnosis import Diagnosis
from uformer.restore.options import AUTO
from uformer.restore.pipeline import Outcome
from uformer.restore.unread import reason, summary
from uformer.restore.worklist import FileJob, WorkList
from uformer.words import counted

_SECONDS_BETWEEN_LINES = 30
_FIGURES = (
    *("seconds", "width", "height", "bytes", "tile"),
    *("backend", "precision", "range", "pages", "report"),
)
"""Fields of a JSON record that are null where nothing is known."""


class Announcer:
    """Reports the outcomes of the images of a work list. It is a Watcher of the pipeline.

    For one image (not `many`), it prints only the name of the output, on standard output, and raises a
    failure.
    """

    def __init__(
        self,
        work: WorkList,
        *,
        quiet: bool,
        records: bool,
        overwrite: bool,
        many: bool,
        tasks: Sequence[str] = (),
    ) -> None:
        self._work, self._quiet, self._records, self._overwrite, self._many = (
            work,
            quiet,
            records,
            overwrite,
            many,
        )
        self._tasks = [] if list(tasks) == [AUTO] else list(tasks)
        self._several = f" {', '.join(tasks)}" if len(tasks) > 1 else ""
        same_terminal = records and sys.stdout.isatty()
        self._bars = Bars(len(work.jobs), shown=not quiet and sys.stderr.isatty() and not same_terminal)
        self._restored = 0
        self._failures = [_with_name(source, why) for source, why in work.failures]

    def __enter__(self) -> Self:
        for job in self._work.done:
            self._record("skipped", job.source, job.output)
        for source, why in self._work.failures:
            self._record("failed", source, None, error=_with_name(source, why))
        for source in self._work.unread:
            self._record("left_out", source, None, error=_with_name(source, reason(source)))
        self._bars.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.__exit__(kind, error, trace)

    def started(self, job: FileJob) -> None:
        self._bars.started(job.source.name)

    def page(self, job: FileJob, number: int, count: int) -> None:
        text = f"{job.source.name}, page {number} of {count}"
        self._bars.renamed(text)
        if not self._quiet and number > 1:
            self._bars.remark(f"uformer: {text}", every=_SECONDS_BETWEEN_LINES)

    def tile(self, done: int, total: int) -> None:
        self._bars.tile(done, total)

    def warned(self, job: FileJob, message: str) -> None:
        if not self._quiet:
            self._bars.say(f"uformer: {_with_name(job.source, message)}")

    def finished(self, outcome: Outcome) -> None:
        job, found, restored = outcome.job, outcome.diagnosis, outcome.error is None
        if outcome.error is None:
            self._restored += 1
        else:
            self._failures.append(_with_name(job.source, outcome.error))
        self._record(
            "restored" if restored else "failed",
            job.source,
            job.output if restored else None,
            seconds=round(outcome.seconds, 3),
            width=outcome.width,
            height=outcome.height,
            bytes=outcome.bytes,
            tile=outcome.tile,
            backend=outcome.backend,
            precision=outcome.precision,
            range=outcome.range,
            pages=outcome.pages,
            report=outcome.report,
            **({} if found is None else {"tasks": _tasks_of(found), "why": found.why}),
            warnings=outcome.warnings,
            error=outcome.error,
        )
        self._bars.file_done()
        if outcome.report is not None and not self._many and not self._quiet:
            self._bars.say(f"uformer: report: {Path(outcome.report).with_suffix('.png')} and .json")
        used = [] if outcome.range is None or not restored else [range_used(outcome.range)]
        if self._many and not self._quiet and not self._bars.shown:
            chosen = [] if found is None else [f"{found.finding}: {found.why}"]
            end = f"({', '.join([f'{outcome.seconds:.1f} s', *used, *chosen])})" if restored else "failed"
            number = self._restored + len(self._failures) - len(self._work.failures)
            self._bars.say(f"[{number}/{len(self._work.jobs)}] {job.source}{self._several} {end}")
        elif not self._quiet:
            chosen = [f"task: {found}"] if found is not None and restored else []
            for message in (*used, *chosen):
                self._bars.say(f"uformer: {_with_name(job.source, message)}")

    def end(self) -> int:
        """Print the summary and return the exit code. Raises PictureError if the only image failed."""
        if not self._many:
            if self._failures:
                raise PictureError(self._failures[0])
            if not self._quiet and not self._records:
                print(self._work.jobs[0].output)
                if self._several:
                    self._bars.say(f"uformer: {self._work.jobs[0].source}: restored for{self._several}")
            return 0
        work = self._work
        parts = [
            f"{self._restored} of {counted(work.count, 'image')} restored"
            + (f" into {work.home}" if work.home else "")
        ]
        if work.done:
            parts.append(f"{len(work.done)} skipped as finished (--overwrite restores them again)")
        if work.left_out:
            parts.append(f"{counted(len(work.left_out), 'output')} of earlier runs left out")
        if self._failures:
            parts.append(f"{len(self._failures)} failed")
        if not self._quiet:
            self._bars.say("uformer: " + ", ".join(parts))
            if work.unread:
                self._bars.say(f"uformer: {summary(work.unread)}")
        self._list_failures()
        return 1 if self._failures else 0

    def interrupted(self) -> None:
        """Print the summary of an interrupted run, and how to resume it."""
        message = "uformer: interrupted"
        if self._many:
            done = self._restored + len(self._work.done)
            how = "without --overwrite " if self._overwrite else ""
            message += f"; {done} of {counted(self._work.count, 'image')} finished, all outputs complete;"
            message += f" run the same command {how}to resume"
        print(message, file=sys.stderr)
        self._list_failures()

    def _list_failures(self) -> None:
        for failure in self._failures:
            print(f"uformer: error: {failure}", file=sys.stderr)

    def _record(
        self,
        status: str,
        source: Path,
        output: Path | None,
        *,
        error: str | None = None,
        warnings: Sequence[str] = (),
        **figures: Any,
    ) -> None:
        """Print one JSON record.

        Bytes of a path that are not valid Unicode become escapes, which `os.fsencode` turns back into the
        bytes.
        """
        if self._records:
            known = dict.fromkeys(_FIGURES) | {"tasks": self._tasks or None, "why": None} | figures
            paths = {"input": str(source), "output": None if output is None else str(output)}
            print(
                json.dumps({**paths, "status": status, **known, "warnings": list(warnings), "error": error}),
                flush=True,
            )


def range_used(limits: tuple[float, float] | Sequence[tuple[float, float] | None]) -> str:
    """Return the words for the range of values, or for those of each channel, that the network saw."""
    if isinstance(limits, list):
        ranges = ("full" if each is None else f"{each[0]} to {each[1]}" for each in limits)
        return f"ranges of the channels: {', '.join(ranges)}"
    return f"range {limits[0]} to {limits[1]}"


def _tasks_of(found: Diagnosis) -> list[str]:
    return [] if found.finding == "nothing" else [found.finding]


def _with_name(source: Path, message: str) -> str:
    """Return the message with the name of its image in front, unless it contains the name."""
    name = one_line(source, LONGEST_LINE)
    return one_line(message if name in message else f"{name}: {message}", LONGEST_LINE)
