import dataclasses
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.networks import TINY
from uformer.cli import main
from uformer.complexity import multiply_adds
from uformer.config import variant
from uformer.errors import CheckpointError, OptionError
from uformer.export.facts import metadata
from uformer.info import info
from uformer.layout import parameter_count, parameter_shapes
from uformer.values import parse_size
from uformer.weights import checkpoint, registry
from uformer.weights.provenance import Provenance


def printed(capsys: pytest.CaptureFixture[str], name: str, size: str = "256x256") -> list[list[str]]:
    """The words in each line."""
    info(name, size=size)
    text = capsys.readouterr().out
    assert "…" not in text  # nothing is cut off in 80 columns
    return [line.split() for line in text.splitlines()]


def row(lines: list[list[str]], *label: str, nth: int = 0) -> list[str]:
    """The text after a label at the start of a line."""
    return [line[len(label) :] for line in lines if tuple(line[: len(label)]) == label][nth]


@pytest.fixture
def tiny_file(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.safetensors"
    config = dataclasses.replace(TINY, skip="cross", cross_modulator=True)
    state = {key: np.zeros(shape, np.float16) for key, shape in parameter_shapes(config).items()}
    checkpoint.write(path, config, state, notes={"licence": "[red]any[/red]\x1b[2J"})
    return path


@pytest.fixture(autouse=True)
def width(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretend to be a terminal."""
    for name, value in {"FORCE_COLOR": "1", "TERM": "dumb", "COLUMNS": "80"}.items():
        monkeypatch.setenv(name, value)


def test_variant(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, "uformer_b")
    cost = multiply_adds(variant("uformer_b"), 256, 256)
    assert row(lines, "parameters") == ["50,880,946", "(50.88", "M)"]
    assert row(lines, "depths") == ["1", "2", "8", "8", "2", "8", "8", "2", "1"]
    assert row(lines, "modulator") == ["True"]
    assert ["256x256:", f"{cost.total:,}", "in", "total;", "in", "G:"] == row(
        lines, "multiply-adds", "for", "an", "image", "of"
    )
    for stage in cost.stages:
        found = row(lines, stage.name)
        assert found[:2] == [f"{stage.height}x{stage.width}", str(stage.channels)]
        assert found[-1] == f"{stage.cost.total / 1e9:,.3f}"
    assert row(lines, "total")[-1] == f"{cost.total / 1e9:,.3f}" == "86.574"


@pytest.mark.parametrize(
    ("name", "total", "stated"),
    [("uformer_t", "11.997", "12.0"), ("uformer_s", "43.858", "43.9"), ("uformer_b", "89.456", "89.5")],
)
def test_the_paper_s_figure(capsys: pytest.CaptureFixture[str], name: str, total: str, stated: str) -> None:
    lines = printed(capsys, name)
    after = lines[next(i for i, line in enumerate(lines) if line[:4] == ["as", "the", "paper", "counts"]) :]
    assert ["total", total] in after
    assert row(after, "stated", "for", name) == [stated]
    assert not any(line[:1] == ["stated"] for line in printed(capsys, name, "128x256"))


def test_networks_that_the_paper_lacks_have_no_such_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert not any(line[:3] == ["as", "the", "paper"] for line in printed(capsys, "uformer_16_cross"))


def test_json(capsys: pytest.CaptureFixture[str], tiny_file: Path) -> None:
    assert main(["info", "uformer_t", "--json", "--size", "256x256"]) == 0
    said = json.loads(capsys.readouterr().out)
    cost = multiply_adds(variant("uformer_t"), 256, 256)
    assert said["network"] == "uformer_t"
    assert said["parameters"] == parameter_count(variant("uformer_t"))
    assert said["config"]["embed_dim"] == 16
    assert said["image"] == {"height": 256, "width": 256}
    assert said["multiply_adds"]["total"] == cost.total
    assert said["multiply_adds"]["as_the_paper_counts"]["total"] == pytest.approx(12.0e9, rel=1e-3)
    assert [step["name"] for step in said["steps"]] == [stage.name for stage in cost.stages]
    assert sum(step["total"] for step in said["steps"]) == cost.total
    assert main(["info", str(tiny_file), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["sha256"] == hashlib.sha256(tiny_file.read_bytes()).hexdigest()
    assert "as_the_paper_counts" not in said["multiply_adds"]


def test_growth(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, "uformer_t", "256x512")
    assert row(lines, "windows", "of", "8x8")[0] == "256x512"
    assert row(lines, "windows", "of", "8x8")[2::2] == ["1.00", "1.00"]
    assert row(lines, "twice", "the", "height") == ["512x512", "6.107", "2.00", "45.074", "2.00"]
    assert row(lines, "twice", "height", "and", "width")[0::2] == ["512x1024", "4.00", "4.00"]
    assert row(lines, "windows", "of", "16x16")[0:3:2] == ["256x512", "4.00"]
    everything = multiply_adds(variant("uformer_t"), 256, 512, global_attention=True)
    assert row(lines, "global", "attention")[1] == f"{everything.cost.scores_values / 1e9:,.3f}"
    first, height, both = (
        float(row(lines, *label, nth=nth)[2].replace(",", ""))
        for label, nth in (
            (("global", "attention"), 0),
            (("twice", "the", "height"), 1),
            (("twice", "height", "and", "width"), 1),
        )
    )
    assert height / first == pytest.approx(4, rel=1e-4)
    assert both / first == pytest.approx(16, rel=1e-4)


def test_padding_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, "uformer_t", "1x200")
    assert row(lines, "multiply-adds", "for", "an", "image", "of")[0] == "128x256:"


def test_file(capsys: pytest.CaptureFixture[str], tiny_file: Path) -> None:
    lines = printed(capsys, str(tiny_file), "40x50")
    assert row(lines, "skip") == ["cross"]
    assert row(lines, "dtype") == ["F16"]
    assert row(lines, "licence") == ["[red]any[/red]", "[2J"]
    assert row(lines, "windows", "of", "4x4")[0] == "40x56"


def test_weights_that_ship(
    capsys: pytest.CaptureFixture[str], tiny_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = dataclasses.replace(next(iter(registry.WEIGHTS.values())), name="tiny.denoise")
    monkeypatch.setattr(registry.ShippedWeights, "verify", lambda _: tiny_file)
    monkeypatch.setattr(registry, "WEIGHTS", {"tiny.denoise": shipped})
    assert row(printed(capsys, "tiny.denoise"), "embed_dim") == ["4"]


def test_of_a_file_its_name_licence_and_sha256(
    capsys: pytest.CaptureFixture[str], tiny_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("FORCE_COLOR", "TERM"):
        monkeypatch.delenv(name)
    lines = printed(capsys, str(tiny_file))
    assert row(lines, "weights") == [str(tiny_file)]  # unwrapped in a pipe
    assert (row(lines, "name"), row(lines, "sha256")) == (
        ["tiny"],
        [hashlib.sha256(tiny_file.read_bytes()).hexdigest()],
    )
    shipped = registry.for_task("derain")
    lines = printed(capsys, shipped.name)
    assert (row(lines, "task"), row(lines, "licence"), row(lines, "sha256")) == (
        ["derain"],
        shipped.licence.split(),
        [shipped.sha256],
    )


def test_an_exported_file_says_what_it_carries(
    capsys: pytest.CaptureFixture[str], tiny_file: Path, tmp_path: Path
) -> None:
    helper = pytest.importorskip("onnx.helper")
    about = Provenance.of(tiny_file, licence="CC0")
    model = helper.make_model(helper.make_graph([], "none", [], []))
    helper.set_model_props(model, metadata(about, "fp16"))
    path = tmp_path / "t.onnx"
    path.write_bytes(model.SerializeToString())
    lines = printed(capsys, str(path))
    found = [row(lines, key) for key in ("name", "sha256", "licence", "precision", "embed_dim")]
    assert found == [
        ["tiny"],
        [about.sha256[:56]],
        ["CC0"],
        ["fp16"],
        [str(TINY.embed_dim)],
    ]  # wrapped at 80 columns
    assert row(lines, "input")[:3] == ["'image':", "float32", "(batch,"]
    assert main(["info", str(tmp_path / "none.onnx")]) == 2
    assert capsys.readouterr().err == f"uformer: error: {tmp_path / 'none.onnx'}: there is no such file\n"


@pytest.mark.parametrize(
    "size",
    [
        "",
        "256",
        "256x",
        "x256",
        "256x256x3",
        "0x256",
        "256x0",
        "-1x256",
        "2.5x3",
        "1000000x1",
        "256 x 256",
        "axb",
        "٢x٢",
        "1e3x1",
    ],
)
def test_bad_size(size: str) -> None:
    with pytest.raises(OptionError) as caught:
        info("uformer_t", size=size)
    assert str(caught.value) == f"--size {size!r}: must be HEIGHTxWIDTH in pixels, such as 256x256"


def test_size() -> None:
    assert parse_size("480x640", "--size") == (480, 640)
    assert parse_size("999999x1", "--size") == (999999, 1)


def test_unknown_name() -> None:
    with pytest.raises(
        OptionError,
        match=r"^unknown network or weights 'uformer_x'; give weights \(uformer_t\.denoise, .*uformer_t, ",
    ):
        info("uformer_x")


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no such file"):
        info(str(tmp_path / "none.safetensors"))


def test_needs_no_torch() -> None:
    code = "import sys; sys.modules['torch'] = None; from uformer.info import info; info('uformer_t')"
    subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, cwd=Path(__file__).parents[1]
    )
