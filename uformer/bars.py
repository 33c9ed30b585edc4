"""How far a run over many images is: bars on a terminal, a line now and then elsewhere."""

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from uformer.files import one_line

if TYPE_CHECKING:
    from rich.progress import Progress

_WIDEST_NAME = 40  # letters beside a bar
_ETA_OVER = 600  # seconds of the past that tell how long the rest will take
LONGEST_LINE = 4096
"""Letters of a line on standard error."""


class Bars:
    """Bars on standard error: one of the files where there are several, and one of the present file's tiles, if it has `tiles`.

    Where the bars are not `shown`, only what is said appears.
    """

    def __init__(self, files: int, *, shown: bool, title: str = "all", tiles: bool = True) -> None:
        self._said = time.monotonic()
        self._progress = _make_progress() if shown else None
        if self._progress is not None:
            self._files = self._progress.add_task(title, total=files, unit="files", visible=files > 1)
            self._tiles = self._progress.add_task("", total=None, unit="tiles", visible=tiles)

    def __enter__(self) -> Self:
        if self._progress is not None:
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.stop()

    @property
    def shown(self) -> bool:
        return self._progress is not None

    def started(self, name: str) -> None:
        """A picture's tiles begin."""
        if self._progress is not None:
            self._progress.reset(self._tiles, description=one_line(name, _WIDEST_NAME), total=None)

    def tile(self, done: int, total: int) -> None:
        if self._progress is not None:
            self._progress.update(self._tiles, completed=done, total=total)

    def file_done(self) -> None:
        if self._progress is not None:
            self._progress.advance(self._files)

    def remark(self, line: str, *, every: float) -> None:
        """A line where no bars are shown; one in `every` seconds, the others are dropped."""
        now = time.monotonic()
        if not self.shown and now - self._said >= every:
            self._said = now
            self.say(line)

    def say(self, line: str) -> None:
        """A line on standard error, above the bars."""
        if self._progress is not None:
            self._progress.console.print(one_line(line, LONGEST_LINE), soft_wrap=True)
        else:
            print(one_line(line, LONGEST_LINE), file=sys.stderr, flush=True)


def _make_progress() -> "Progress":
    from rich.console import Console  # noqa: PLC0415 - where no bars are shown, rich need not be loaded
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[unit]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True, markup=False, highlight=False, emoji=False),
        transient=True,
        speed_estimate_period=_ETA_OVER,
        redirect_stdout=False,
    )
