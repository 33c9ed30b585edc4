"""Report a run: introduction, progress bar or lines, log, and TensorBoard if it is installed."""

import datetime
import importlib.util
import math
import sys
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Column

from uformer.files import one_line
from uformer.layout import parameter_count
from uformer.train.advice import advice_before
from uformer.train.duration import spoken
from uformer.train.folder import RunFolder
from uformer.train.forecast import forecast
from uformer.train.learner import Learner
from uformer.train.loader import by_workers, choose_workers, rate_of_one
from uformer.train.outcome import KINDS, shown_score
from uformer.train.processes import Processes
from uformer.train.requirements import UNPUBLISHED, needs_line
from uformer.train.setup import Prepared, needs
from uformer.words import counted

_NO_BF16 = "precision bf16: this CPU has no bf16 instructions, and emulating them is slow; training in fp32"

_NAMED = 8
"""The most held-out images that are named."""


def introduction(
    prepared: Prepared,
    learner: Learner,
    folder: RunFolder,
    processes: Processes,
    baselines: Mapping[str, float],
) -> list[str]:
    """Return the lines that a run prints before it begins: images, network, device, time, loader throughput.

    `baselines`: the scores of the input and of the weights at the start, as `baseline_scores` returns them.
    """
    recipe, found, held = prepared.recipe, prepared.patches.pictures, prepared.held_out
    lines = [f"uformer: {note}" for note in prepared.notes]
    if recipe.precision == "bf16" and learner.precision == "fp32":
        lines.append(f"uformer: {_NO_BF16}")
    kinds = {"noisy": "noisy image", "noisy pairs": "noisy pair"}
    image = kinds.get(needs(recipe), "pair" if found.degraded is not None else "clean image")
    pixels = sum(height * width for height, width in found.sizes) / 1e6
    score = (
        f" (PSNR of the degraded images: {baselines['input_psnr']:.2f} dB)"
        if "input_psnr" in baselines
        else ""
    )
    lines.append(
        f"images: {counted(len(found), image)} to learn from ({pixels:,.1f} megapixels), "
        f"{len(held)} held out{score}"
    )
    if len(held):
        names = [one_line(name, 60) for name in held.pictures.names[:_NAMED]]
        more = f" and {len(held) - _NAMED} more, listed in config.yaml" if len(held) > _NAMED else ""
        lines.append(f"held out to score with: {', '.join(names)}{more}")
    parameters = f"{parameter_count(recipe.network) / 1e6:.2f} M parameters"
    where = f"{processes.count} x {learner.device.type}, {learner.precision}" + (
        ", sharded" if learner.sharded else ""
    )
    length = f"{recipe.steps:,} steps"
    if recipe.minutes:
        length = f"{spoken(60 * recipe.minutes)} (at most {length})"
    lines.append(
        f"{recipe.name}: {parameters}, {length}, batch {recipe.batch}, {where}; run folder {folder.path}"
    )
    workers = choose_workers(recipe, on_cpu=learner.device.type == "cpu", processes=processes.count)
    rate = rate_of_one(prepared.patches) * max(workers, 1) * processes.count
    lines.append(f"loader: up to about {rate:,.0f} patches/s, cut {by_workers(workers)}")
    lines += [
        f"weights at the start: {shown_score(kind, baselines[f'start_{kind}'])} on the held-out images"
        for kind in KINDS
        if f"start_{kind}" in baselines
    ]
    if learner.step:
        lines.append(f"resuming after step {learner.step}")
    elif "start_psnr" not in baselines:
        lines += advice_before(folder)
    if processes.count == 1:  # several processes would have to measure together
        lines.append(str(forecast(prepared, learner)))
    if recipe.name in UNPUBLISHED:
        lines.append(needs_line(recipe))
    return lines


class Reporter:
    """Shows and logs figures. A `silent` one, for every process but the first, does neither."""

    def __init__(
        self,
        folder: RunFolder,
        *,
        total: int,
        minutes: float = 0.0,
        quiet: bool = False,
        silent: bool = False,
    ) -> None:
        self.folder = folder
        self.minutes = minutes
        """The time limit of the run; 0 for none. With one, progress counts minutes instead of steps."""
        self.silent = silent
        self.quiet = quiet or silent
        console = Console(stderr=True, highlight=False, markup=False, emoji=False)
        self.total = total
        widest = len(self._at(total, minutes))
        step = TextColumn("{task.fields[step]}", table_column=Column(no_wrap=True, min_width=widest))
        columns = (step, BarColumn(20), TextColumn("{task.description}", table_column=Column(no_wrap=True)))
        self.bar = Progress(*columns, console=console, disable=self.quiet or not console.is_terminal)
        self.task = self.bar.add_task("", total=1.0, step=self._at(0, 0.0))
        self.input: float | None = None
        """PSNR of the images as they came, in dB."""
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

    def advance(self, step: int, done: float, minutes: float) -> None:
        """Move the bar."""
        self.bar.update(self.task, completed=done, step=self._at(step, minutes))

    def remember(self, step: int, baselines: Mapping[str, float], *, logged: bool) -> None:
        """Remember the scores that later ones are compared with, and log them unless they are `logged`."""
        self.input = baselines.get("input_psnr")
        if baselines and not logged:
            self.folder.append_log({"step": step, **baselines})

    def _at(self, step: int, minutes: float) -> str:
        """Return where the run is: its minute, if it has a time limit, or its step."""
        return f"minute {minutes:.1f}/{self.minutes:g}" if self.minutes else f"step {step}/{self.total}"

    def figures(self, line: dict[str, Any], *, done: float, seconds_left: float = math.inf) -> None:
        """Log the figures of a step and show them."""
        if self.silent:
            return
        self.folder.append_log(line)
        self._to_board(line)
        at = self._at(line["step"], line.get("minutes", 0.0))
        if "psnr" in line:
            self.score = f"PSNR {line['psnr']:.2f}"
            gain = "" if self.input is None else f" ({line['psnr'] - self.input:+.2f} dB from the input)"
            scored = f"{self.score} dB{gain}"
        elif "held_out_loss" in line:
            self.score = scored = f"held-out loss {line['held_out_loss']:.4g}"
        else:
            scored = ""
        if scored and self.bar.disable:
            self.say(f"{at}  {scored}")
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
        self.bar.update(self.task, description=text, completed=done, step=at)
        if self.bar.disable:
            self.say(f"{at}  {text}")

    def _board(self) -> Any:
        if self.silent or importlib.util.find_spec("tensorboard") is None:
            return None
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 - needs tensorboard

        return SummaryWriter(str(self.folder.board))

    def _to_board(self, line: dict[str, Any]) -> None:
        if self.board is not None:
            for key, value in line.items():
                if key != "step" and isinstance(value, int | float):
                    self.board.add_scalar(key, value, line["step"])
