"""How much memory there is to work in."""

from pathlib import Path

import psutil


def available_memory() -> int:
    """Bytes that this process can still take: what the system has free, and what a container's limit leaves."""
    free = int(psutil.virtual_memory().available)
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
        used = int(Path("/sys/fs/cgroup/memory.current").read_text())
    except (OSError, ValueError):
        return free
    return free if limit == "max" else min(free, max(int(limit) - used, 0))
