"""The processors that this process can use."""

import math
import os
from collections.abc import Iterator
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
OWN_GROUP = Path("/proc/self/cgroup")


def available_processors() -> int:
    """Number of processors that this process can use at once.

    These are the ones that it may run on (its affinity), or fewer if a container limits its CPU time. At
    least 1.
    """
    if hasattr(os, "sched_getaffinity"):  # Linux
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    return max(1, min([count, *(math.floor(limit) for limit in _limits())]))


def thread_limit() -> int | None:
    """Number of threads for libraries that see all processors of the machine; None if all are available."""
    count = available_processors()
    return count if count < (os.cpu_count() or 1) else None


def _limits() -> Iterator[float]:
    """The CPU limits of this process's control groups, in processors."""
    for folder in _groups():
        try:
            quota, period = (folder / "cpu.max").read_text(encoding="ascii").split()
            yield int(quota) / int(period)
        except (OSError, ValueError):  # no such file, or "max"
            pass
    try:  # version 1
        quota, period = (
            (CGROUP / f"cpu/cpu.cfs_{name}_us").read_text(encoding="ascii") for name in ("quota", "period")
        )
        if int(quota) > 0:
            yield int(quota) / int(period)
    except (OSError, ValueError):
        pass


def _groups() -> Iterator[Path]:
    """The folders of the control groups (version 2) of this process, from the top down to its own."""
    yield CGROUP
    try:
        lines = OWN_GROUP.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return
    own = next((line.removeprefix("0::") for line in lines if line.startswith("0::")), "/")
    folder = CGROUP
    for part in Path(own).parts[1:]:
        folder /= part
        yield folder
