"""The clocks that time a run, and durations in words."""

import time
from collections.abc import Callable, Mapping
from typing import Literal

Clock = Literal["wall", "cpu"]

CLOCKS: Mapping[Clock, Callable[[], float]] = {"wall": time.perf_counter, "cpu": time.process_time}
"""Functions that return seconds: elapsed time, or the processor time of all threads of this process."""

_UNITS = (("days", 86_400), ("hours", 3_600), ("minutes", 60))


def spoken(seconds: float) -> str:
    """Return a duration with two digits in a fitting unit: "34 days", "2.5 hours", "40 seconds"."""
    if seconds < 0.1:
        return "under a tenth of a second"
    unit, size = next(((unit, size) for unit, size in _UNITS if seconds >= 1.5 * size), ("seconds", 1))
    count = seconds / size
    return f"{count:,.0f} {unit}" if count >= 9.5 else f"{count:.1f} {unit}".replace(".0 ", " ")
