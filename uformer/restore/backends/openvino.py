"""The OpenVINO backend: runs on any CPU, and on GPUs and NPUs of Intel, without torch."""

from __future__ import annotations

import contextlib
import functools
import io
import pkgutil
import platform
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from uformer.config import UformerConfig
from uformer.errors import OptionError, PictureError
from uformer.processors import bf16_is_faster
from uformer.restore.backends import cache, drivers, openvino_graph
from uformer.restore.backends.accelerators import parse_device
from uformer.restore.backends.base import reason, window_grain
from uformer.restore.backends.cache import default_cache_dir
from uformer.restore.backends.quiet import ov
from uformer.restore.memory import openvino_memory
from uformer.restore.options import Precision

__all__ = ["OpenVINOBackend", "OpenVINORunner", "choose_precision", "default_cache_dir"]

_HINTS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}
_CAPABILITIES = {"fp32": "FP32", "bf16": "BF16", "fp16": "FP16"}


class OpenVINOBackend:
    """The network in OpenVINO on one device.

    `state`: the tensors of `checkpoint.read`. `device`: cpu, gpu, gpu:1 or npu. `threads`: None leaves the
    choice to OpenVINO, which uses the physical cores. Raises OptionError for a device that is not available
    or a precision that it does not support.
    """

    def __init__(
        self,
        config: UformerConfig,
        state: Mapping[str, NDArray[Any]],
        *,
        device: str = "cpu",
        precision: Precision = "auto",
        threads: int | None = None,
    ) -> None:
        self.device = device
        self.precision: Literal["fp32", "bf16", "fp16"] = choose_precision(precision, device)
        self.grain = window_grain(config)
        self.memory = openvino_memory(config, self.precision)
        self._config, self._state, self._threads = config, state, threads

    def for_size(self, height: int, width: int) -> OpenVINORunner:
        """Return the runner for tiles of a size. It is compiled on its first call."""
        return OpenVINORunner(
            self._config,
            self._state,
            height=height,
            width=width,
            device=self.device,
            precision=self.precision,
            threads=self._threads,
        )


class OpenVINORunner:
    """The network for tiles of one size. The first call compiles it or takes it from the cache.

    Calls from several threads run one after the other. `state`: the tensors of `checkpoint.read`. `height`,
    `width`: sides of the tiles, multiples of `config.stride`. `threads`: None leaves the choice to OpenVINO,
    which uses the physical cores. `cache_dir`: None disables the cache, "default" is `default_cache_dir()`.
    Raises ValueError for another size, OptionError for a precision that the device does not support.
    """

    precision: str
    """The numeric precision: fp32, bf16 or fp16; never "auto"."""
    batch = 1

    def __init__(
        self,
        config: UformerConfig,
        state: Mapping[str, NDArray[Any]],
        *,
        height: int,
        width: int,
        device: str = "cpu",
        precision: Precision = "auto",
        threads: int | None = None,
        cache_dir: Path | Literal["default"] | None = "default",
    ) -> None:
        if height < 1 or width < 1 or height % config.stride or width % config.stride:
            raise ValueError(f"tile of {height} x {width}: both sides must be multiples of {config.stride}")
        self.precision = choose_precision(precision, device)
        self._device, self._name = device, parse_device(device).openvino
        self._config, self._state, self._size = config, state, (height, width)
        self._threads = threads
        self._cache_dir = default_cache_dir() if cache_dir == "default" else cache_dir
        self._lock = threading.Lock()

    def __call__(self, tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        """Restore (B, in_channels, h, w) float32 in [0, 1] to (B, out_channels, h, w) float32, not clipped.

        Raises ValueError for another shape, MemoryError if there is too little memory, PictureError if the
        driver of a device other than the CPU fails.
        """
        expected = (self._config.in_channels, *self._size)
        if tiles.shape[1:] != expected:
            raise ValueError(f"tiles of shape {tiles.shape}, expected (B, {', '.join(map(str, expected))})")
        restored = np.empty((len(tiles), self._config.out_channels, *self._size), np.float32)
        with self._lock, _device_errors(self._device):
            request = self._request
            for tile, out in zip(tiles, restored, strict=True):
                request.set_input_tensor(ov.Tensor(np.ascontiguousarray(tile[None], np.float32)))
                request.infer()
                out[...] = request.get_output_tensor().data[0]
        return restored

    def in_fp32(self) -> OpenVINORunner:
        """Return the same network for the same tiles in float32: the same object each time.

        It runs on the CPU if the device does not support float32, as NPUs do not.
        """
        return self if self.precision == "fp32" else self._twin

    @functools.cached_property
    def _twin(self) -> OpenVINORunner:
        height, width = self._size
        return OpenVINORunner(
            self._config,
            self._state,
            height=height,
            width=width,
            device=self._device if "FP32" in _capabilities(self._device) else "cpu",
            precision="fp32",
            threads=self._threads,
            cache_dir=self._cache_dir,
        )

    @functools.cached_property
    def _request(self) -> Any:
        return self._compiled().create_infer_request()

    def _compiled(self) -> Any:
        """Return the compiled graph from the cache; if it is not there, compile it and store it."""
        options: dict[str, Any] = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": _HINTS[self.precision],
        }
        if self._device == "cpu":
            # Threads pinned to cores wait for other programs on the same core: a third slower on a busy
            # machine.
            options["ENABLE_CPU_PINNING"] = False
            if self._threads is not None:
                options["INFERENCE_NUM_THREADS"] = self._threads
        folder = self._cache_dir / "openvino" if self._cache_dir is not None else None
        key = self._cache_key(options) if folder is not None else None
        if folder is not None and key is not None and (blob := cache.load(folder, key)) is not None:
            try:
                return _core().import_model(blob, self._name, options)
            except RuntimeError:
                pass  # from another OpenVINO
        height, width = self._size
        for_avx2 = self._device == "cpu" and self.precision == "fp32" and _is_avx2()
        graph = openvino_graph.build(self._config, self._state, height=height, width=width, for_avx2=for_avx2)
        compiled = _core().compile_model(graph, self._name, options)
        if folder is not None and key is not None:
            stream = io.BytesIO()
            compiled.export_model(stream)
            cache.store(folder, key, stream.getvalue())
        return compiled

    def _cache_key(self, options: Mapping[str, Any]) -> str | None:
        """Return a hash of everything the compiled graph depends on; None if that cannot be read."""
        try:
            modules = "openvino_graph.py", "openvino_gelu.py", "openvino_wide.py"
            sources = [pkgutil.get_data(__package__, module) for module in modules]
            sources.append(pkgutil.get_data("uformer", "structure.py"))
        except OSError:
            return None
        full_name = _core().get_property(self._name, "FULL_DEVICE_NAME")
        about = {
            "openvino": ov.__version__,
            "device": [self._name, full_name, _capabilities(self._device)],
            "drivers": [] if self._device == "cpu" else drivers.driver_versions(),
            "config": self._config.to_json(),
            "size": self._size,
            "options": dict(options),
        }
        return cache.key_of(about, self._state, (source or b"" for source in sources))


def choose_precision(precision: Precision, device: str = "cpu") -> Literal["fp32", "bf16", "fp16"]:
    """Return the precision to use.

    "auto" is bf16 on a CPU that computes faster in it, fp16 on any other device that supports it, and
    otherwise fp32. Raises OptionError for a device that is not available or a precision that it does not
    support.
    """
    offered = _capabilities(device)
    if precision == "auto":
        if device != "cpu":
            return "fp16" if "FP16" in offered else "fp32"
        # The plugin defaults to bf16 only on CPUs with native bf16. It lists BF16 for slower CPUs too.
        native = _core().get_property("CPU", "INFERENCE_PRECISION_HINT") == ov.Type.bf16
        return "bf16" if native and bf16_is_faster() else "fp32"
    if precision not in _HINTS:
        raise OptionError(f"precision: {precision!r} is not one of auto, {', '.join(_HINTS)}")
    if _CAPABILITIES[precision] not in offered:
        here = "this CPU" if device == "cpu" else f"the device {device}"
        others = " or ".join(["auto", *(name for name in _HINTS if _CAPABILITIES[name] in offered)])
        raise OptionError(f"precision: {here} does not support {precision}; use {others}")
    return precision


def _capabilities(device: str) -> list[str]:
    """Return what a device supports, in OpenVINO's words. Raises OptionError if it is not available."""
    name = parse_device(device).openvino
    try:
        # The plugin of NPUs tells capabilities even if there is no NPU. "GPU" is the first of several.
        if name == "CPU" or any(there in (name, f"{name}.0") for there in _core().available_devices):
            return list(_core().get_property(name, "OPTIMIZATION_CAPABILITIES"))
    except RuntimeError:
        pass
    raise OptionError(f"device: OpenVINO finds no {device} on this machine; install its driver")


def _is_avx2() -> bool:
    """Return whether the CPU is an x86 without AVX-512, for which OpenVINO offers no bfloat16."""
    return platform.machine().lower() in ("x86_64", "amd64") and "BF16" not in _capabilities("cpu")


@functools.cache
def _core() -> Any:
    return ov.Core()


@contextlib.contextmanager
def _device_errors(device: str) -> Iterator[None]:
    """Turn OpenVINO's RuntimeError into a MemoryError for too little memory, or else into a PictureError.

    On the CPU, any other RuntimeError is a fault of this package and stays.
    """
    try:
        yield
    except RuntimeError as error:
        if any(
            words in str(error) for words in ("alloc", "out of memory", "OUT_OF_", "out of GPU resources")
        ):
            raise MemoryError(str(error).splitlines()[0]) from error
        if device == "cpu":
            raise
        raise PictureError(f"the device {device} failed ({reason(error)}); try --device cpu") from error
