"""The names of devices: one grammar for every option, and the backends that run on each kind of device."""

from __future__ import annotations

from dataclasses import dataclass

from uformer.errors import OptionError

PROVIDERS = {
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "directml": "DmlExecutionProvider",
    "migraphx": "MIGraphXExecutionProvider",
    "qnn": "QNNExecutionProvider",
}
"""The execution provider of onnxruntime for each kind of device."""

KINDS = {
    "openvino": ("cpu", "gpu", "npu"),
    "torch": ("cpu", "cuda", "mps", "xpu"),
    "onnx": ("cpu", *PROVIDERS),
}
"""The kinds of devices that each backend runs on."""


@dataclass(frozen=True)
class DeviceName:
    """A device as options name it: `cpu`, `cuda`, or `cuda:1` for the second one of a kind."""

    kind: str
    """auto, or one of KINDS."""
    index: int | None = None

    def __str__(self) -> str:
        return self.kind if self.index is None else f"{self.kind}:{self.index}"

    @property
    def openvino(self) -> str:
        """The name of the device in OpenVINO: CPU, GPU, GPU.1, NPU."""
        return self.kind.upper() if self.index is None else f"{self.kind.upper()}.{self.index}"


def parse_device(text: str) -> DeviceName:
    """Return the device that a text names. Raises OptionError for a name that no backend knows."""
    kind, colon, number = text.strip().lower().partition(":")
    known = ["auto", *dict.fromkeys(kind for kinds in KINDS.values() for kind in kinds)]
    if kind not in known:
        raise OptionError(f"device: {text!r} is not one of {', '.join(known)}; `uformer devices` lists yours")
    if not colon:
        return DeviceName(kind)
    if kind in ("auto", "cpu") or not (number.isascii() and number.isdigit()):
        raise OptionError(
            f"device: {text!r} is not a device; write {kind}{'' if kind == 'cpu' else ':NUMBER'}"
        )
    return DeviceName(kind, int(number))


def backend_for(device: DeviceName, *, asked: str = "auto", exported: bool = False) -> str | None:
    """Return the backend for a device; None if the device leaves the choice open.

    `asked`: the backend that the options name. `exported`: the weights are an .onnx file. If several backends
    run on the device, it is the first of torch, OpenVINO and onnxruntime. Raises OptionError if the backend
    or the weights do not fit the device.
    """
    named = "onnx" if exported else None if asked == "auto" else asked
    if named is not None:
        if device.kind == "auto" or device.kind in KINDS[named]:
            return named
        raise OptionError(_misfit(device, named, exported=exported))
    if device.kind in ("auto", "cpu"):
        return None
    return _backends_of(device)[0]


def _backends_of(device: DeviceName) -> list[str]:
    return [backend for backend in ("torch", "openvino", "onnx") if device.kind in KINDS[backend]]


def _misfit(device: DeviceName, backend: str, *, exported: bool) -> str:
    *first, last = KINDS[backend]
    here = ".onnx files run" if exported else f"the {backend} backend runs"
    advice = "" if exported else f"; use --backend {_backends_of(device)[0]}"
    return f"device: {here} on {', '.join(first)} or {last}, not on {str(device)!r}{advice}"
