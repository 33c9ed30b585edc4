"""Notices: one-line messages about an image, such as "PNG cannot hold IPTC; left out".

The image is still read, restored or written. A notice goes to the callable that the caller passes in.
Python's own warnings are global to the process, so a thread that collects them would also collect those of
other threads.
"""

import inspect
import sys
import warnings
from collections.abc import Callable

Notify = Callable[[str], None]
"""Takes one notice, in one line."""


def warn(message: str) -> None:
    """Issue a notice as a Python warning at the first caller outside this package; the default `notify`."""
    level, frame = 1, inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "uformer":
        level, frame = level + 1, frame.f_back
    warnings.warn(message, stacklevel=level)


def to_stderr(*, quiet: bool) -> Notify:
    """Return a function that prints a notice on standard error as a command does, or nothing if `quiet`."""
    return ignore if quiet else _print


def _print(message: str) -> None:
    print(f"uformer: {message}", file=sys.stderr, flush=True)


def ignore(_message: str) -> None:
    """Drop a notice."""
