"""Ray, imported so that it sends nothing anywhere, and what keeps its messages off the terminal.

Raises OptionError, when it is imported, where Ray is not installed.
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
    """Inside the block standard error has what Python writes there, and nothing of Ray's C++ parts and of its processes."""
    before = sys.stderr
    before.flush()
    ours, sink = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    if _descriptor(before) == 2:
        sys.stderr = open(
            ours, "w", buffering=1, encoding=before.encoding, errors=before.errors, closefd=False
        )  # noqa: SIM115
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
        return None  # a stand-in of a test, or of a notebook
