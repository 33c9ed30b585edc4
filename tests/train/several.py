"""What each of two processes runs for test_processes: a list of `uformer` calls, read from a file."""

import errno
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

from uformer.cli import main
from uformer.errors import TrainingError


def without_what_is_shown(replace: Callable[[object, str, object], object]) -> None:
    """Leave out what takes longer than the steps of such runs: the curves and the loader's throughput.

    Also allow bf16 on any CPU. `replace` is `setattr`, or a version of it that is undone after the test.
    """
    from uformer.train import devices, loop, report

    replace(loop, "draw_curves", lambda *_, **__: None)
    replace(report, "rate_of_one", lambda *_: 1.0)
    replace(devices, "fast_bf16", lambda: True)


def run(calls: list[list[str]]) -> list[int]:
    codes = []
    for words in calls:
        try:
            if any(word.endswith("/full_log") for word in words):
                _refuse_lines()
            if any(word.endswith("/full") for word in words):
                _fill_disks()
            codes.append(main(words))
        except SystemExit as ended:
            codes.append(int(str(ended.code)))
    return codes


def _refuse_lines() -> None:
    """Make the next log line fail."""
    from uformer.train.folder import RunFolder

    before = RunFolder.append_log

    def full(folder: RunFolder, _line: object) -> None:
        RunFolder.append_log = before  # type: ignore[method-assign]
        raise TrainingError(f"{folder.log}: the disk is full")

    RunFolder.append_log = full  # type: ignore[assignment, method-assign]


def _fill_disks() -> None:
    """Make every later save of a state fail."""
    import torch

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    torch.save = full  # type: ignore[assignment]


if __name__ == "__main__":
    without_what_is_shown(setattr)
    codes = run(json.loads(Path(sys.argv[1]).read_text()))
    # One write per line: print writes the newline by itself, and the lines of two processes could mix.
    os.write(1, f"codes {json.dumps(codes)}\n".encode())
