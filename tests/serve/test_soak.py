"""The benchmark of the server's memory, for a few seconds with a small network."""

from pathlib import Path

import pytest

from benchmarks import soak
from tests.networks import TINY, build
from uformer.weights import checkpoint


def test_memory_stays_flat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    checkpoint.save(tmp_path / "tiny.safetensors", build(TINY))
    arguments = [
        "--requests",
        "150",
        "--first",
        "60",
        "--limit",
        "15",
        "--",
        "--weights",
        str(tmp_path / "tiny.safetensors"),
    ]
    status = soak.main(arguments)
    printed = capsys.readouterr().out
    assert status == 0, printed
    assert "200 " in printed
    assert "left " in printed


def test_a_leak_counts_and_a_single_peak_does_not() -> None:
    plateau = [220, 225, 228, 248, 252, 252, 252, 252, 252, 251, 268]
    assert soak.growth(plateau) < 15
    leak = [220 * (1 + 0.035 * reading) for reading in range(11)]  # 35% from the first reading to the last
    assert soak.growth(leak) > 15
