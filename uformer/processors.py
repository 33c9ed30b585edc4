"""The processors that this process can use, and what they compute fast."""

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CGROUP = Path("/sys/fs/cgroup")
OWN_GROUP = Path("/proc/self/cgroup")
CPUINFO = Path("/proc/cpuinfo")
"""Where Linux lists the maker and the instructions of the CPU."""
_BF16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}  # x86, x86, ARM


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


def limit_torch(torch: Any) -> None:
    """Keep `torch`, the module, to the available processors: it does not know the limit of a container.

    OMP_NUM_THREADS wins.
    """
    limit = thread_limit()
    if limit is not None and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(min(limit, torch.get_num_threads()))


def has_bf16(cpuinfo: Path = CPUINFO) -> bool:
    """Whether this CPU has bf16 instructions. True without /proc/cpuinfo (any system but Linux)."""
    words = _words(cpuinfo)
    return words is None or bool(words & _BF16_FLAGS)


def bf16_is_faster(cpuinfo: Path = CPUINFO) -> bool:
    """Whether this CPU computes networks faster in bf16 than in fp32. True without /proc/cpuinfo.

    Intel's AVX-512 BF16 without AMX, which virtual machines often show, is slower than fp32
    (benchmarks/README.md).
    """
    words = _words(cpuinfo)
    if words is None:
        return True
    fast = {"amx_bf16"} if "GenuineIntel" in words else _BF16_FLAGS
    return bool(words & fast)


def _words(cpuinfo: Path) -> set[str] | None:
    """Return the words of a cpuinfo file, or None if there is none."""
    try:
        return set(cpuinfo.read_text(encoding="utf-8", errors="replace").split())
    except OSError:
        return None


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
