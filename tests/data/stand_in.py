"""Degradations with an obvious effect, for tests."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Halve:
    """Halves the brightness and adds a little noise."""

    margin: int = 0

    def apply(self, clean: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        return (clean / 2 + rng.random(clean.shape, np.float32) / 100).astype(np.float32), clean


@dataclass(frozen=True)
class Identity:
    """Changes nothing, but has a margin to cut off."""

    margin: int = 0

    def apply(self, clean: np.ndarray, _rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        return clean, clean
