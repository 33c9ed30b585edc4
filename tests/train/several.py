"""What each of two processes does for test_processes: a list of calls of `uformer` in a row, read from a file."""

import errno
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

from uformer.cli import main


def without_what_is_shown(replace: Callable[[object, str, object], object]) -> None:
    """Leave out, by `setattr` or one that takes it back, what takes longer than the steps of such runs: curves, the speed of the loader."""
    from uformer.train import loop, session

    replace(loop, "draw_curves", lambda *_: None)
    replace(session, "rate_of_one", lambda *_: 1.0)


def run(calls: list[list[str]]) -> list[int]:
    codes = []
    for words in calls:
        try:
            if any(word.endswith("/full") for word in words):
                _fill_disks()
            codes.append(main(words))
        except SystemExit as ended:
            codes.append(int(str(ended.code)))
    return codes


def _fill_disks() -> None:
    """From now on no state can be written."""
    import torch

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    torch.save = full  # type: ignore[assignment]


if __name__ == "__main__":
    without_what_is_shown(setattr)
    codes = run(json.loads(Path(sys.argv[1]).read_text()))
    print(f"codes {json.dumps(codes)}", flush=True)
