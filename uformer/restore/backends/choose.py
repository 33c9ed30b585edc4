"""The one place that chooses a backend, from the weights, the options and the installed packages."""

from __future__ import annotations

import dataclasses
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from uformer.config import UformerConfig
from uformer.errors import OptionError
from uformer.notices import ignore
from uformer.processors import thread_limit
from uformer.restore.backends import onnx
from uformer.restore.backends.accelerators import backend_for, parse_device
from uformer.restore.backends.base import Backend, Weights
from uformer.restore.backends.drivers import library_versions
from uformer.restore.backends.exported import with_exported
from uformer.restore.options import NetworkOptions
from uformer.weights import checkpoint, registry
from uformer.weights.create import weights_file
from uformer.weights.provenance import noted_range


@dataclass(frozen=True)
class Choice:
    """The chosen backend. It is made on first use, because its library is slow to import."""

    name: str
    """openvino, torch or onnx."""
    device: str
    """The device; auto if torch chooses it when it is imported."""
    make: Callable[[], Backend]
    """Makes the backend. Raises OptionError if the device or precision is not available."""


def read_weights(options: NetworkOptions) -> Weights:
    """Read the weights that the options name, or those that ship for their task.

    Raises OptionError for an unknown name or task, CheckpointError for a file that is not a checkpoint.
    """
    path = weights_path(options)
    if onnx.is_onnx(path):
        config, facts = onnx.read_facts(path)
        return Weights(config, {}, path, range=noted_range(path, facts))
    config, state = checkpoint.read(path)
    return Weights(config, state, range=noted_range(path, checkpoint.read_notes(path)))


def weights_path(options: NetworkOptions) -> Path:
    """Return the file of the weights that the options name, or of those that ship for their task.

    Raises OptionError for an unknown name or task.
    """
    named = options.weights
    return registry.for_task(options.task).verify() if named is None else weights_file(named)


def read_config(path: Path) -> UformerConfig:
    """Read the configuration of the network in a file, without its tensors. Raises CheckpointError."""
    if onnx.is_onnx(path):
        return onnx.read_config(path)
    return cast(UformerConfig, checkpoint.describe(path)["config"])


def choose(weights: Weights, options: NetworkOptions) -> Choice:
    """Choose the backend for weights and options.

    If a container or the affinity leaves fewer processors than the machine has, the libraries get that number
    of threads; else they choose. Raises OptionError for options that contradict each other or the weights.
    """
    file, threads = weights.file, options.threads or thread_limit()
    if file is not None and options.backend not in ("auto", "onnx"):
        raise OptionError(f"backend: {options.backend!r} cannot run {file}; .onnx files run in onnxruntime")
    named = parse_device(options.device)
    backend = backend_for(named, asked=options.backend, exported=file is not None)
    if backend is None:
        backend = "torch" if named.kind == "auto" and _gpu_in_sight() else "openvino"
    elif named.kind == "cuda" and options.backend == "auto" and backend == "torch" and _cuda_without_torch():
        backend = "onnx"
    device = "cpu" if named.kind == "auto" and backend != "torch" else str(named)

    def make_onnx() -> Backend:
        if file is not None:
            return onnx.OnnxBackend(file, device=device, precision=options.precision, threads=threads)
        return of_exported(with_exported(weights, options.precision, ignore))

    def of_exported(exported: Weights) -> onnx.OnnxBackend:
        return onnx.OnnxBackend(
            cast(bytes, exported.exported), device=device, threads=threads, in_fp32=in_fp32
        )

    def in_fp32() -> onnx.OnnxBackend:
        return of_exported(with_exported(dataclasses.replace(weights, exported=None), "fp32", ignore))

    def make_torch() -> Backend:
        from uformer.restore.backends.pytorch import TorchBackend  # noqa: PLC0415 - torch is optional

        return TorchBackend(
            weights.config, weights.state, device=device, precision=options.precision, threads=threads
        )

    def make_openvino() -> Backend:
        from uformer.restore.backends.openvino import OpenVINOBackend  # noqa: PLC0415 - slow to import

        return OpenVINOBackend(
            weights.config, weights.state, device=device, precision=options.precision, threads=threads
        )

    make = {"onnx": make_onnx, "torch": make_torch, "openvino": make_openvino}[backend]
    return Choice(backend, device, make)


def _gpu_in_sight() -> bool:
    """Return whether torch is installed and sees a GPU. Torch is imported only if a GPU is likely."""
    if importlib.util.find_spec("torch") is None:
        return False
    likely = (
        sys.platform in ("darwin", "win32")
        or _any_exists("/dev/nvidiactl", "/dev/kfd")  # NVIDIA's driver, AMD's
        or (_any_exists("/dev/dri", "/dev/dxg") and any("xpu" in text for text in library_versions("torch")))
    )
    if not likely:
        return False
    from uformer.restore.backends.pytorch import choose_device  # noqa: PLC0415 - torch is optional

    return choose_device("auto") != "cpu"


def _cuda_without_torch() -> bool:
    """Return whether onnxruntime is the one for CUDA, and torch is missing or sees no GPU."""
    if not any(text.startswith("onnxruntime-gpu ") for text in library_versions("onnx")):
        return False
    if importlib.util.find_spec("torch") is None:
        return True
    from uformer.restore.backends.pytorch import torch_kinds  # noqa: PLC0415 - torch is optional

    return not torch_kinds()["cuda"]


def _any_exists(*paths: str) -> bool:
    return any(Path(path).exists() for path in paths)
