"""Weights of one network, made to fit another: other channels of the image, other windows."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uformer.config import UformerConfig, differences
from uformer.errors import OptionError

State = Mapping[str, NDArray[np.generic]]

ADAPTED = ("in_channels", "out_channels", "window_size")
"""The fields of a configuration that may differ from those of the weights."""


def adapt(
    state: State, config: UformerConfig, wanted: UformerConfig, *, name: str
) -> dict[str, NDArray[np.generic]]:
    """Return the tensors of `config`, called `name`, for the network `wanted`.

    - Input channels: the kernels are added up for one channel, so that a gray image gives the same tokens as
      three equal channels. For other numbers they are repeated in order, and scaled by old / new.
    - Output channels: the kernels are averaged for one channel, and otherwise repeated in order.
    - Windows: a position bias belongs to the distance between two tokens, so each distance keeps its bias;
      greater distances get that of the greatest known one. A modulator is repeated or cut off.

    Raises OptionError, which names the field, if another field differs.
    """
    fields = dataclasses.asdict(wanted)
    fitting = dataclasses.replace(config, **{field: fields[field] for field in ADAPTED})
    if found := differences(fitting, wanted):
        field = found[0].partition(":")[0]
        raise OptionError(
            f"{field}: {name} has {getattr(config, field)}, not {getattr(wanted, field)}; leave {field} out, "
            "or start from random weights with pretrained=False"
        )
    if (config.in_channels == config.out_channels) != (wanted.in_channels == wanted.out_channels):
        raise OptionError(
            f"out_channels: {wanted.out_channels} for in_channels {wanted.in_channels} does not fit {name}: "
            "a network adds its input to its output only if both have as many channels; "
            "start from random weights with pretrained=False"
        )
    adapted = dict(state)
    if wanted.in_channels != config.in_channels:
        adapted["input_proj.conv.weight"] = _input(state["input_proj.conv.weight"], wanted.in_channels)
    if wanted.out_channels != config.out_channels:
        for key in ("output_proj.conv.weight", "output_proj.conv.bias"):
            adapted[key] = _output(state[key], wanted.out_channels)
    if wanted.window_size != config.window_size:
        for key, value in state.items():
            if key.endswith("relative_position_bias_table"):
                adapted[key] = _bias_table(value, wanted.window_size)
            elif key.endswith("modulator"):
                adapted[key] = _modulator(value, wanted.window_size)
    return adapted


def _input(weight: NDArray[Any], channels: int) -> NDArray[Any]:
    """(C, old, 3, 3) to (C, channels, 3, 3)."""
    old = weight.shape[1]
    weight = weight.astype(np.float32)
    if channels == 1:
        return weight.sum(axis=1, keepdims=True)
    return weight[:, np.arange(channels) % old] * np.float32(old / channels)


def _output(value: NDArray[Any], channels: int) -> NDArray[Any]:
    """(old, ...) to (channels, ...)."""
    if channels == 1:
        return value.astype(np.float32).mean(axis=0, keepdims=True)
    return value[np.arange(channels) % len(value)]


def _bias_table(table: NDArray[Any], side: int) -> NDArray[Any]:
    """((2 M - 1)^2, heads) for windows of M x M to those of side x side."""
    old = math.isqrt(len(table))  # 2 M - 1
    farthest = old // 2
    rows = np.clip(np.arange(1 - side, side), -farthest, farthest) + farthest
    square = table.reshape(old, old, -1)[rows][:, rows]
    return square.reshape((2 * side - 1) ** 2, -1)


def _modulator(tokens: NDArray[Any], side: int) -> NDArray[Any]:
    """(M^2, C) for windows of M x M to those of side x side."""
    old = math.isqrt(len(tokens))
    rows = np.arange(side) % old
    square = tokens.reshape(old, old, -1)[rows][:, rows]
    return square.reshape(side**2, -1)
