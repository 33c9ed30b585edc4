"""The text of the metrics, read with Prometheus's own parser."""

from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from uformer.serve.prometheus import BUCKETS, GAUGES, Metrics

Sample = tuple[str, tuple[tuple[str, str], ...]]


def samples(text: str) -> dict[Sample, float]:
    """Return every sample of a text by its name and labels."""
    families = text_string_to_metric_families(text)
    return {
        (each.name, tuple(sorted(each.labels.items()))): each.value
        for family in families
        for each in family.samples
    }


def test_text() -> None:
    metrics = Metrics()
    metrics.images.labels(outcome='a"b\\\n', weights="w").inc()
    metrics.pixels.inc(50_000_001)
    metrics.pixels.inc(2)
    metrics.restore_seconds.observe(0.3)
    metrics.restore_seconds.observe(999)
    text = metrics.render({"uformer_ready": True}).decode()
    found = samples(text)
    assert found["uformer_pictures_total", (("outcome", 'a"b\\\n'), ("weights", "w"))] == 1
    assert found["uformer_pixels_total", ()] == 50_000_003
    assert found["uformer_restore_seconds_bucket", (("le", "0.25"),)] == 0
    assert found["uformer_restore_seconds_bucket", (("le", "0.5"),)] == 1
    assert found["uformer_restore_seconds_bucket", (("le", "+Inf"),)] == 2
    assert found["uformer_restore_seconds_count", ()] == 2
    assert found["uformer_restore_seconds_sum", ()] == 999.3
    assert found["uformer_ready", ()] == 1
    assert found["process_resident_memory_bytes", ()] > 1e6
    assert text.count("# TYPE uformer_restore_seconds histogram\n") == 1


def test_no_metric_but_those_documented() -> None:
    metrics = Metrics()
    metrics.requests.labels(route="/", status="200").inc()
    metrics.images.labels(outcome="done", weights="w").inc()
    metrics.request_seconds.labels(route="/").observe(1)
    histograms = {
        f"uformer_{name}_seconds_{part}"
        for name in ("http_request", "restore", "blend")
        for part in ("bucket", "sum", "count")
    }
    counters = {"uformer_http_requests_total", "uformer_pictures_total", "uformer_pixels_total"}
    assert {name for name, _ in samples(metrics.render({}).decode())} == counters | histograms | set(GAUGES)


def test_buckets_are_those_of_dashboards() -> None:
    bounds = [
        label
        for (name, labels) in samples(Metrics().render({}).decode())
        for _, label in labels
        if "restore" in name
    ]
    assert [float(bound) for bound in bounds] == [*BUCKETS, float("inf")]


def test_two_servers_in_one_process_share_nothing() -> None:
    first, second = Metrics(), Metrics()
    first.pixels.inc(7)
    second.restore_seconds.observe(2)
    assert samples(second.render({}).decode())["uformer_pixels_total", ()] == 0
    assert first.mean_restore_seconds() is None
    assert not [metric for metric in REGISTRY.collect() if metric.name.startswith("uformer")]


def test_mean() -> None:
    metrics = Metrics()
    assert metrics.mean_restore_seconds() is None
    for seconds in (1, 3):
        metrics.restore_seconds.observe(seconds)
    assert metrics.mean_restore_seconds() == 2
