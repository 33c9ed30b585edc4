"""The torch backend: GPUs of NVIDIA and AMD (cuda), Apple (mps) and Intel (xpu), or the CPU."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from uformer.config import UformerConfig
from uformer.errors import OptionError, PictureError
from uformer.files import require
from uformer.restore.backends.accelerators import KINDS, parse_device
from uformer.restore.backends.base import reason, window_grain
from uformer.restore.memory import torch_memory
from uformer.weights.checkpoint import State, to_model

if TYPE_CHECKING:
    from uformer.model.uformer import Uformer


class TorchBackend:
    """The network in torch on one device. Raises OptionError if torch or the device is missing.

    `threads`: threads of all torch work of this process on the CPU; None leaves them as they are.
    """

    def __init__(
        self,
        config: UformerConfig,
        state: State,
        *,
        device: str = "auto",
        precision: str = "auto",
        threads: int | None = None,
    ) -> None:
        self.device = choose_device(device)
        if threads is not None and self.device == "cpu":
            require("torch", "torch").set_num_threads(threads)
        self.precision = (
            ("fp16" if self.device.startswith(("cuda", "xpu")) else "fp32")
            if precision == "auto"
            else precision
        )
        self.grain = window_grain(config)
        self.memory = torch_memory(config) if self.device == "cpu" else None
        self._config, self._state = config, state

    def for_size(self, _height: int, _width: int) -> TorchRunner:
        """Return the network, which takes tiles of any size. It is loaded on the first call."""
        return self._runner

    @functools.cached_property
    def _runner(self) -> TorchRunner:
        return TorchRunner(to_model(self._config, self._state), device=self.device, precision=self.precision)


class TorchRunner:
    """The network on its device, for tiles of any size."""

    def __init__(self, model: Uformer, *, device: str, precision: str) -> None:
        self._torch = require("torch", "torch")
        self._model, self._device, self.precision = model.to(device), device, precision
        if device != "cpu":  # tokens are (B, H, W, C), so convolutions see channels-last maps
            self._model.to(memory_format=self._torch.channels_last)  # type: ignore[call-overload]

    def __call__(self, tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        """Restore (B, C, h, w) float32 in [0, 1] to the same shape, not clipped.

        h and w are multiples of `config.stride`. Raises MemoryError if the device has too little memory,
        PictureError if the driver of a device other than the CPU fails.
        """
        torch = self._torch
        half = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(self.precision)
        try:
            with (
                torch.inference_mode(),
                torch.autocast(self._device.partition(":")[0], half, enabled=half is not None),
            ):
                images = torch.from_numpy(np.ascontiguousarray(tiles)).to(self._device)
                restored = self._model(images, multiple=self._model.config.stride)
            answer: NDArray[np.float32] = restored.float().cpu().numpy()
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise MemoryError(str(error).splitlines()[0]) from None
            if self._device == "cpu":
                raise
            failed = f"the device {self._device} failed ({reason(error)}); try --device cpu"
            raise PictureError(failed) from error
        return answer

    def in_fp32(self) -> TorchRunner:
        """Return the same network on the same device in float32."""
        return TorchRunner(self._model, device=self._device, precision="fp32")


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error of torch (CUDA, MPS or CPU) means that the device is out of memory."""
    return isinstance(error, MemoryError) or any(
        words in str(error) for words in ("out of memory", "can't allocate memory")
    )


def choose_device(device: str) -> str:
    """Return the device to use for a name; "auto" selects the best one.

    Raises OptionError for a device that is unknown or not available.
    """
    torch = require("torch", "torch")
    if device == "auto":
        return next(kind for kind, there in torch_kinds().items() if there)
    if parse_device(device).kind not in KINDS["torch"]:
        raise OptionError(f"device: {device!r} is not one of auto, {', '.join(KINDS['torch'])}")
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise OptionError(f"device: {device!r} is not available ({str(error).splitlines()[0]})") from None
    return device


def torch_kinds() -> dict[str, bool]:
    """Return which kinds of devices torch finds here, the best first. Raises OptionError without torch."""
    torch = require("torch", "torch")
    return {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "xpu": torch.xpu.is_available(),
        "cpu": True,
    }
