"""What a backend is."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Backend(Protocol):
    """A network on a device: tiles in, restored tiles out."""

    precision: str
    """In what numbers it computes: fp32, bf16 or fp16."""

    def __call__(self, tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        """(B, C, h, w) float32 in [0, 1] to (B, C, h, w) float32, not clipped."""
        ...

    def in_fp32(self) -> Backend:
        """The same network, in float32."""
        ...
