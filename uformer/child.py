"""Starts another Python process that finds the same modules, this package among them."""

import os
import sys


def command(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module in a Python process like this one."""
    return [sys.executable, "-P", "-m", module, *arguments]


def environment() -> dict[str, str]:
    """Return this process's environment, in which the other process finds the same modules."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
