"""The torch backend: CUDA, Apple's MPS, or the CPU."""

from __future__ import annotations

import copy

import numpy as np
from numpy.typing import NDArray

from uformer.config import UformerConfig
from uformer.errors import OptionError
from uformer.files import require
from uformer.layout import parameter_count
from uformer.weights.checkpoint import State, to_model


class TorchBackend:
    """The network in torch on one device. Raises OptionError where torch or the device is missing."""

    def __init__(self, config: UformerConfig, state: State, *, device: str = "auto", precision: str = "auto") -> None:
        torch = require("torch", "torch")
        self.device = choose_device(device)
        self.precision = ("fp16" if self.device.startswith("cuda") else "fp32") if precision == "auto" else precision
        self._torch, self._model = torch, to_model(config, state).to(self.device)

    def __call__(self, tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        """(B, C, h, w) float32 in [0, 1] to the same, not clipped; h and w are multiples of `config.stride`.

        Raises MemoryError where the device has too little memory.
        """
        torch = self._torch
        half = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(self.precision)
        try:
            with torch.inference_mode(), torch.autocast(self.device.partition(":")[0], half, enabled=half is not None):
                images = torch.from_numpy(np.ascontiguousarray(tiles)).to(self.device)
                restored = self._model(images, multiple=self._model.config.stride)
            answer: NDArray[np.float32] = restored.float().cpu().numpy()
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise MemoryError(str(error).splitlines()[0]) from None
            raise
        return answer

    def in_fp32(self) -> TorchBackend:
        """The same network on the same device, in float32."""
        twin = copy.copy(self)
        twin.precision = "fp32"
        return twin


def memory_per_pixel(config: UformerConfig) -> int:
    """Bytes of memory that a tile takes per pixel at the most, on the CPU, as fitted to runs of three networks."""
    return 100 * config.stage_dims[-1]


def fixed_memory(config: UformerConfig) -> int:
    """Bytes that a network takes on the CPU whatever the tile, torch itself included, from the same runs."""
    return 450 * 2**20 + 12 * parameter_count(config)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether torch says by an error that the device's memory is used up: CUDA's and MPS's words, or the CPU's."""
    return isinstance(error, MemoryError) or any(words in str(error) for words in ("out of memory", "can't allocate memory"))


def choose_device(device: str) -> str:
    """The device to use for a name, `auto` being the best there is. Raises OptionError for one that is unknown or absent."""
    torch = require("torch", "torch")
    if device == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    if device.partition(":")[0] not in ("cpu", "cuda", "mps"):
        raise OptionError(f"device: {device!r} is not one of auto, cpu, cuda, cuda:NUMBER, mps")
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise OptionError(f"device: {device!r} cannot be used here ({str(error).splitlines()[0]})") from None
    return device
