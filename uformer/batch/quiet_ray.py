"""Imports Ray with its usage statistics switched off, and keeps its messages off the terminal.

Importing this module raises OptionError if Ray is not installed.
"""

import contextlib
import os
import sys
from collections.abc import Iterator

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # read when Ray is imported
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")

from uformer.files import require

ray = require("ray", "batch")
for _part in ("ray.data", "ray.exceptions"):
    require(_part, "batch")

__all__ = ["only_ours", "ray"]


@contextlib.contextmanager
def only_ours() -> Iterator[None]:
    """Inside the block, standard error shows only what this process writes from Python.

    Messages of Ray's C++ code and of its processes are dropped.
    """
    before = sys.stderr
    before.flush()
    ours, sink = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    if _descriptor(before) == 2:
        sys.stderr = open(  # noqa: SIM115
            ours, "w", buffering=1, encoding=before.encoding, errors=before.errors, closefd=False
        )
    os.dup2(sink, 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        sys.stderr = before
        os.dup2(ours, 2)
        os.close(ours)
        os.close(sink)


def _descriptor(stream: object) -> int | None:
    try:
        return int(stream.fileno())  # type: ignore[attr-defined]
    except (AttributeError, OSError, ValueError):
        return None  # replaced by a test or a notebook
