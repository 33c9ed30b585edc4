"""Reports the progress and the end of a job, as counts: a job may have millions of images."""

import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from uformer.bars import LONGEST_LINE, Bars
from uformer.batch.records import Record
from uformer.files import one_line

_SECONDS = 10.0  # between two lines, if there is no terminal
_MOST_LISTED = 20  # failures; the file of the failures has all of them


class Tally:
    """Counts records and shows the counts on a progress bar, or in a line every ten seconds."""

    def __init__(self, count: int, *, quiet: bool) -> None:
        self._count, self._quiet = count, quiet
        self._bars = Bars(count, shown=not quiet and sys.stderr.isatty())
        self._began = time.monotonic()
        self.restored = self.found = self.failed = 0

    def __enter__(self) -> Self:
        self._bars.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.__exit__(kind, error, trace)

    def add(self, record: Record) -> None:
        if record.error is not None:
            self.failed += 1
        elif record.seconds is None:
            self.found += 1
        else:
            self.restored += 1
        self._bars.file_done()
        if not self._quiet:
            done, seconds = self.restored + self.found + self.failed, time.monotonic() - self._began
            rate = done / seconds if seconds else 0.0
            self._bars.remark(
                f"uformer: {done} of {self._count}, {rate:.2f} per second, {self.failed} failed",
                every=_SECONDS,
            )

    def say(self, line: str) -> None:
        if not self._quiet:
            self._bars.say(f"uformer: {line}")


def list_failures(failures: Sequence[tuple[str, str]], place: str) -> None:
    """Print the first failures, one per line, and the place of the full list."""
    for source, error in failures[:_MOST_LISTED]:
        line = error if source in error else f"{source}: {error}"
        print(f"uformer: error: {one_line(line, LONGEST_LINE)}", file=sys.stderr)
    if len(failures) > _MOST_LISTED:
        print(f"uformer: error: {len(failures) - _MOST_LISTED} more failures; see {place}", file=sys.stderr)
