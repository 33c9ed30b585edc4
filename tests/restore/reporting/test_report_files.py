"""Reports beside outputs: in memory, row by row, in Python; nothing is replaced unless asked for."""

import json
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import tifffile

from tests.restore.test_chain import SMALL
from uformer.cli import main
from uformer.errors import OptionError
from uformer.image.image import Pixels
from uformer.notices import Notify
from uformer.restore import memory
from uformer.restore.backends.base import Weights
from uformer.restore.network import Network
from uformer.restore.options import NetworkOptions
from uformer.restore.reporting.change_report import ChangeReport
from uformer.restore.reporting.report_files import report_files
from uformer.restore.restorer import Restorer


class Leaning(Network):
    """Its answer depends on the direction: darker to the right."""

    def run(self, tiles: Pixels, notify: Notify) -> Pixels:
        slope = np.linspace(0.02, 0.1, tiles.shape[3], dtype=np.float32)
        return np.maximum(tiles - slope, 0)


@pytest.fixture(autouse=True)
def leaning(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(options: NetworkOptions, **_: object) -> Network:
        return Leaning(Weights(SMALL, {}), options)

    monkeypatch.setattr(Network, "load", load)


def save(path: Path, *, mode: str = "RGB") -> Path:
    levels = np.random.default_rng(0).integers(60, 256, (100, 80, 4), dtype=np.uint8)
    if mode == "16":
        tifffile.imwrite(path, levels[..., 0].astype(np.uint16) * 257)
    else:
        PIL.Image.fromarray(levels[..., : len(mode)] if mode != "L" else levels[..., 0]).save(path)
    return path


def run(*arguments: object) -> int:
    return main(["restore", *map(str, arguments), "--backend", "openvino", "--precision", "fp32"])


@pytest.mark.parametrize(
    ("mode", "name"), [("RGB", "a.png"), ("RGBA", "a.png"), ("L", "a.png"), ("16", "a.tif")]
)
def test_the_report_describes_both_files(tmp_path: Path, mode: str, name: str) -> None:
    source, output = save(tmp_path / name, mode=mode), tmp_path / f"out.{name[2:]}"
    assert run(source, "-o", output, "--report") == 0
    figures = json.loads(report_files(output)[0].read_text())
    read = tifffile.imread if mode == "16" else lambda path: np.asarray(PIL.Image.open(path))
    before, after = (read(path).reshape(100, 80, -1)[..., :3].astype(float) for path in (source, output))
    scale = 255 / (65535 if mode == "16" else 255)
    means = [(channel["mean"]["before"], channel["mean"]["after"]) for channel in figures["channels"]]
    expected = scale * np.stack([before.mean(axis=(0, 1)), after.mean(axis=(0, 1))], axis=1)
    np.testing.assert_allclose(means, expected, atol=1e-3)
    share = (np.abs(after - before).max(axis=2) * scale > 16).mean()
    assert figures["changed_by_more_than"]["16"] == pytest.approx(share, abs=1e-5)
    assert figures["trust"]["views"] == 4
    assert figures["trust"]["mean"] > 0.5
    assert PIL.Image.open(report_files(output)[1]).size > (300, 300)


def test_with_a_report_the_output_is_the_same_whole_or_row_by_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = save(tmp_path / "a.png")
    assert run(source, "-o", tmp_path / "plain.png", "--tile", 64) == 0
    assert run(source, "-o", tmp_path / "b.png", "--tile", 64, "--report") == 0
    monkeypatch.setattr(memory, "MOST_IN_MEMORY", 1000)
    assert run(source, "-o", tmp_path / "c.png", "--tile", 64, "--report") == 0
    assert len({(tmp_path / f"{name}.png").read_bytes() for name in ("plain", "b", "c")}) == 1
    whole, rows = (json.loads((tmp_path / f"{name}.png.report.json").read_text()) for name in "bc")
    assert whole | {"output": ""} == rows | {"output": ""}


def test_nothing_is_replaced_unless_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a", "b"):
        save(folder / f"{name}.png")
    kept = tmp_path / "out" / "a.png.report.json"
    kept.parent.mkdir()
    kept.write_text("mine")
    assert run(folder, "-o", tmp_path / "out", "--report") == 1
    assert "a.png.report.json exists; add --overwrite" in capsys.readouterr().err
    assert kept.read_text() == "mine"
    assert sorted(path.name for path in kept.parent.iterdir()) == [
        "a.png.report.json", "b.png", "b.png.report.json", "b.png.report.png",
    ]  # fmt: skip
    assert run(folder / "a.png", "-o", tmp_path / "out" / "a.png", "--report") == 2
    assert run(folder, "-o", tmp_path / "out", "--report", "--overwrite", "--json") == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [record["report"] for record in records] == [
        str(tmp_path / "out" / f"{name}.png.report.json") for name in "ab"
    ]
    assert run(tmp_path / "out", "-o", tmp_path / "again") == 0  # the images of reports are left out
    assert sorted(path.name for path in (tmp_path / "again").iterdir()) == ["a.png", "b.png"]


def test_standard_output_has_no_report(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("-", "--report") == 2
    assert "--report: is written beside an output file" in capsys.readouterr().err


def test_in_python() -> None:
    restorer = Restorer.from_pretrained(task="denoise", backend="openvino", tones="free")
    photo = np.random.default_rng(0).integers(60, 256, (40, 50, 3), dtype=np.uint8)
    restoration = restorer.infer(photo, trust=True)
    report, half = restoration.report(), restoration.report(strength=0.5)
    assert isinstance(report, ChangeReport)
    assert isinstance(half, ChangeReport)
    change = np.abs(restoration.blend().astype(int) - photo).max(axis=2)
    assert report.largest == pytest.approx(change.max(), abs=1e-3)
    assert half.largest < report.largest
    assert report.views == 4
    assert restorer.infer(photo).report().trust is None  # type: ignore[union-attr]
    with pytest.raises(OptionError, match="unknown control 'luna'"):
        restoration.report(luna=1)
