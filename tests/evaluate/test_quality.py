"""benchmarks/quality.py scores its folders by the protocols, and keeps the names of its figures."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import quality
from tests.evaluate.conftest import save_pairs, save_picture
from tests.networks import TINY, build
from uformer.weights import checkpoint


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["quality.py", *arguments])
    return quality.main()


@pytest.mark.usefixtures("identity")
def test_figures_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clean = save_picture(tmp_path / "cbsd68/a.png", seed=5).astype(np.float32) / np.float32(255)
    save_pairs(tmp_path / "sidd", {"a": (100, 110)})
    save_pairs(tmp_path / "rain100l", {"a": (100, 110)})
    assert run(monkeypatch, str(tmp_path), "--task", "denoise", "--json", str(tmp_path / "out.json")) == 0
    figures = json.loads((tmp_path / "out.json").read_text())
    assert list(figures) == ["CBSD68 sigma 15", "CBSD68 sigma 25", "CBSD68 sigma 50", "sidd"]
    noisy = clean + np.random.default_rng(0).standard_normal(clean.shape, dtype=np.float32) * np.float32(25 / 255)
    by_hand = -10 * np.log10(np.mean((np.rint(np.clip(noisy, 0, 1) * 255) / 255 - clean) ** 2))
    assert figures["CBSD68 sigma 25"] == {"input": round(float(by_hand), 2), "restored": round(float(by_hand), 2), "pictures": 1}
    assert figures["sidd"]["input"] == 28.13


@pytest.mark.usefixtures("identity")
def test_a_weights_file_is_measured_on_its_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint.save(tmp_path / "tiny.safetensors", build(TINY))
    weights = ("--weights", str(tmp_path / "tiny.safetensors"))
    save_pairs(tmp_path / "rain100l", {"a": (100, 110), "b": (1, 2)})
    (tmp_path / "rain100l/clean/b.png").unlink()
    assert run(monkeypatch, str(tmp_path), *weights, "--task", "derain") == 1
    out, err = capsys.readouterr()
    assert "rain100l           1 pictures:  30.07 ->  30.07 dB" in out  # Y is 102 and 110
    assert err.startswith("uformer: error: b: ")
    with pytest.raises(SystemExit, match="no folder cbsd68, sidd, nam in it"):
        run(monkeypatch, str(tmp_path), *weights)
