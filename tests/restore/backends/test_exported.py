"""Weights are exported once for onnxruntime, and come from the cache afterwards."""

import dataclasses
import json
import sys
import threading
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from tests.networks import TINY
from tests.restore.backends.graphs import darker
from uformer.cli import main
from uformer.errors import ExportError, OptionError
from uformer.image.image import Pixels
from uformer.image.read import read
from uformer.layout import parameter_shapes
from uformer.restore.backends import cache, elsewhere
from uformer.restore.backends import exported as module
from uformer.restore.backends.base import Weights
from uformer.restore.backends.elsewhere import Run
from uformer.restore.backends.exported import SOURCES, with_exported
from uformer.restore.backends.golden import golden_tile
from uformer.weights import checkpoint

ROOT = Path(__file__).parents[3]
STATE = {key: np.zeros(shape, np.float32) for key, shape in parameter_shapes(TINY).items()}
WEIGHTS = Weights(TINY, STATE)
EXPORTER = """
import pathlib, sys, time
command, source, _, target, _, precision = sys.argv[1:]
size = pathlib.Path(source).stat().st_size
time.sleep(0.3)
pathlib.Path(target).write_text(f"{command} {size > 1000} {precision}")
"""


@pytest.fixture(autouse=True)
def _empty_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("UFORMER_CACHE", str(tmp_path / "cache"))


def exporter(monkeypatch: pytest.MonkeyPatch, folder: Path, program: str = EXPORTER) -> None:
    """Let a program take the place of `uformer`."""
    (folder / "stand_in_exporter.py").write_text(program)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(module, "PROGRAM", "stand_in_exporter")


def test_the_file_is_made_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    exporter(monkeypatch, tmp_path)
    notices: list[str] = []
    for _ in range(2):
        exported = with_exported(WEIGHTS, "auto", notices.append)
        assert exported.exported == b"export True fp32"
        assert (exported.config, exported.state) == (TINY, STATE)
    assert notices == ["exporting the weights to ONNX for onnxruntime; this takes about a minute, once"]
    assert [path.suffix for path in (tmp_path / "cache" / "exported").iterdir()] == [".exported"]
    assert with_exported(exported, "auto", notices.append) is exported
    file = Weights(TINY, {}, tmp_path / "a.onnx")
    assert with_exported(file, "auto", notices.append) is file
    assert len(notices) == 1


def test_whatever_changes_is_exported_again(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def export(_weights: Weights, precision: str, _notify: object) -> bytes:
        made.append(precision)
        return b"a graph"

    monkeypatch.setattr(module, "_export", export)

    def make(weights: Weights = WEIGHTS, precision: str = "fp32") -> int:
        with_exported(weights, precision, pytest.fail)
        return len(made)

    changed = {**STATE, "output_proj.conv.bias": np.ones(3, np.float32)}
    assert [make(), make(precision="fp16"), make(Weights(TINY, changed)), make()] == [1, 2, 3, 3]
    assert make(dataclasses.replace(WEIGHTS, config=dataclasses.replace(TINY, shift=False))) == 4
    monkeypatch.setattr(module, "__version__", "0.0.0")
    assert make() == 5
    monkeypatch.setattr(module.pkgutil, "get_data", lambda *_: b"changed")  # type: ignore[attr-defined]
    assert make() == 6


def test_the_code_that_the_file_depends_on_is_there() -> None:
    names = {path.name for path in (ROOT / "uformer/model").glob("[!_]*.py")}
    assert names == {name.removeprefix("model/") for name in SOURCES if name.startswith("model/")}
    assert all((ROOT / "uformer" / name).is_file() for name in SOURCES)


def test_without_a_usable_cache_the_file_is_made_each_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made: list[bytes] = []

    def export(*_: object) -> bytes:
        made.append(b"a graph")
        return made[-1]

    monkeypatch.setattr(module, "_export", export)
    (tmp_path / "cache").touch()  # a file in the place of the folder
    assert with_exported(WEIGHTS, "auto", pytest.fail).exported == b"a graph"
    monkeypatch.setattr(cache, "default_cache_dir", lambda: None)
    assert with_exported(WEIGHTS, "auto", pytest.fail).exported == b"a graph"
    assert len(made) == 2


def test_those_that_come_together_export_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    exporter(monkeypatch, tmp_path)
    monkeypatch.setattr(module, "_POLL", 0.02)
    notices: list[str] = []
    found: list[bytes | None] = []
    threads = [
        threading.Thread(target=lambda: found.append(with_exported(WEIGHTS, "fp16", notices.append).exported))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [b"export True fp16"] * 3
    assert len(notices) == 1


@pytest.mark.parametrize(
    ("program", "said"),
    [
        (
            "import sys; print('noise', file=sys.stderr); sys.exit('uformer: error: it differs by 0.1')",
            "it differs by 0.1",
        ),
        ("import os; os.kill(os.getpid(), 9)", r"the export crashed \(SIGKILL\)"),
        ("import os; os._exit(3)", "exit code 3"),
    ],
)
def test_an_export_that_fails_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, program: str, said: str
) -> None:
    exporter(monkeypatch, tmp_path, program)
    with pytest.raises(ExportError, match=f"^the weights cannot be exported for onnxruntime: {said}$"):
        with_exported(WEIGHTS, "auto", lambda _: None)
    assert list((tmp_path / "cache").rglob("*.exported")) == []


@pytest.mark.parametrize(
    ("installed", "packages"),
    [(["onnxruntime 1.23"], '"uformer[export]"'), (["onnxruntime-qnn 1.23"], "onnxscript")],
)
def test_without_a_package_the_line_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, installed: list[str], packages: str
) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    monkeypatch.setattr(module, "library_versions", lambda _: installed)
    with pytest.raises(OptionError) as missing:
        with_exported(WEIGHTS, "auto", pytest.fail)
    assert str(missing.value) == (
        f"onnxscript is not installed; it exports the weights for onnxruntime; run: pip install {packages}"
    )


def test_a_precision_that_onnxruntime_does_not_have() -> None:
    with pytest.raises(OptionError, match="^precision: onnxruntime runs fp32 or fp16, not 'bf16'$"):
        with_exported(WEIGHTS, "bf16", pytest.fail)


@pytest.mark.parametrize(("works", "quiet"), [(True, False), (False, False), (True, True)])
def test_a_device_of_onnxruntime_restores_with_weights_of_any_file(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    *,
    works: bool,
    quiet: bool,
) -> None:
    """The exported network halves its input, the one on the CPU returns it."""
    import onnxruntime as ort

    class Session(ort.InferenceSession):  # type: ignore[misc]
        """Stands in for CoreML, and uses the CPU."""

        def __init__(self, data: bytes, options: object, **_: object) -> None:
            super().__init__(data, options, providers=["CPUExecutionProvider"])

        def get_providers(self) -> list[str]:
            return ["CoreMLExecutionProvider", "CPUExecutionProvider"]

    tile = golden_tile(3)
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CoreMLExecutionProvider"])
    monkeypatch.setattr(ort, "InferenceSession", Session)
    monkeypatch.setattr(elsewhere, "restore_golden", lambda *_: Run(tile if works else -tile, "fp32", None))
    (tmp_path / "graph").write_bytes(darker().SerializeToString())
    copier = f"import shutil, sys; shutil.copy({str(tmp_path / 'graph')!r}, sys.argv[4])"
    exporter(monkeypatch, tmp_path, copier)
    PIL.Image.new("RGB", (20, 10), (100, 150, 200)).save(tmp_path / "a.png")
    checkpoint.write(tmp_path / "tiny.safetensors", TINY, STATE)
    command = ["restore", str(tmp_path / "a.png"), "--weights", str(tmp_path / "tiny.safetensors")]
    assert main([*command, "--device", "coreml", "--json", *(["--quiet"] if quiet else [])]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["backend"] == ("onnx" if works else "openvino")
    exporting = "uformer: exporting the weights to ONNX for onnxruntime;"
    assert printed.err.count(exporting) == (0 if quiet else 1)
    assert ("the device coreml failed its check" in printed.err) == (not works)
    color = PIL.Image.open(tmp_path / "a.restored.png").getpixel((0, 0))
    assert color == ((50, 75, 100) if works else (100, 150, 200))


@pytest.mark.slow  # exports a network that ships
@pytest.mark.timeout(900)
def test_shipped_weights_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo = tmp_path / "night.png"
    with PIL.Image.open(ROOT / "examples/night.png") as whole:
        # With its margin, it is one tile of 128 x 128 pixels for both backends.
        whole.crop((0, 0, 112, 112)).save(photo)

    def restored(backend: str) -> tuple[Pixels, str]:
        output = tmp_path / "restored.png"
        command = ["restore", str(photo), "-o", str(output), "--overwrite", "--task", "derain"]
        assert main([*command, "--device", "cpu", "--precision", "fp32", "--backend", backend]) == 0
        return read(output).pixels, capsys.readouterr().err

    (first, said), (second, silent), (wanted, _) = (
        restored(backend) for backend in ("onnx", "onnx", "openvino")
    )
    assert said.startswith("uformer: exporting the weights to ONNX for onnxruntime;")
    assert silent == ""
    assert np.array_equal(first, second)
    assert np.abs(first - wanted).max() <= 1.01 / 255
