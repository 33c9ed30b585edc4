"""The choice of the backend, and the reading of weights from files."""

import dataclasses
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.networks import TINY
from tests.restore.backends.graphs import FACTS, darker
from uformer.errors import CheckpointError, OptionError
from uformer.layout import parameter_shapes
from uformer.restore.backends import choose as module
from uformer.restore.backends import onnx, pytorch
from uformer.restore.backends.base import Weights
from uformer.restore.backends.choose import choose, read_config, read_weights
from uformer.restore.options import BackendName, NetworkOptions
from uformer.weights import checkpoint

WEIGHTS = Weights(TINY, {})
EXPORTED = Weights(TINY, {}, Path("a.onnx"))


@pytest.mark.parametrize(
    ("options", "gpu", "name"),
    [
        ({}, False, "openvino"),
        ({}, True, "torch"),
        ({"device": "cpu"}, True, "openvino"),
        ({"device": "cuda"}, False, "torch"),
        ({"backend": "torch"}, False, "torch"),
        ({"backend": "openvino"}, True, "openvino"),
        ({"backend": "torch", "device": "cpu"}, True, "torch"),
        ({"device": "gpu:1"}, True, "openvino"),
        ({"device": "xpu"}, False, "torch"),
        ({"backend": "onnx"}, True, "onnx"),
        ({"device": "tensorrt:1"}, False, "onnx"),
    ],
)
def test_the_choice(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], name: str, *, gpu: bool
) -> None:
    monkeypatch.setattr(module, "_gpu_in_sight", lambda: gpu)
    assert choose(WEIGHTS, NetworkOptions(**options)).name == name
    if options in ({}, {"device": "cpu"}):
        assert choose(EXPORTED, NetworkOptions(**options)).name == "onnx"
        assert choose(EXPORTED, NetworkOptions(**{**options, "backend": "onnx"})).name == "onnx"


@pytest.mark.parametrize(
    ("installed", "torch_sees_it", "backend", "name"),
    [
        (["onnxruntime 1.23"], False, "auto", "torch"),
        (["onnxruntime-gpu 1.23"], True, "auto", "torch"),
        (["onnxruntime-gpu 1.23"], False, "auto", "onnx"),
        (["onnxruntime-gpu 1.23"], None, "auto", "onnx"),
        (["onnxruntime-gpu 1.23"], False, "torch", "torch"),
    ],
)
def test_cuda_belongs_to_torch_unless_only_onnxruntime_serves_it(
    monkeypatch: pytest.MonkeyPatch,
    installed: list[str],
    torch_sees_it: bool | None,
    backend: BackendName,
    name: str,
) -> None:
    """`torch_sees_it`: None stands for a missing torch."""
    monkeypatch.setattr(module, "library_versions", lambda _: installed)
    monkeypatch.setattr(pytorch, "torch_kinds", lambda: {"cuda": torch_sees_it})
    if torch_sees_it is None:
        monkeypatch.setitem(sys.modules, "torch", None)
    assert choose(WEIGHTS, NetworkOptions(device="cuda", backend=backend)).name == name


def test_an_export_in_fp16_has_a_twin_in_fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[str] = []

    def with_exported(weights: Weights, precision: str, _notify: object) -> Weights:
        if weights.exported is not None:
            return weights
        given.append(precision)
        model = darker(FACTS | {"precision": precision}).SerializeToString()
        return dataclasses.replace(weights, exported=model)

    monkeypatch.setattr(module, "with_exported", with_exported)
    exported = with_exported(WEIGHTS, "fp16", None)
    for weights in (WEIGHTS, exported):
        backend = choose(weights, NetworkOptions(backend="onnx", precision="fp16")).make()
        runner = backend.for_size(8, 8)
        assert (backend.precision, runner.in_fp32().precision) == ("fp16", "fp32")
    assert given == ["fp16", "fp16", "fp32", "fp32"]


def test_without_torch_the_choice_is_openvino(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda _name: None)  # type: ignore[attr-defined]
    assert choose(WEIGHTS, NetworkOptions()).name == "openvino"


@pytest.mark.parametrize(
    ("nodes", "version", "imported"),
    [
        ((), "torch 2.13.0+xpu", False),
        (("/dev/dri",), "torch 2.13.0+cpu", False),
        (("/dev/dri",), "torch 2.13.0+xpu", True),
        (("/dev/nvidiactl",), "torch 2.13.0", True),
    ],
)
def test_torch_is_imported_only_if_a_gpu_is_likely(
    monkeypatch: pytest.MonkeyPatch, nodes: tuple[str, ...], version: str, *, imported: bool
) -> None:
    monkeypatch.setattr(module.sys, "platform", "linux")  # type: ignore[attr-defined]
    monkeypatch.setattr(module, "_any_exists", lambda *paths: not set(nodes).isdisjoint(paths))
    monkeypatch.setattr(module, "library_versions", lambda _: [version])
    monkeypatch.setattr(pytorch, "choose_device", lambda _: "cuda")
    assert module._gpu_in_sight() == imported


def test_options_that_contradict_each_other() -> None:
    with pytest.raises(
        OptionError, match="^device: the openvino backend runs on cpu, gpu or npu, not on 'cuda'; use"
    ):
        choose(WEIGHTS, NetworkOptions(backend="openvino", device="cuda"))
    with pytest.raises(OptionError, match="^backend: 'torch' cannot run a.onnx"):
        choose(EXPORTED, NetworkOptions(backend="torch"))
    with pytest.raises(OptionError, match="^device: .onnx files run on cpu, .* not on 'npu'$"):
        choose(EXPORTED, NetworkOptions(device="npu"))


def test_weights_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "w.safetensors"
    checkpoint.write(
        path,
        TINY,
        {key: np.zeros(shape, np.float32) for key, shape in parameter_shapes(TINY).items()},
        notes={"range": "full"},
    )
    weights = read_weights(NetworkOptions(weights=str(path)))
    assert (weights.config, set(weights.state), weights.file) == (TINY, set(parameter_shapes(TINY)), None)
    assert weights.range == "full"
    assert read_config(path) == TINY
    exported = tmp_path / "w.onnx"
    monkeypatch.setattr(onnx, "_read", lambda _path: None)
    monkeypatch.setattr(onnx, "_describe", lambda _path, _model: (TINY, {"range": "0:900"}))
    weights = read_weights(NetworkOptions(weights=str(exported)))
    assert (weights.config, weights.state, weights.file) == (TINY, {}, exported)
    assert weights.range == "0:900"
    assert read_config(exported) == TINY


def test_weights_of_a_task() -> None:
    assert read_weights(NetworkOptions(task="derain")).state
    with pytest.raises(OptionError, match="unknown task 'dehaze'"):
        read_weights(NetworkOptions(task="dehaze"))
    with pytest.raises(CheckpointError, match="none.safetensors"):
        read_weights(NetworkOptions(weights="none.safetensors"))
