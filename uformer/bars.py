"""Progress of a run over many images: bars on a terminal, an occasional line elsewhere."""

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from uformer.files import one_line

if TYPE_CHECKING:
    from rich.progress import Progress

_WIDEST_NAME = 40  # characters beside a bar
_ETA_OVER = 600  # the remaining time is estimated from this many past seconds
LONGEST_LINE = 4096
"""Maximum number of characters of a line on standard error."""


class Bars:
    """Bars on standard error: one for the files, if there are several, and one for the `tiles` of a file.

    If the bars are not `shown`, only the lines of `say` and `remark` appear.
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
        """Restart the tile bar for an image."""
        if self._progress is not None:
            self._progress.reset(self._tiles, description=one_line(name, _WIDEST_NAME), total=None)

    def renamed(self, name: str) -> None:
        """Change the name beside the tile bar."""
        if self._progress is not None:
            self._progress.update(self._tiles, description=one_line(name, _WIDEST_NAME))

    def tile(self, done: int, total: int) -> None:
        if self._progress is not None:
            self._progress.update(self._tiles, completed=done, total=total)

    def file_done(self) -> None:
        if self._progress is not None:
            self._progress.advance(self._files)

    def remark(self, line: str, *, every: float) -> None:
        """Print a line if no bars are shown, at most once in `every` seconds; drop it otherwise."""
        now = time.monotonic()
        if not self.shown and now - self._said >= every:
            self._said = now
            self.say(line)

    def say(self, line: str) -> None:
        """Print a line on standard error, above the bars."""
        if self._progress is not None:
            self._progress.console.print(one_line(line, LONGEST_LINE), soft_wrap=True)
        else:
            print(one_line(line, LONGEST_LINE), file=sys.stderr, flush=True)


def _make_progress() -> "Progress":
    from rich.console import Console  # noqa: PLC0415 - loaded only to show bars
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
