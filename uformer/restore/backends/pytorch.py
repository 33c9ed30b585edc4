"""The torch backend: GPUs of NVIDIA and AMD (cuda), Apple (mps) and Intel (xpu), or the CPU."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from uformer.config import UformerConfig
from uformer.errors import OptionError, PictureError
from uformer.files import one_line, require
from uformer.restore.backends.accelerators import KINDS, parse_device
from uformer.restore.backends.base import reason, window_grain
from uformer.restore.memory import tiles_at_once, torch_memory
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

    def for_size(self, height: int, width: int) -> TorchRunner:
        """Return the network, with the number of tiles of a size that the device takes at once.

        The first call loads the network, which serves all sizes.
        """
        model = self._model  # first, because it takes memory
        batch = tiles_at_once(torch_memory(self._config), (height, width), free_memory(self.device))
        return TorchRunner(model, device=self.device, precision=self.precision, batch=batch)

    @functools.cached_property
    def _model(self) -> Uformer:
        torch, model = require("torch", "torch"), to_model(self._config, self._state).to(self.device)
        if self.device != "cpu":  # tokens are (B, H, W, C), so convolutions see channels-last maps
            model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return model


class TorchRunner:
    """The network on its device. `batch`: the number of tiles to restore at once."""

    def __init__(self, model: Uformer, *, device: str, precision: str, batch: int = 1) -> None:
        self._torch = require("torch", "torch")
        self._model, self._device, self.precision, self.batch = model, device, precision, batch

    def __call__(self, tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        """Restore (B, C, h, w) float32 in [0, 1] to the same shape, not clipped.

        h and w are multiples of `config.stride`. If the device runs out of memory, `batch` is halved. Raises
        MemoryError if it has too little memory for one tile, PictureError if the driver of a device other
        than the CPU fails.
        """
        restored = np.empty((len(tiles), self._model.config.out_channels, *tiles.shape[2:]), np.float32)
        done = 0
        while done < len(tiles):
            part = tiles[done : done + self.batch]
            try:
                restored[done : done + len(part)] = self._restore(part)
            except MemoryError:
                if len(part) == 1:
                    raise
                self.batch = len(part) // 2
            else:
                done += len(part)
        return restored

    def _restore(self, tiles: NDArray[np.float32]) -> NDArray[np.float32]:
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
        return TorchRunner(self._model, device=self._device, precision="fp32", batch=self.batch)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error of torch (CUDA, MPS, XPU or CPU) means that the device is out of memory."""
    known = ("out of memory", "can't allocate memory", "_ALLOC_FAILED", "OUT_OF_DEVICE_MEMORY")
    return isinstance(error, MemoryError) or any(words in str(error) for words in known)


def free_memory(device: str) -> int | None:
    """Return the memory that torch can still take on a device, in bytes.

    Returns None for the CPU, and for devices whose driver does not say it.
    """
    torch, kind = require("torch", "torch"), parse_device(device).kind
    if kind == "mps":
        return int(torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory())
    if kind not in ("cuda", "xpu"):
        return None
    library = getattr(torch, kind)
    try:
        free, _ = library.mem_get_info(device)
    except RuntimeError:  # some drivers for xpu
        return None
    unused = library.memory_reserved(device) - library.memory_allocated(device)  # kept by torch's allocator
    return int(free + unused)


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
        why = one_line(str(error).partition("\n")[0])
        raise OptionError(
            f"device: {device!r} is not available ({why}); `uformer devices` lists those that are"
        ) from None
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
