"""Weights made to fit other channels and other windows."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

from tests.networks import KINDS, TINY, build
from uformer.config import UformerConfig
from uformer.errors import OptionError
from uformer.layout import parameter_shapes
from uformer.model.uformer import Uformer
from uformer.structure import relative_position_index
from uformer.weights import checkpoint
from uformer.weights.adapt import adapt


def state_of(model: Uformer) -> dict[str, np.ndarray]:
    return {key: value.numpy() for key, value in model.state_dict().items()}


def adapted(model: Uformer, **fields: Any) -> Uformer:
    wanted: UformerConfig = dataclasses.replace(model.config, **fields)
    return checkpoint.to_model(wanted, adapt(state_of(model), model.config, wanted, name="tiny"))


@torch.inference_mode()
def test_one_channel_gives_the_mean_of_what_three_equal_channels_give() -> None:
    model, gray = build(KINDS["2022"]), torch.rand(1, 1, 16, 24)
    wanted = model(gray.expand(-1, 3, -1, -1)).mean(1, keepdim=True)
    found = adapted(model, in_channels=1, out_channels=1)(gray)
    assert torch.allclose(found, wanted, atol=1e-5)


@torch.inference_mode()
def test_six_channels_give_what_three_give_twice() -> None:
    model = build(TINY)
    image = torch.rand(1, 3, 16, 24)
    other = adapted(model, in_channels=6, out_channels=6)
    found, wanted = other(image.repeat(1, 2, 1, 1)), model(image)
    assert torch.allclose(found, wanted.repeat(1, 2, 1, 1), atol=1e-5)


def test_four_channels_repeat_the_first() -> None:
    model = build(TINY)
    four = adapted(model, in_channels=4, out_channels=4)
    old, new = (each.state_dict()["input_proj.conv.weight"] for each in (model, four))
    assert torch.equal(new, old[:, [0, 1, 2, 0]] * 0.75)


@pytest.mark.parametrize("side", [2, 3, 7])
def test_each_distance_keeps_its_bias(side: int) -> None:
    model = build(KINDS["2022"])
    key = "encoder.0.blocks.0.attn.relative_position_bias_table"
    old, new = model.state_dict()[key], adapted(model, window_size=side).state_dict()[key]
    before = old[torch.tensor(relative_position_index(4))]  # (16, 16, heads), of windows of 4 x 4
    after = new[torch.tensor(relative_position_index(side))]
    near = min(side, 4)
    for y in range(near):
        for x in range(near):
            assert torch.equal(after[0, y * side + x], before[0, y * 4 + x])
            assert torch.equal(after[y * side + x, 0], before[y * 4 + x, 0])
    if side > 4:
        assert torch.equal(after[0, side - 1], before[0, 3])


@torch.inference_mode()
def test_a_modulator_is_repeated_so_that_each_token_keeps_its_own() -> None:
    """With every other weight of the attention at 0, windows of twice the side change nothing."""
    model = build(KINDS["2022"])
    for key, value in model.state_dict().items():
        if ".attn.proj" in key:
            value.zero_()
    modulator = model.state_dict()["decoder.0.blocks.0.modulator"].reshape(4, 4, -1)
    twice = adapted(model, window_size=8).state_dict()["decoder.0.blocks.0.modulator"].reshape(8, 8, -1)
    assert torch.equal(twice, modulator.repeat(2, 2, 1))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_network_fits(kind: str) -> None:
    config = KINDS[kind]
    wanted = dataclasses.replace(config, window_size=3, in_channels=1, out_channels=1, drop_path_rate=0.3)
    state = adapt(state_of(build(config)), config, wanted, name="tiny")
    assert {key: value.shape for key, value in state.items()} == parameter_shapes(wanted)


def test_the_same_network_keeps_its_tensors() -> None:
    state = state_of(build(TINY))
    same = adapt(state, TINY, TINY, name="tiny")
    assert all(same[key] is value for key, value in state.items())


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"embed_dim": 8}, "embed_dim: tiny has 4, not 8; leave embed_dim out, or start from random"),
        ({"modulator": True, "window_size": 2}, "modulator: tiny has False, not True; leave modulator out"),
        ({"shift": False}, "shift: tiny has True, not False"),
        ({"in_channels": 4}, "out_channels: 3 for in_channels 4 does not fit tiny: a network adds its input"),
    ],
)
def test_another_network_is_refused(fields: dict[str, Any], said: str) -> None:
    wanted: UformerConfig = dataclasses.replace(TINY, **fields)
    with pytest.raises(OptionError) as caught:
        adapt(state_of(build(TINY)), TINY, wanted, name="tiny")
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)
