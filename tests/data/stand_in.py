"""Degradations whose effect is easy to see, for tests."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Halve:
    """Half as bright, and a little random."""

    margin: int = 0

    def apply(self, clean: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        return (clean / 2 + rng.random(clean.shape, np.float32) / 100).astype(np.float32), clean


@dataclass(frozen=True)
class Identity:
    """Nothing changes; a margin to be cut."""

    margin: int = 0

    def apply(self, clean: np.ndarray, _rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        return clean, clean
