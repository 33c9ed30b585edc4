"""The weights that ship, converted for programs that need the original keys, and back."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.golden import reference
from uformer.cli import main
from uformer.config import differences
from uformer.weights import checkpoint, registry


@pytest.fixture
def original(tmp_path: Path) -> Path:
    path = tmp_path / "original.pth"
    assert main(["convert", str(registry.find("uformer_t.denoise").path), str(path)]) == 0
    return path


def test_a_network_of_the_original_keys_restores_the_same(original: Path) -> None:
    loaded = torch.load(original, weights_only=True)
    state = {key: value.numpy() for key, value in loaded.get("state_dict", loaded).items()}
    image = np.random.default_rng(0).random((1, 3, 128, 128), dtype=np.float32)
    with torch.inference_mode():
        wanted = checkpoint.load(registry.find("uformer_t.denoise").path)(torch.from_numpy(image)).numpy()
    assert np.abs(reference.original(state, image, train_size=128) - wanted).max() < 1e-4


def test_and_back_bit_for_bit(original: Path) -> None:
    back = original.with_suffix(".safetensors")
    assert main(["convert", str(original), str(back), "--train-size", "128"]) == 0
    config, state = checkpoint.read(registry.find("uformer_t.denoise").path)
    found_config, found = checkpoint.read(back)
    assert differences(found_config, config) == []
    assert found.keys() == state.keys()
    assert all(np.array_equal(found[key], state[key]) for key in state)
