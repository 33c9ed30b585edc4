"""The golden tile, and what counts as a wrong restoration of it."""

import hashlib
import re

import numpy as np
import pytest

from uformer.config import UformerConfig
from uformer.restore.backends.golden import Tile, fault, golden_tile, golden_tile_for

EXPECTED = golden_tile(3, 32)


def test_the_tile_is_a_pure_function() -> None:
    tile = golden_tile(3)
    assert tile.shape == (3, 256, 256)
    assert tile.dtype == np.float32
    assert np.array_equal(tile, golden_tile(3))
    assert tile.min() == 0
    assert tile.max() == 1
    assert min(tile.std(axis=(1, 2))) > 0.2
    assert not np.array_equal(tile[0], tile[1])
    levels = np.rint(255 * tile).astype(np.uint8)
    assert hashlib.sha256(levels.tobytes()).hexdigest()[:8] == "22f4e1f5"


def test_its_sides_are_whole_for_a_network() -> None:
    assert golden_tile_for(UformerConfig(), 300).shape == (3, 384, 384)
    assert np.array_equal(golden_tile_for(UformerConfig()), golden_tile(3))


@pytest.mark.parametrize(
    ("restored", "precision", "said"),
    [
        (EXPECTED, "fp32", None),
        (EXPECTED + np.float32(0.9 / 255), "fp16", None),
        (
            EXPECTED + np.float32(0.9 / 255),
            "fp32",
            "wrong values: 0.90 of 255 .* 0.9 at most .allowed: 0.25 and 4",
        ),
        (EXPECTED + np.float32(1.1 / 255), "int8", "wrong values: 1.10 of 255 levels"),
        (EXPECTED * (1 - np.eye(32, dtype=np.float32) / 8), "bf16", "wrong values"),
        (np.zeros_like(EXPECTED), "fp16", "it returned a black tile"),
        (np.where(EXPECTED > 0.9, np.nan, EXPECTED), "fp16", "^it returned non-finite values$"),
        (np.where(EXPECTED > 0.9, np.inf, EXPECTED), "fp16", "^it returned non-finite values$"),
        (EXPECTED[:, :16], "fp16", r"^it returned shape \(3, 16, 32\) instead of"),
    ],
)
def test_faults(restored: Tile, precision: str, said: str | None) -> None:
    found = fault(restored, EXPECTED, precision)
    if said is None:
        assert found is None
    else:
        assert found is not None
        assert re.search(said, found)


def test_large_values_may_differ_by_more() -> None:
    assert fault(100 * EXPECTED + np.float32(50 / 255), 100 * EXPECTED, "fp16") is None
    assert fault(EXPECTED + np.float32(50 / 255), EXPECTED, "fp16") is not None
