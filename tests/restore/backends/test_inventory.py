"""What each backend finds, with stand-ins for devices that this machine does not have."""

import sys
import types
from typing import Any

import pytest
import torch

from uformer.errors import OptionError
from uformer.restore.backends.inventory import devices_of
from uformer.restore.backends.quiet import ov


class Core:
    """OpenVINO with two GPUs, an NPU whose driver is broken, and a plugin that is no device of ours."""

    available_devices = ("CPU", "GPU.0", "GPU.1", "NPU", "BATCH")

    def get_property(self, device: str, name: str) -> Any:
        if device == "NPU":
            raise RuntimeError("driver is broken")
        return {
            "FULL_DEVICE_NAME": f"Maker {device}",
            "OPTIMIZATION_CAPABILITIES": ["FP32", "FP16", "INT8"],
            "GPU_DEVICE_TOTAL_MEM_SIZE": 2**34,
        }[name]


def test_openvino(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ov, "Core", Core)
    found = devices_of("openvino")
    assert [each["device"] for each in found] == ["cpu", "gpu:0", "gpu:1", "npu"]
    assert [each["memory"] for each in found] == [None, 2**34, 2**34, None]
    assert found[2] | {"precisions": list(found[2]["precisions"])} == {
        "device": "gpu:1",
        "backend": "openvino",
        "name": "Maker GPU.1",
        "precisions": ["fp32", "fp16"],
        "memory": 2**34,
        "driver": None,
    }
    assert (found[3]["name"], found[3]["precisions"]) == ("npu", ())


def test_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    for library in (torch.backends.mps, torch.cuda, torch.xpu):
        monkeypatch.setattr(library, "is_available", lambda: False)
    assert [each["device"] for each in devices_of("torch")] == ["cpu"]
    card = types.SimpleNamespace(name="Card", total_memory=8 * 10**9, driver_version="1.6.3")
    monkeypatch.setattr(torch.xpu, "is_available", lambda: True)
    monkeypatch.setattr(torch.xpu, "device_count", lambda: 2)
    monkeypatch.setattr(torch.xpu, "is_bf16_supported", lambda: True)
    monkeypatch.setattr(torch.xpu, "get_device_properties", lambda _: card)
    *_, last = devices_of("torch")
    assert (last["device"], last["name"], last["memory"], last["driver"]) == (
        "xpu:1",
        "Card",
        8 * 10**9,
        "1.6.3",
    )
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(OptionError, match=r'torch is not installed; run: pip install "uformer\[torch\]"'):
        devices_of("torch")


def test_onnxruntime(monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime

    providers = ["CoreMLExecutionProvider", "AzureExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: providers)
    found = devices_of("onnx")
    assert [(each["device"], each["backend"]) for each in found] == [("cpu", "onnx"), ("coreml", "onnx")]
    assert [each["precisions"] for each in found] == [("fp32", "fp16")] * 2
