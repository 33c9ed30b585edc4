import dataclasses
import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from tests.networks import KINDS, configs
from uformer.complexity import PAPER, Cost, as_the_paper_counts, multiply_adds
from uformer.config import VARIANTS, UformerConfig, variant
from uformer.errors import OptionError
from uformer.layout import parameter_shapes
from uformer.model.uformer import Uformer

PARTS = [field.name for field in dataclasses.fields(Cost)]


def counted(config: UformerConfig, height: int, width: int) -> dict[str, int]:
    """Multiply-adds of one forward pass by module: half of the operations that torch counts."""
    with torch.device("meta"):
        model = Uformer(config).eval()
        with FlopCounterMode(display=False, depth=4) as counter:
            model(torch.empty(1, config.in_channels, height, width))
    return {name: sum(operations.values()) // 2 for name, operations in counter.get_flop_counts().items()}


@settings(max_examples=6)
@given(configs(), st.integers(1, 40), st.integers(1, 40))
def test_is_what_torch_counts(config: UformerConfig, height: int, width: int) -> None:
    ours, theirs = multiply_adds(config, height, width), counted(config, height, width)
    assert ours.total == theirs["Global"]
    for stage in ours.stages:
        assert stage.cost.total == theirs[f"Uformer.{stage.name}"]


@pytest.mark.parametrize(
    "name",
    [
        "uformer_t",
        "uformer_32_concat_cross",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("uformer_b", "uformer_32_cross")),
    ],
)
def test_is_what_torch_counts_of_variants(name: str) -> None:
    assert multiply_adds(variant(name), 128, 200).total == counted(variant(name), 128, 200)["Global"]


@pytest.mark.parametrize(
    ("name", "paper"), [("uformer_t", 12.00), ("uformer_s", 43.86), ("uformer_b", 89.46)]
)
def test_is_the_paper_s_figure_but_for_its_upsampling_and_norms(name: str, paper: float) -> None:
    """The paper counts each upsampling four times, and one multiply-add for each value of a norm."""
    found = as_the_paper_counts(multiply_adds(variant(name), 256, 256))
    assert f"{found.total / 1e9:.2f}" == f"{paper:.2f}"
    assert f"{found.total / 1e9:.1f}" == f"{PAPER[name]:.1f}"
    assert 0.93 < found.used / found.total < 0.97
    assert found.used == multiply_adds(variant(name), 256, 256).total


@given(configs(), st.integers(1, 300), st.integers(1, 300))
def test_is_of_the_padded_picture(config: UformerConfig, height: int, width: int) -> None:
    found = multiply_adds(config, height, width)
    for length, padded in ((height, found.height), (width, found.width)):
        assert padded % config.multiple == 0
        assert length <= padded < length + config.multiple
    assert found == multiply_adds(config, found.height, found.width)


@given(configs(), st.integers(1, 3), st.integers(1, 3), st.integers(1, 4), st.integers(1, 4))
def test_linear_in_height_and_width(
    config: UformerConfig, down: int, across: int, taller: int, wider: int
) -> None:
    config = dataclasses.replace(config, cross_modulator=False)  # its own keys and values are constant
    height, width = down * config.multiple, across * config.multiple
    here, there = multiply_adds(config, height, width), multiply_adds(config, taller * height, wider * width)
    for part in PARTS:
        assert getattr(there.cost, part) == taller * wider * getattr(here.cost, part)
    assert there.total == taller * wider * here.total


@given(configs(), st.integers(2, 4))
def test_scores_and_values_grow_with_the_window_s_area_and_nothing_else_grows(
    config: UformerConfig, times: int
) -> None:
    config = dataclasses.replace(config, cross_modulator=False)
    wider = dataclasses.replace(config, window_size=times * config.window_size)
    here, there = (multiply_adds(one, wider.multiple, 2 * wider.multiple).cost for one in (config, wider))
    assert there.scores_values == times**2 * here.scores_values
    assert dataclasses.replace(there, scores_values=0) == dataclasses.replace(here, scores_values=0)


@pytest.mark.parametrize("name", VARIANTS)
def test_attention_is_window_area_times_tokens_times_channels(name: str) -> None:
    config = variant(name)
    found = multiply_adds(config, 256, 384)
    stages = [stage for stage in found.stages if stage.cost.scores_values]
    for index, (stage, depth) in enumerate(zip(stages, config.depths, strict=True)):
        attended = 2 if index > config.levels and config.skip != "concat" else 1
        assert (
            stage.cost.scores_values
            == 2 * attended * depth * config.window_size**2 * stage.height * stage.width * stage.channels
        )


@given(configs(), st.integers(1, 3), st.integers(1, 3), st.integers(2, 4))
def test_global_attention_is_quadratic(config: UformerConfig, down: int, across: int, times: int) -> None:
    config = dataclasses.replace(config, cross_modulator=False)
    height, width = down * config.multiple, across * config.multiple
    here = multiply_adds(config, height, width, global_attention=True).cost
    taller = multiply_adds(config, times * height, width, global_attention=True).cost
    larger = multiply_adds(config, times * height, times * width, global_attention=True).cost
    assert taller.scores_values == times**2 * here.scores_values
    assert larger.scores_values == times**4 * here.scores_values
    assert larger.feed_forward == times**2 * here.feed_forward


@given(configs(), st.integers(1, 3))
def test_global_attention_is_a_window_of_the_whole_map(config: UformerConfig, count: int) -> None:
    """On each level, windows as large as the map cost the same as global attention."""
    config = dataclasses.replace(config, cross_modulator=False)
    side = count * config.multiple
    everywhere = multiply_adds(config, side, side, global_attention=True).stages
    for level in range(config.levels + 1):
        whole = dataclasses.replace(config, window_size=side >> level)
        windows = multiply_adds(whole, side << config.levels, side << config.levels).stages
        for index, stage in enumerate(everywhere):
            if stage.cost.scores_values and stage.height == side >> level:
                per_token = windows[index].cost.scores_values // (
                    windows[index].height * windows[index].width
                )
                assert stage.cost.scores_values == per_token * stage.height * stage.width


@given(configs())
def test_steps_are_those_of_the_state_dict(config: UformerConfig) -> None:
    keys = parameter_shapes(config)
    names = [stage.name for stage in multiply_adds(config, 1, 1).stages]
    assert all(any(key.startswith(f"{name}.") for key in keys) for name in names)
    assert all(any(key.startswith(f"{name}.") for name in names) for key in keys)
    assert [name for name, _ in itertools.groupby(names)] == names


def test_is_frozen_and_adds_up() -> None:
    found = multiply_adds(KINDS["2022"], 8, 8)
    assert found.total == found.cost.total == sum(stage.cost.total for stage in found.stages)
    assert found.cost.total == sum(getattr(found.cost, part) for part in PARTS)
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.height = 1  # type: ignore[misc]


@pytest.mark.parametrize(("height", "width"), [(0, 8), (8, 0), (-1, 8)])
def test_refuses_no_picture(height: int, width: int) -> None:
    with pytest.raises(OptionError, match=f"size: {height}x{width} must be at least 1x1"):
        multiply_adds(KINDS["2022"], height, width)
