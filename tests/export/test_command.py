"""The command `uformer export`."""

import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx as onnx_package
import PIL.Image
import pytest
import torch

from tests.export.conftest import exported, needs_nncf, reused_graph
from uformer.cli import main
from uformer.errors import CheckpointError
from uformer.export import command, onnx_model
from uformer.model.uformer import Uformer
from uformer.restore.restorer import Restorer


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert main(["export", *map(str, arguments)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    return printed.err.removeprefix("uformer: error: ").strip()


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_it_prints_the_differences_and_the_next_step(onnx_file: tuple[Path, str]) -> None:
    path, printed = onnx_file
    lines = printed.splitlines()
    assert [line.partition(":")[0] for line in lines[:3]] == [
        f"against the network at {size}" for size in ("8 x 8", "9 x 5", "3 x 7")
    ]
    assert all("largest error" in line for line in lines[:3])
    assert lines[3].startswith(f"{path}: tiny, ONNX opset 18, fp32, ")
    assert lines[3].endswith("licence of the weights: CC0 1.0")
    assert lines[4:] == [f"next: uformer restore photo.jpg --weights {path}"]


def test_the_exported_file_restores(onnx_file: tuple[Path, str], tmp_path: Path) -> None:
    """The result matches torch's, on an image whose size gives both the same four tiles."""
    pixels = np.random.default_rng(0).integers(0, 256, (56, 40, 3), dtype=np.uint8)
    PIL.Image.fromarray(pixels).save(tmp_path / "a.png")
    assert (
        main(
            [
                "restore",
                str(tmp_path / "a.png"),
                "--weights",
                str(onnx_file[0]),
                "--tile",
                "40",
                "--overlap",
                "8",
                "--quiet",
            ]
        )
        == 0
    )
    by_torch = Restorer.from_pretrained(
        onnx_file[0].with_suffix(".safetensors"), backend="torch", device="cpu", tile=40, overlap=8
    )
    restored = np.asarray(PIL.Image.open(tmp_path / "a.restored.png")).astype(int)
    wanted = by_torch(pixels).astype(int)
    assert np.abs(restored - wanted).max() <= 1
    assert np.abs(restored - pixels).mean() > 1


def test_openvino_in_half_size(folder: Path, openvino_file: tuple[Path, str]) -> None:
    path, printed = exported(folder, "half.xml", "--format", "openvino", "--precision", "fp16")
    assert path.with_suffix(".bin").stat().st_size < 0.6 * openvino_file[0].with_suffix(".bin").stat().st_size
    assert ", fp16, " in printed


@needs_nncf
@pytest.mark.slow  # NNCF is in the extra `slow`
@pytest.mark.parametrize("name", ["int8.onnx", "int8.xml"])
def test_int8_reports_its_loss(folder: Path, pictures: Path, name: str) -> None:
    kind = "onnx" if name.endswith(".onnx") else "openvino"
    path, printed = exported(
        folder, name, "--format", kind, "--precision", "int8", "--calibrate", str(pictures)
    )
    (line,) = (line for line in printed.splitlines() if line.startswith("int8 on 3 images: "))
    assert "dB from the network; a loss of " in line
    assert float(line.partition(": ")[2].split()[0]) > command.LEAST_INT8
    if kind == "onnx":
        restorer = Restorer.from_pretrained(path)
        assert (restorer.backend, restorer.precision) == ("onnx", "int8")
        image = pictures / "degraded" / "0.png"
        assert np.isfinite(restorer(np.asarray(PIL.Image.open(image)))).all()


class _Wrong:
    """The network with a small error in one colour."""

    def __init__(self, path: Path, load: Callable[[Path], Any] = onnx_model.load) -> None:
        self._run = load(path)

    def __call__(self, pictures: Any) -> Any:
        restored = self._run(pictures)
        restored[:, 1] += 0.01
        return restored


def test_a_file_that_disagrees_is_not_kept(
    folder: Path,
    onnx_file: tuple[Path, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    made = onnx_file[0].read_bytes()
    monkeypatch.setattr("uformer.export.torch_program.trace", lambda *_args, **_options: None)
    monkeypatch.setattr(onnx_model, "from_program", lambda _: onnx_package.load_model_from_string(made))
    monkeypatch.setattr("uformer.export.onnx_model.load", _Wrong)
    (tmp_path / "old.onnx").write_bytes(b"old")
    assert (
        main(["export", str(folder / "tiny.safetensors"), "--out", str(tmp_path / "old.onnx"), "--overwrite"])
        == 1
    )
    printed = capsys.readouterr()
    assert re.fullmatch(
        r"uformer: error: at 8 x 8 the file differs from the network by 0\.00\d+, more than 0\.0001\n",
        printed.err,
    )
    assert "against the network at 8 x 8: largest error 0.00" in printed.out
    assert files(tmp_path) == {"old.onnx": b"old"}


def test_wrong_usage(
    folder: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = folder / "tiny.safetensors"
    assert "'none'" in refused(capsys, "none")
    assert "without weights" in refused(capsys, "uformer_b")
    assert refused(capsys, weights, "--out", tmp_path / "a.pt2").startswith(f"--out {tmp_path / 'a.pt2'}: ")
    assert "must end in .pt2" in refused(capsys, weights, "--format", "torch", "--out", tmp_path / "a.onnx")
    assert str(tmp_path / "none") in refused(capsys, weights, "--out", tmp_path / "none" / "a.onnx")
    assert "needs --calibrate FOLDER" in refused(
        capsys, weights, "--out", tmp_path / "a.onnx", "--precision", "int8"
    )
    assert "only for --precision int8, not for fp32" in refused(
        capsys, weights, "--out", tmp_path / "a.onnx", "--calibrate", pictures
    )
    message = refused(
        capsys,
        weights,
        "--format",
        "torch",
        "--precision",
        "int8",
        "--calibrate",
        pictures,
        "--out",
        tmp_path / "a.pt2",
    )
    assert message.startswith("--precision int8: not available for torch")
    (tmp_path / "a.bin").write_bytes(b"old")
    message = refused(capsys, weights, "--format", "openvino", "--out", tmp_path / "a.xml")
    assert str(tmp_path / "a.bin") in message
    assert "--overwrite" in message
    assert "not a checkpoint" in refused(capsys, tmp_path / "a.bin", "--out", tmp_path / "a.onnx")
    assert files(tmp_path) == {"a.bin": b"old"}


@pytest.mark.parametrize("module", ["onnx", "onnxruntime", "onnxscript", "torch"])
def test_without_the_extra_the_line_that_installs_it(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    module: str,
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    message = refused(capsys, folder / "tiny.safetensors", "--out", tmp_path / "a.onnx")
    assert message.startswith(f"{module} is not installed")
    assert 'pip install "uformer[export]"' in message


@pytest.mark.skipif(os.name == "nt", reason="no SIGTERM")
def test_sigterm_leaves_no_file(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "_write", lambda *_, **_options: os.kill(os.getpid(), signal.SIGTERM))
    assert main(["export", str(folder / "tiny.safetensors"), "--out", str(tmp_path / "a.onnx")]) == 130
    assert files(tmp_path) == {}


def test_default_names(
    folder: Path, onnx_file: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert onnx_file[0].exists()
    monkeypatch.chdir(tmp_path)
    with reused_graph():
        assert main(["export", str(folder / "tiny.safetensors")]) == 0
    assert list(files(tmp_path)) == ["tiny.onnx"]


@pytest.mark.slow
def test_a_torch_program_in_fp32(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: Uformer
) -> None:
    """Tracing takes 10 s; the tests of torch_program trace in half precision."""
    monkeypatch.chdir(tmp_path)
    assert main(["export", str(folder / "tiny.safetensors"), "--format", "torch"]) == 0
    assert list(files(tmp_path)) == ["tiny.pt2"]
    program = torch.export.load(tmp_path / "tiny.pt2").module()
    image = torch.rand(1, 3, 11, 4)
    with torch.inference_mode():
        assert torch.equal(program(image), network(image))


@pytest.mark.slow
def test_an_onnx_file_of_one_size(folder: Path) -> None:
    path, printed = exported(folder, "fixed.onnx", "--shape", "20x28")
    assert printed.startswith("against the network at 20 x 28: ")
    assert "uformer restore" not in printed
    (shape,) = (each.type.tensor_type.shape for each in onnx_package.load(path).graph.input)
    assert [dim.dim_value for dim in shape.dim] == [1, 3, 20, 28]


def test_a_file_of_one_size_is_for_other_programs(onnx_file: tuple[Path, str], tmp_path: Path) -> None:
    model = onnx_package.load(onnx_file[0])
    for value in (*model.graph.input, *model.graph.output):
        for axis, length in ((0, 1), (2, 20), (3, 28)):
            value.type.tensor_type.shape.dim[axis].dim_value = length
    (tmp_path / "fixed.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(CheckpointError, match="accepts images of 20x28 only, which is for other programs"):
        Restorer.from_pretrained(tmp_path / "fixed.onnx")(np.zeros((20, 28, 3), np.uint8))


def test_shape_and_int8_exclude_each_other(
    folder: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = "--precision", "int8", "--calibrate", pictures, "--shape", "20x28"
    said = refused(capsys, folder / "tiny.safetensors", "--out", folder / "new.onnx", *options)
    assert said == "--shape 20x28: not available for --precision int8"
