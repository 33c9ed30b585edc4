"""The text that Prometheus reads."""

from uformer.serve.prometheus import Metrics


def test_text() -> None:
    metrics = Metrics()
    metrics.count("uformer_pictures_total", outcome='a"b\\\n', weights="w")
    metrics.count("uformer_pixels_total", 50_000_001)
    metrics.count("uformer_pixels_total", 2)
    metrics.observe("uformer_restore_seconds", 0.3)
    metrics.observe("uformer_restore_seconds", 999)
    lines = metrics.render({"uformer_ready": True}).splitlines()
    assert 'uformer_pictures_total{outcome="a\\"b\\\\\\n",weights="w"} 1' in lines
    assert "uformer_pixels_total 50000003" in lines
    assert 'uformer_restore_seconds_bucket{le="0.25"} 0' in lines
    assert 'uformer_restore_seconds_bucket{le="0.5"} 1' in lines
    assert 'uformer_restore_seconds_bucket{le="+Inf"} 2' in lines
    assert "uformer_restore_seconds_count 2" in lines
    assert "uformer_restore_seconds_sum 999.300000" in lines
    assert "uformer_ready 1" in lines
    assert lines.count("# TYPE uformer_restore_seconds histogram") == 1
    assert any(line.startswith("process_resident_memory_bytes ") and int(line.split()[1]) > 1e6 for line in lines)


def test_mean() -> None:
    metrics = Metrics()
    assert metrics.mean("uformer_restore_seconds") is None
    for seconds in (1, 3):
        metrics.observe("uformer_restore_seconds", seconds)
    assert metrics.mean("uformer_restore_seconds") == 2
