"""Deterministic weights and inputs of the golden cases: a tensor's name is its seed, so none is stored."""

import functools
import json
import math
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

CASES: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("cases.json").read_text())


@functools.cache
def state_dict(name: str) -> dict[str, Array]:
    """The case's weights under the original authors' keys, float32."""
    return draw(CASES[name]["shapes"], zero_bias=CASES[name]["zero_bias"])


def draw(shapes: Mapping[str, Sequence[int]], *, zero_bias: bool = False) -> dict[str, Array]:
    """Weights for the original authors' keys, float32."""
    weights = {}
    for key, shape in shapes.items():
        a = np.random.default_rng(zlib.crc32(key.encode())).standard_normal(shape).astype("float32")
        if key.endswith("relative_position_bias_table"):
            a = a * (0.0 if zero_bias else 0.5)
        elif "norm" in key and key.endswith("weight"):
            a = 1 + 0.1 * a
        elif "modulator" in key:
            a = 0.5 * a
        elif key.endswith("bias"):
            a = 0.1 * a
        else:
            a = a / math.sqrt(int(np.prod(shape[1:])) if len(shape) > 1 else shape[0])
        weights[key] = a.astype("float32")
    return weights


def image(name: str) -> Array:
    """The case's input, (B, C, H, W) float32 in [0, 1]."""
    case = CASES[name]
    shape = (case["batch"], case["in_ch"], case["size"], case["size"])
    return np.random.default_rng(7).random(shape, dtype="float32")


def output(name: str) -> Array:
    """The original network's output, computed in float64 and stored as float32."""
    return np.load(Path(__file__).with_name(f"{name}.npz"))["y"]
