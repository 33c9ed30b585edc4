"""The golden self-check: a fixed tile, and what is wrong with a device's restoration of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uformer.config import UformerConfig

SIDE = 256
"""Side of the tile in pixels."""

MOST_MEAN = {"fp32": 0.25, "half": 1.0}
"""Largest root of the mean squared difference, in levels of 255. `half`: every precision but fp32."""
MOST_ANYWHERE = {"fp32": 4.0, "half": 16.0}
"""Largest difference of any sample, in levels of 255."""

_SEED = 20220609

Tile = NDArray[np.float32]


def golden_tile(channels: int, side: int = SIDE) -> Tile:
    """Return a tile (channels, side, side) in [0, 1] with waves, edges, fine stripes, streaks and noise.

    Every network that ships changes it, so a device that does nothing is found too.
    """
    rng = np.random.default_rng(_SEED)
    y, x = np.mgrid[:side, :side].astype(np.float32) / 256
    edges = 0.3 * ((np.floor(8 * x) + np.floor(8 * y)) % 2) - 0.15
    stripes = 0.1 * np.sin(2 * np.pi * 20 * x * y)
    drops = 0.3 * (rng.random((side, side)) > 0.998)
    streaks = np.sum([np.roll(drops, (step, step // 3), (0, 1)) for step in range(16)], axis=0)
    tile = np.empty((channels, side, side), np.float32)
    for channel, plane in enumerate(tile):
        waves = 0.5 + 0.25 * np.sin(2 * np.pi * (1.5 * x + 0.5 * channel * y))
        waves += 0.15 * np.cos(2 * np.pi * (2 * y - x))
        plane[...] = waves + edges + stripes + streaks + rng.normal(0, 0.08, (side, side))
    return tile.clip(0, 1)


def golden_tile_for(config: UformerConfig, side: int = SIDE) -> Tile:
    """Return the golden tile for a network, with sides rounded up to what it takes without padding."""
    return golden_tile(config.in_channels, -(-side // config.multiple) * config.multiple)


def differences(restored: Tile, expected: Tile) -> tuple[float, float]:
    """Return the root of the mean squared difference and the largest difference from a reference.

    They are in levels of 255, or relative to the largest value of a reference that exceeds 1.
    """
    difference = 255 * np.abs(restored - expected) / max(1.0, float(np.abs(expected).max()))
    return float(np.sqrt(np.mean(difference**2))), float(difference.max())


def fault(restored: Tile, expected: Tile, precision: str) -> str | None:
    """Return in what way `restored` differs from the reference `expected`; None if it is close enough."""
    if restored.shape != expected.shape:
        return f"it returned shape {restored.shape} instead of {expected.shape}"
    if not np.isfinite(restored).all():
        return "it returned non-finite values"
    mean, largest = differences(restored, expected)
    kind = "fp32" if precision == "fp32" else "half"
    if mean <= MOST_MEAN[kind] and largest <= MOST_ANYWHERE[kind]:
        return None
    black = "a black tile" if not restored.any() else "wrong values"
    return (
        f"it returned {black}: {mean:.2f} of 255 levels from the CPU's on average, {largest:.1f} at most"
        f" (allowed: {MOST_MEAN[kind]:g} and {MOST_ANYWHERE[kind]:g})"
    )
