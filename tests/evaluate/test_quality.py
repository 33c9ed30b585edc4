"""benchmarks/quality.py scores its folders with the protocols and keeps the names of its figures."""

import json
import math
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
    clean = save_picture(tmp_path / "cbsd68/a.png", level=128).astype(np.float32) / np.float32(255)
    save_pairs(tmp_path / "sidd", {"a": (100, 110)})
    save_pairs(tmp_path / "rain100l", {"a": (100, 110)})
    assert run(monkeypatch, str(tmp_path), "--task", "denoise", "--json", str(tmp_path / "out.json")) == 0
    figures = json.loads((tmp_path / "out.json").read_text())
    kinds = ("CBSD68", "CBSD68* not clipped,", "CBSD68* gray, not clipped,")
    assert list(figures) == [
        *(f"{kind} sigma {sigma}" for kind in kinds for sigma in (15, 25, 50)),
        *(
            f"CBSD68* {kind}"
            for kind in ("same noise in all channels, sigma 25", "chroma noise only, sigma 25", "clean in")
        ),
        "text, clean in",
        "sidd",
    ]
    noisy = clean + np.random.default_rng(0).standard_normal(clean.shape, dtype=np.float32) * np.float32(
        25 / 255
    )
    error = np.rint(np.clip(noisy, 0, 1) * 255) / 255 - clean
    by_hand, bias = -10 * np.log10(np.mean(error**2)), round(abs(float(np.mean(error))) * 255, 2)
    assert figures["CBSD68 sigma 25"] == {
        "input": round(float(by_hand), 2),
        "restored": round(float(by_hand), 2),
        "bias": bias,
        "pictures": 1,
        "worst_gain": 0,
    }
    assert figures["sidd"]["input"] == 28.13
    assert figures["sidd"]["bias"] == 10
    for kind in ("not clipped,", "gray, not clipped,"):
        assert figures[f"CBSD68* {kind} sigma 15"]["input"] == pytest.approx(20 * np.log10(255 / 15), abs=0.3)
    assert figures["CBSD68* same noise in all channels, sigma 25"]["input"] == pytest.approx(
        20 * np.log10(255 / 25), abs=0.3
    )
    assert figures["CBSD68* clean in"]["restored"] == math.inf


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
    row = next(line for line in out.splitlines() if line.startswith("rain100l, on Y "))
    assert "  1 images:  30.07 ->  30.07 dB (+0.00, worst +0.00), bias 10.00" in row  # Y is 102 and 110
    assert err.startswith("uformer: error: b: ")
    with pytest.raises(SystemExit, match="none of the folders cbsd68, sidd, nam"):
        run(monkeypatch, str(tmp_path), *weights)


def test_drawings_are_as_described() -> None:
    bars, text = ([draw(index) for index in range(8)] for draw in (quality.draw_bars, quality.draw_text))
    for drawing in (*bars, *text):
        assert drawing.shape == (256, 256, 3)
        assert np.array_equal(np.rint(drawing * 255).astype(np.float32) / np.float32(255), drawing)
        assert drawing.std() > 0.03
    chroma = quality.chroma_only(np.full((64, 64, 3), 0.5, np.float32), 0) - 0.5
    assert chroma.std() * 255 > 15
    assert np.abs(chroma @ quality.LUMA).max() * 255 < 1.5
