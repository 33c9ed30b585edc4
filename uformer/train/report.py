"""What a run says while it goes: a progress bar or plain lines, its log, and TensorBoard where that is installed."""

import datetime
import importlib.util
import math
import sys
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Column

from uformer.train.folder import RunFolder


class Reporter:
    """Shows and logs figures; a silent one (of a process that is not the first) does neither."""

    def __init__(self, folder: RunFolder, *, total: int, quiet: bool = False, silent: bool = False) -> None:
        self.folder = folder
        self.silent = silent
        self.quiet = quiet or silent
        console = Console(stderr=True, highlight=False, markup=False, emoji=False)
        step = TextColumn("step {task.fields[step]}", table_column=Column(no_wrap=True, min_width=len(f"step {total}/{total}")))
        columns = (step, BarColumn(20), TextColumn("{task.description}", table_column=Column(no_wrap=True)))
        self.bar = Progress(*columns, console=console, disable=self.quiet or not console.is_terminal)
        self.task = self.bar.add_task("", total=1.0, step=f"0/{total}")
        self.total = total
        self.psnr: float | None = None
        self.board = self._board()

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.bar.stop()
        if self.board is not None:
            self.board.close()

    def say(self, line: str) -> None:
        """A line of text, above the bar."""
        if self.quiet:
            return
        if self.bar.disable:
            print(line, file=sys.stderr, flush=True)
        else:
            self.bar.console.print(line, soft_wrap=True)

    def advance(self, step: int, done: float) -> None:
        """Move the bar."""
        self.bar.update(self.task, completed=done, step=f"{step}/{self.total}")

    def figures(self, line: dict[str, Any], *, done: float, seconds_left: float) -> None:
        """Log the figures of a step, and show them."""
        if self.silent:
            return
        self.folder.append_log(line)
        self._to_board(line)
        if "psnr" in line:
            self.psnr = line["psnr"]
            if self.bar.disable:
                self.say(f"step {line['step']}/{self.total}  PSNR {self.psnr:.2f} dB")
        if "loss" not in line:
            return
        parts = [f"loss {line['loss']:.4f}"]
        if self.psnr is not None:
            parts.append(f"PSNR {self.psnr:.2f}")
        if math.isfinite(seconds_left):
            parts.append(f"ETA {datetime.timedelta(seconds=round(seconds_left))}")
        parts.append(f"{line['patches_per_s']:.4g} patches/s")
        if line["waited"] >= 0.005:
            parts.append(f"{line['waited']:.0%} waiting for the loader")
        text = "  ".join(parts)
        self.bar.update(self.task, description=text, completed=done, step=f"{line['step']}/{self.total}")
        if self.bar.disable:
            self.say(f"step {line['step']}/{self.total}  {text}")

    def _board(self) -> Any:
        if self.silent or importlib.util.find_spec("tensorboard") is None:
            return None
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 - only where it is installed

        return SummaryWriter(str(self.folder.path / "tensorboard"))

    def _to_board(self, line: dict[str, Any]) -> None:
        if self.board is not None:
            for key, value in line.items():
                if key != "step" and isinstance(value, int | float):
                    self.board.add_scalar(key, value, line["step"])
