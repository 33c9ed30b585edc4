"""The server's metrics, in the text format of Prometheus."""

from collections.abc import Iterator, Mapping

import psutil
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, generate_latest
from prometheus_client.registry import Collector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)  # seconds
GAUGES = {
    "uformer_waiting": "Images in the queue.",
    "uformer_running": "Images in progress.",
    "uformer_upload_bytes": "Bytes of files that wait, run or are still being uploaded.",
    "uformer_kept_results": "Results of finished jobs that are kept.",
    "uformer_kept_bytes": "Bytes of results that are kept.",
    "uformer_held_answers": "Answers of the network that are held.",
    "uformer_held_bytes": "Bytes of answers that are held.",
    "uformer_ready": "Whether the server accepts images.",
    "process_resident_memory_bytes": "Resident memory in bytes.",
}


class Metrics(Collector):
    """The metrics of one server, separate from those of other servers in the process. Thread-safe."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = self._counter(
            "uformer_http_requests_total", "Responses by route and status.", "route", "status"
        )
        self.images = self._counter(
            "uformer_pictures_total", "Images by weights and outcome.", "weights", "outcome"
        )
        self.pixels = self._counter("uformer_pixels_total", "Pixels restored.")
        self.request_seconds = self._histogram(
            "uformer_http_request_seconds", "Seconds from a request to the end of its response.", "route"
        )
        self.restore_seconds = self._histogram(
            "uformer_restore_seconds", "Seconds to decode, restore and encode an image."
        )
        self.blend_seconds = self._histogram(
            "uformer_blend_seconds", "Seconds to apply controls to a held answer and encode the image."
        )
        self._gauges = {name: Gauge(name, words, registry=self._registry) for name, words in GAUGES.items()}

    def mean_restore_seconds(self) -> float | None:
        """Return the mean processing time of an image in seconds; None before the first."""
        found = {
            sample.name: sample.value
            for metric in self.restore_seconds.collect()
            for sample in metric.samples
        }
        count = found["uformer_restore_seconds_count"]
        return found["uformer_restore_seconds_sum"] / count if count else None

    def render(self, gauges: Mapping[str, float]) -> bytes:
        """Return the text of all metrics. `gauges` holds the current values of the gauges."""
        for name, value in {
            **gauges,
            "process_resident_memory_bytes": psutil.Process().memory_info().rss,
        }.items():
            self._gauges[name].set(value)
        return generate_latest(self)

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics without the creation times that the library adds to counters and histograms."""
        for metric in self._registry.collect():
            metric.samples = [sample for sample in metric.samples if not sample.name.endswith("_created")]
            yield metric

    def _counter(self, name: str, words: str, *labels: str) -> Counter:
        return Counter(name, words, labels, registry=self._registry)

    def _histogram(self, name: str, words: str, *labels: str) -> Histogram:
        return Histogram(name, words, labels, registry=self._registry, buckets=BUCKETS)
