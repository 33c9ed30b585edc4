"""What each of two processes runs for test_processes: a list of `uformer` calls, read from a file."""

import contextlib
import errno
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from uformer.cli import main
from uformer.errors import TrainingError


def without_what_is_shown(replace: Callable[[object, str, object], object]) -> None:
    """Leave out what takes longer than the steps of such runs: the curves and the loader's throughput.

    `replace` is `setattr`, or a version of it that is undone after the test.
    """
    from uformer.train import loop, report

    replace(loop, "draw_curves", lambda *_, **__: None)
    replace(report, "rate_of_one", lambda *_: 1.0)


def with_bf16(replace: Callable[[object, str, object], object]) -> None:
    """Allow bf16 on any CPU."""
    from uformer.train import devices

    replace(devices, "has_bf16", lambda: True)


def run(calls: list[list[str]]) -> None:
    """Run the calls, and print the exit code of each on a line."""
    for words in calls:
        out = Path(words[words.index("--out") + 1]).name
        try:
            if out == "full_log":
                _refuse_lines()
            if out == "lost" and os.environ["RANK"] == "1":
                _kill_at_step(7)
            with _full_disk() if out == "full" else contextlib.nullcontext():
                code = main(words)
        except SystemExit as ended:
            code = int(str(ended.code))
        print("code", code, flush=True)


def _refuse_lines() -> None:
    """Make the next log line fail."""
    from uformer.train.folder import RunFolder

    before = RunFolder.append_log

    def full(folder: RunFolder, _line: object) -> None:
        RunFolder.append_log = before  # type: ignore[method-assign]
        raise TrainingError(f"{folder.log}: the disk is full")

    RunFolder.append_log = full  # type: ignore[assignment, method-assign]


@contextlib.contextmanager
def _full_disk() -> Iterator[None]:
    """Make every save of a state fail."""
    import torch

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    save, torch.save = torch.save, full  # type: ignore[assignment]
    try:
        yield
    finally:
        torch.save = save


def _kill_at_step(step: int) -> None:
    """Make this process kill itself after that many steps."""
    from uformer.signals import Interrupt
    from uformer.train.processes import Processes

    asked, seen = Processes.asked_to_stop, 0

    def count(processes: Processes, interrupt: Interrupt) -> bool:
        nonlocal seen
        seen += 1
        if seen == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return asked(processes, interrupt)

    Processes.asked_to_stop = count  # type: ignore[assignment, method-assign]


if __name__ == "__main__":
    without_what_is_shown(setattr)
    with_bf16(setattr)
    run(json.loads(Path(sys.argv[1]).read_text()))
