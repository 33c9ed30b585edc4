"""One call: `uformer.restore(image)`."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import uformer
from tests.networks import TINY
from uformer.layout import parameter_shapes
from uformer.restore.network import Network
from uformer.restore.options import NetworkOptions
from uformer.weights import checkpoint

GRAY = np.full((8, 8), 128, np.uint8)


def save(path: Path, bias: float = 0.0) -> Path:
    """Weights that add `bias` to every sample."""
    state = {key: np.zeros(shape, np.float32) for key, shape in parameter_shapes(TINY).items()}
    state["output_proj.conv.bias"] += np.float32(bias)
    checkpoint.write(path, TINY, state)
    return path


def test_a_weights_file_that_has_changed_is_loaded_again(tmp_path: Path) -> None:
    levels = []
    for bias in (0.0, 0.25):
        path = save(tmp_path / "w.safetensors", bias)
        levels.append(int(uformer.restore(GRAY, weights=path, backend="torch", device="cpu")[0, 0]))
    assert levels == [128, 192]


def test_a_network_is_loaded_once_whatever_the_other_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load, loads = Network.load, []

    def count(options: NetworkOptions) -> Network:
        loads.append(options)
        return load(options)

    monkeypatch.setattr(Network, "load", count)
    path = save(tmp_path / "w.safetensors", 0.25)
    options: dict[str, Any] = {"weights": path, "backend": "torch", "device": "cpu"}
    levels = [int(uformer.restore(GRAY, **options, strength=strength)[0, 0]) for strength in (1.0, 0.5, 0.0)]
    assert levels == [192, 160, 128]
    assert len(loads) == 1
