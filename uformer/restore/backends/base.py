"""What a backend is: weights, and how they become something that restores tiles."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from uformer.config import UformerConfig
from uformer.restore.memory import NetworkMemory
from uformer.weights.checkpoint import State

Tiles = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Weights:
    """A network's configuration and tensors, as read from a file."""

    config: UformerConfig
    state: State
    """Tensors by key; none where `file` holds them."""
    file: Path | None = None
    """An exported file, which holds the graph too; every process that computes reads it by itself."""


class Runner(Protocol):
    """A network that is ready to compute: tiles of one size in, restored tiles out."""

    precision: str
    """As of Backend."""

    def __call__(self, tiles: Tiles) -> Tiles:
        """(B, C, h, w) float32 in [0, 1] to (B, C, h, w) float32, not clipped.

        Raises MemoryError where the device has too little memory.
        """
        ...

    def in_fp32(self) -> Runner:
        """The same network, in float32."""
        ...


class Backend(Protocol):
    """A network on a device, in a precision; it says what it needs before it loads anything large."""

    @property
    def precision(self) -> str:
        """The numbers it computes in: fp32, bf16 or fp16 (or int8, for an exported file); never "auto"."""
        ...

    @property
    def grain(self) -> int:
        """Pixels; the sides and the starts of tiles are multiples of it."""
        ...

    @property
    def memory(self) -> NetworkMemory | None:
        """What it takes of the process's memory; None where the device has memory of its own."""
        ...

    def for_size(self, height: int, width: int) -> Runner:
        """The network for tiles of a size, multiples of `grain`."""
        ...


def window_grain(config: UformerConfig) -> int:
    """The grain of a network that does not pad: whole windows in all but the two lowest levels."""
    return max(config.multiple // 4, config.stride)
