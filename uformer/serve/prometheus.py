"""Counters in the text format of Prometheus (exposition format 0.0.4)."""

import threading
from collections import Counter, defaultdict
from collections.abc import Mapping

import psutil

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)  # seconds
HELP = {
    "uformer_http_requests_total": "Answers by route and status.",
    "uformer_pictures_total": "Pictures by weights and how they ended.",
    "uformer_pixels_total": "Pixels restored.",
    "uformer_http_request_seconds": "Seconds from a request to the end of its answer.",
    "uformer_restore_seconds": "Seconds of work on a picture: decoding, restoring, encoding.",
    "uformer_waiting": "Pictures that wait for their turn.",
    "uformer_running": "Pictures at work.",
    "uformer_upload_bytes": "Bytes of files that wait, run or are still being uploaded.",
    "uformer_kept_results": "Finished jobs whose result is kept.",
    "uformer_kept_bytes": "Bytes of kept results.",
    "uformer_ready": "Whether pictures are taken.",
    "process_resident_memory_bytes": "Resident memory.",
}

Labels = tuple[tuple[str, str], ...]


class Metrics:
    """What the server counts; every method may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counters: Counter[tuple[str, Labels]] = Counter()
        self._times: defaultdict[str, list[float]] = defaultdict(lambda: [0.0] * (len(BUCKETS) + 2))  # buckets, count, sum

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        with self._lock:
            self._counters[name, tuple(sorted(labels.items()))] += amount  # type: ignore[assignment] # whole or not

    def observe(self, name: str, seconds: float) -> None:
        with self._lock:
            times = self._times[name]
            for position, bound in enumerate(BUCKETS):
                times[position] += seconds <= bound
            times[-2] += 1
            times[-1] += seconds

    def mean(self, name: str) -> float | None:
        """Mean of what was observed, in seconds; None where nothing was."""
        with self._lock:
            times = self._times.get(name)
            return times[-1] / times[-2] if times else None

    def render(self, gauges: Mapping[str, float]) -> str:
        """All counters and histograms, and gauges as they are now."""
        lines: list[str] = []
        with self._lock:
            counters = sorted(self._counters.items())
            times = {name: list(values) for name, values in sorted(self._times.items())}
        for name in dict.fromkeys(name for (name, _), _ in counters):
            lines += _head(name, "counter")
            lines += [f"{name}{_braces(labels)} {value:.0f}" for (each, labels), value in counters if each == name]
        for name, values in times.items():
            lines += _head(name, "histogram")
            bounds = [*(f"{bound:g}" for bound in BUCKETS), "+Inf"]
            lines += [f'{name}_bucket{{le="{bound}"}} {value:g}' for bound, value in zip(bounds, values[: len(bounds)], strict=True)]
            lines += [f"{name}_sum {values[-1]:.6f}", f"{name}_count {values[-2]:g}"]
        resident = {"process_resident_memory_bytes": psutil.Process().memory_info().rss}
        for name, value in {**gauges, **resident}.items():
            lines += [*_head(name, "gauge"), f"{name} {value:.0f}"]
        return "\n".join(lines) + "\n"


def _head(name: str, kind: str) -> list[str]:
    return [f"# HELP {name} {HELP[name]}", f"# TYPE {name} {kind}"]


def _braces(labels: Labels) -> str:
    escaped = (f'{name}="{value}"' for name, value in ((name, _escape(value)) for name, value in labels))
    return "{" + ",".join(escaped) + "}" if labels else ""


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
