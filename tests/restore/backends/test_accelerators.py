"""One grammar for the names of devices."""

import pytest

from uformer.errors import OptionError
from uformer.restore.backends.accelerators import DeviceName, backend_for, parse_device


@pytest.mark.parametrize("text", ["auto", "cpu", "cuda", "cuda:1", "gpu:0", "npu", "xpu:12", "coreml"])
def test_names(text: str) -> None:
    assert str(parse_device(text)) == text
    assert str(parse_device(f" {text.upper()} ")) == text


def test_the_names_of_openvino() -> None:
    assert [parse_device(text).openvino for text in ("cpu", "gpu", "gpu:1")] == ["CPU", "GPU", "GPU.1"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("toaster", "device: 'toaster' is not one of auto, cpu, gpu, npu, cuda, mps, xpu, tensorrt,"),
        ("", "device: '' is not one of"),
        ("cuda:", "device: 'cuda:' is not a device; write cuda:NUMBER"),
        ("gpu:-1", "device: 'gpu:-1' is not a device; write gpu:NUMBER"),
        ("cpu:0", "device: 'cpu:0' is not a device; write cpu$"),
        ("cuda:0,cuda:1", "is not a device; write cuda:NUMBER"),
    ],
)
def test_other_texts_are_refused(text: str, said: str) -> None:
    with pytest.raises(OptionError, match=said):
        parse_device(text)


@pytest.mark.parametrize(
    ("kind", "asked", "exported", "backend"),
    [
        ("auto", "auto", False, None),
        ("cpu", "auto", False, None),
        ("xpu", "auto", False, "torch"),
        ("cuda", "auto", False, "torch"),
        ("npu", "auto", False, "openvino"),
        ("coreml", "auto", False, "onnx"),
        ("cuda", "onnx", False, "onnx"),
        ("auto", "onnx", True, "onnx"),
        ("auto", "torch", False, "torch"),
        ("gpu", "openvino", False, "openvino"),
        ("auto", "auto", True, "onnx"),
        ("cuda", "auto", True, "onnx"),
    ],
)
def test_the_backend(kind: str, asked: str, backend: str | None, *, exported: bool) -> None:
    assert backend_for(DeviceName(kind), asked=asked, exported=exported) == backend


@pytest.mark.parametrize(
    ("kind", "asked", "exported", "said"),
    [
        (
            "npu",
            "torch",
            False,
            "the torch backend runs on cpu, cuda, mps or xpu, not on 'npu'; use --backend open",
        ),
        (
            "mps",
            "openvino",
            False,
            "the openvino backend runs on cpu, gpu or npu, not on 'mps'; use --backend torch",
        ),
        ("xpu", "auto", True, "device: .onnx files run on cpu, cuda, .* or qnn, not on 'xpu'$"),
        ("npu", "onnx", False, "the onnx backend runs on cpu, cuda, .* not on 'npu'; use --backend openvino"),
        ("qnn", "torch", False, "not on 'qnn'; use --backend onnx"),
    ],
)
def test_a_backend_that_does_not_fit(kind: str, asked: str, said: str, *, exported: bool) -> None:
    with pytest.raises(OptionError, match=said):
        backend_for(DeviceName(kind), asked=asked, exported=exported)
