"""The memory that this process can use."""

from pathlib import Path

import psutil

CGROUP = Path("/sys/fs/cgroup")


def _reclaimable() -> int:
    """Bytes that a container counts as used but that only cache files (inactive_file)."""
    for line in (CGROUP / "memory.stat").read_text().splitlines():
        name, _, value = line.partition(" ")
        if name == "inactive_file":
            return int(value)
    return 0


def available_memory() -> int:
    """Bytes that this process can still allocate: the system's free memory, within a container's limit."""
    free = int(psutil.virtual_memory().available)
    try:
        limit = (CGROUP / "memory.max").read_text().strip()
        used = int((CGROUP / "memory.current").read_text()) - _reclaimable()
        return free if limit == "max" else min(free, max(int(limit) - used, 0))
    except (OSError, ValueError):
        return free
