"""What each of two processes does for test_processes: a list of calls of `uformer` in a row, read from a file."""

import json
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
            codes.append(main(words))
        except SystemExit as ended:
            codes.append(int(str(ended.code)))
    return codes


if __name__ == "__main__":
    without_what_is_shown(setattr)
    codes = run(json.loads(Path(sys.argv[1]).read_text()))
    print(json.dumps(codes))
