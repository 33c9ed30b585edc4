"""The interface of a backend, which makes runners from weights; a runner restores tiles."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from uformer.config import UformerConfig
from uformer.files import one_line
from uformer.restore.memory import NetworkMemory
from uformer.weights.checkpoint import State

Tiles = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Weights:
    """A network's configuration and tensors, as read from a file."""

    config: UformerConfig
    state: State
    """Tensors by key; empty if `file` holds them."""
    file: Path | None = None
    """An exported file, which also holds the graph. Each process that runs it reads it itself."""
    exported: bytes | None = None
    """The content of an .onnx file with the same network; see the module `exported`."""
    range: str = "auto"
    """How training scaled values to [0, 1]: auto, full or LOW:HIGH. Restoring does the same by default."""


class Runner(Protocol):
    """A network that is ready to restore tiles of one size."""

    precision: str
    """See `Backend.precision`."""

    @property
    def batch(self) -> int:
        """The number of tiles to pass in one call. More are possible, but not faster."""
        ...

    def __call__(self, tiles: Tiles) -> Tiles:
        """Restore (B, C, h, w) float32 in [0, 1] to (B, C, h, w) float32, not clipped.

        Raises MemoryError if the device has too little memory.
        """
        ...

    def in_fp32(self) -> Runner:
        """Return the same network in float32."""
        ...


class Backend(Protocol):
    """A network on a device, in a precision. It knows its memory needs before it loads anything large."""

    @property
    def device(self) -> str:
        """The device, as options name it, such as cpu or cuda:1; never "auto"."""
        ...

    @property
    def precision(self) -> str:
        """The numeric precision: fp32, bf16 or fp16 (or int8, for an exported file); never "auto"."""
        ...

    @property
    def grain(self) -> int:
        """The number of pixels of which the sides and starts of tiles are multiples."""
        ...

    @property
    def memory(self) -> NetworkMemory | None:
        """The memory of the process that the network takes; None if the device has its own memory."""
        ...

    def for_size(self, height: int, width: int) -> Runner:
        """Return the runner for tiles of a size, both sides multiples of `grain`."""
        ...


def reason(error: BaseException) -> str:
    """Return the last line of a driver's error; the lines before it say where in the driver it happened."""
    lines = str(error).strip().splitlines()
    return one_line(lines[-1] if lines else type(error).__name__)


def window_grain(config: UformerConfig) -> int:
    """Return the grain of a network that does not pad: whole windows in all but the two lowest levels."""
    return max(config.multiple // 4, config.stride)
