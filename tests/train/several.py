"""What each of two processes does for test_processes: a list of calls of `uformer` in a row, read from a file."""

import json
import sys
from pathlib import Path

from uformer.cli import main


def run(calls: list[list[str]]) -> list[int]:
    codes = []
    for words in calls:
        try:
            codes.append(main(words))
        except SystemExit as ended:
            codes.append(int(str(ended.code)))
    return codes


if __name__ == "__main__":
    codes = run(json.loads(Path(sys.argv[1]).read_text()))
    print(json.dumps(codes))
