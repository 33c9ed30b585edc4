"""The C library's allocator, set for training on a CPU."""

import ctypes
import os
import sys

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # glibc's malloc.h


def keep_freed_memory() -> bool:
    """Let glibc keep freed memory for the next step, and return whether it does.

    By default it gives large blocks back to the system and clears new ones at every step, which takes 5 to 10% of the time
    of training on a CPU. Does nothing with another C library, or where the environment sets the allocator (MALLOC_...).
    """
    if not sys.platform.startswith("linux") or any(name.startswith("MALLOC_") for name in os.environ):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(_M_MMAP_MAX, 0)) and bool(mallopt(_M_TRIM_THRESHOLD, 2**31 - 1))
