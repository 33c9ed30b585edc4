"""The devices that each backend finds on this machine. Imports the backend's library and asks its drivers."""

from __future__ import annotations

import contextlib
import platform
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from uformer.files import require
from uformer.restore.backends.accelerators import KINDS, PROVIDERS
from uformer.restore.backends.drivers import cpu_name
from uformer.restore.backends.pytorch import torch_kinds


@dataclass(frozen=True)
class FoundDevice:
    """A device that a backend can use."""

    device: str
    """The name to pass as --device."""
    backend: str
    name: str
    """What its maker calls it."""
    precisions: tuple[str, ...]
    memory: int | None = None
    """Memory of its own in bytes; None if it has none or the backend does not say."""
    driver: str | None = None
    """The version of its driver; None if the backend does not say."""


def devices_of(backend: str) -> list[dict[str, Any]]:
    """Return the devices of a backend. Raises OptionError if its library is not installed."""
    finders: dict[str, Callable[[], Iterator[FoundDevice]]] = {
        "openvino": _of_openvino,
        "torch": _of_torch,
        "onnx": _of_onnxruntime,
    }
    return [asdict(found) for found in finders[backend]()]


def _of_openvino() -> Iterator[FoundDevice]:
    from uformer.restore.backends.quiet import ov  # noqa: PLC0415 - slow to import

    core = ov.Core()
    for device in core.available_devices:
        kind, _, index = device.lower().partition(".")
        if kind not in KINDS["openvino"]:
            continue

        def ask(name: str, device: str = device) -> Any:
            with contextlib.suppress(RuntimeError):
                return core.get_property(device, name)
            return None

        offered = ask("OPTIMIZATION_CAPABILITIES") or ()
        yield FoundDevice(
            device=f"{kind}:{index}" if index else kind,
            backend="openvino",
            name=str(ask("FULL_DEVICE_NAME") or kind),
            precisions=tuple(name.lower() for name in ("FP32", "BF16", "FP16") if name in offered),
            memory=None if kind == "cpu" else ask(f"{kind.upper()}_DEVICE_TOTAL_MEM_SIZE"),
            driver=_text(ask("NPU_DRIVER_VERSION")) if kind == "npu" else None,
        )


def _of_torch() -> Iterator[FoundDevice]:
    torch, found = require("torch", "torch"), torch_kinds()
    yield FoundDevice("cpu", "torch", cpu_name(), ("fp32", "bf16"))
    if found["mps"]:
        yield FoundDevice("mps", "torch", f"{cpu_name()} GPU", ("fp32", "fp16"), driver=platform.mac_ver()[0])
    for kind in ("cuda", "xpu"):
        library = getattr(torch, kind)
        for index in range(library.device_count() if found[kind] else 0):
            facts = library.get_device_properties(index)
            half = ("fp16", "bf16") if library.is_bf16_supported() else ("fp16",)
            yield FoundDevice(
                device=f"{kind}:{index}",
                backend="torch",
                name=str(facts.name),
                precisions=("fp32", *half),
                memory=int(facts.total_memory),
                driver=_text(getattr(facts, "driver_version", None)) or _torch_runtime(torch, kind),
            )


def _torch_runtime(torch: Any, kind: str) -> str | None:
    """Return the version of CUDA or ROCm that torch was built for: torch does not tell the driver's."""
    version = torch.version.hip or torch.version.cuda
    name = "ROCm" if torch.version.hip else "CUDA"
    return f"{name} {version}" if kind == "cuda" and version else None


def _of_onnxruntime() -> Iterator[FoundDevice]:
    ort = require("onnxruntime", "onnx")
    kinds = {provider: kind for kind, provider in PROVIDERS.items()} | {"CPUExecutionProvider": "cpu"}
    for provider in reversed(ort.get_available_providers()):  # the CPU is the last one
        if provider in kinds:
            kind = kinds[provider]
            yield FoundDevice(kind, "onnx", cpu_name() if kind == "cpu" else provider, ("fp32", "fp16"))


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
