import dataclasses
import math

import pytest
import torch
from hypothesis import given, settings

from tests.networks import KINDS, configs
from uformer.config import VARIANTS, UformerConfig
from uformer.layout import parameter_count, parameter_shapes
from uformer.model.uformer import Uformer


def shapes_of(model: Uformer) -> dict[str, tuple[int, ...]]:
    return {key: tuple(value.shape) for key, value in model.state_dict().items()}


def on_no_device(config: UformerConfig) -> Uformer:
    with torch.device("meta"):
        return Uformer(config)


@settings(max_examples=40)
@given(configs())
def test_is_the_state_dict(config: UformerConfig) -> None:
    model = on_no_device(config)
    assert parameter_shapes(config) == shapes_of(model)
    assert parameter_count(config) == sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("name", VARIANTS)
def test_is_the_state_dict_of_variants(name: str) -> None:
    assert parameter_shapes(VARIANTS[name]) == shapes_of(on_no_device(VARIANTS[name]))


@pytest.mark.parametrize("name", KINDS)
def test_counts_every_value_once(name: str) -> None:
    shapes = parameter_shapes(KINDS[name])
    assert parameter_count(KINDS[name]) == sum(math.prod(shape) for shape in shapes.values())
    assert len(set(shapes)) == len(shapes)


def test_order_is_the_picture_s_way() -> None:
    parts = list(
        dict.fromkeys(key.split(".")[0] for key in parameter_shapes(dataclasses.replace(KINDS["2021"])))
    )
    assert parts == [
        "input_proj",
        "encoder",
        "downsample",
        "bottleneck",
        "upsample",
        "decoder",
        "output_proj",
    ]
