"""Report a run: introduction, progress bar or lines, log, and TensorBoard if it is installed."""

import datetime
import importlib.util
import math
import sys
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Column

from uformer.layout import parameter_count
from uformer.train.folder import RunFolder
from uformer.train.learner import Learner
from uformer.train.loader import by_workers, choose_workers, rate_of_one
from uformer.train.processes import Processes
from uformer.train.setup import Prepared, needs
from uformer.train.validate import input_score
from uformer.words import counted

_NO_BF16 = "precision bf16: this CPU has no bf16 instructions, and emulating them is slow; training in fp32"


def introduction(prepared: Prepared, learner: Learner, folder: RunFolder, processes: Processes) -> list[str]:
    """Return the lines that a run prints before it begins: images, network, device, loader throughput."""
    recipe, found, held = prepared.recipe, prepared.patches.pictures, prepared.held_out
    lines = [f"uformer: {note}" for note in prepared.notes]
    if recipe.precision == "bf16" and learner.precision == "fp32":
        lines.append(f"uformer: {_NO_BF16}")
    kinds = {"noisy": "noisy image", "noisy pairs": "noisy pair"}
    kind = kinds.get(needs(recipe), "pair" if found.degraded is not None else "clean image")
    pixels = sum(height * width for height, width in found.sizes) / 1e6
    score = (
        f" (PSNR of the degraded images: {input_score(held, range(len(held))) / len(held):.2f} dB)"
        if len(held) and held.truth
        else ""
    )
    lines.append(
        f"images: {counted(len(found), kind)} to learn from ({pixels:,.1f} megapixels), "
        f"{len(held)} held out{score}"
    )
    parameters = f"{parameter_count(recipe.network) / 1e6:.2f} M parameters"
    where = f"{processes.count} x {learner.device.type}, {learner.precision}" + (
        ", sharded" if learner.sharded else ""
    )
    lines.append(
        f"{recipe.name}: {parameters}, {recipe.steps:,} steps, batch {recipe.batch}, {where}; "
        f"run folder {folder.path}"
    )
    workers = choose_workers(recipe, on_cpu=learner.device.type == "cpu", processes=processes.count)
    rate = rate_of_one(prepared.patches) * max(workers, 1) * processes.count
    lines.append(f"loader: up to about {rate:,.0f} patches/s, cut {by_workers(workers)}")
    if learner.step:
        lines.append(f"resuming after step {learner.step}")
    return lines


class Reporter:
    """Shows and logs figures. A `silent` one, for every process but the first, does neither."""

    def __init__(self, folder: RunFolder, *, total: int, quiet: bool = False, silent: bool = False) -> None:
        self.folder = folder
        self.silent = silent
        self.quiet = quiet or silent
        console = Console(stderr=True, highlight=False, markup=False, emoji=False)
        step = TextColumn(
            "step {task.fields[step]}",
            table_column=Column(no_wrap=True, min_width=len(f"step {total}/{total}")),
        )
        columns = (step, BarColumn(20), TextColumn("{task.description}", table_column=Column(no_wrap=True)))
        self.bar = Progress(*columns, console=console, disable=self.quiet or not console.is_terminal)
        self.task = self.bar.add_task("", total=1.0, step=f"0/{total}")
        self.total = total
        self.score = ""
        """The last score, as shown."""
        self.board = self._board()

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()
        if self.board is not None:
            self.board.close()

    def say(self, line: str) -> None:
        """Print a line, above the bar if there is one."""
        if self.quiet:
            return
        if self.bar.disable:
            print(line, file=sys.stderr, flush=True)
        else:
            self.bar.console.print(line, soft_wrap=True)

    def advance(self, step: int, done: float) -> None:
        """Move the bar."""
        self.bar.update(self.task, completed=done, step=f"{step}/{self.total}")

    def figures(self, line: dict[str, Any], *, done: float, seconds_left: float = math.inf) -> None:
        """Log the figures of a step and show them."""
        if self.silent:
            return
        self.folder.append_log(line)
        self._to_board(line)
        if "psnr" in line or "held_out_loss" in line:
            self.score = (
                f"PSNR {line['psnr']:.2f}" if "psnr" in line else f"held-out loss {line['held_out_loss']:.4g}"
            )
            if self.bar.disable:
                self.say(f"step {line['step']}/{self.total}  {self.score}{' dB' if 'psnr' in line else ''}")
        if "loss" not in line:
            return
        parts = [f"loss {line['loss']:.4f}"]
        if self.score:
            parts.append(self.score)
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
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 - needs tensorboard

        return SummaryWriter(str(self.folder.path / "tensorboard"))

    def _to_board(self, line: dict[str, Any]) -> None:
        if self.board is not None:
            for key, value in line.items():
                if key != "step" and isinstance(value, int | float):
                    self.board.add_scalar(key, value, line["step"])
