import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.networks import KINDS, TINY, configs
from uformer.config import VARIANTS, UformerConfig
from uformer.structure import ConvPlan, StagePlan, plan, relative_position_index

DEEP = dataclasses.replace(TINY, depths=(2, 1, 3, 1, 2), num_heads=(1, 2, 4, 2, 1))


def test_steps_come_in_the_order_of_the_computation() -> None:
    assert [(step.name, step.level) for step in plan(DEEP)] == [
        ("input_proj", 0),
        ("encoder.0", 0),
        ("downsample.0", 1),
        ("encoder.1", 1),
        ("downsample.1", 2),
        ("bottleneck", 2),
        ("upsample.0", 1),
        ("decoder.0", 1),
        ("upsample.1", 0),
        ("decoder.1", 0),
        ("output_proj", 0),
    ]


@given(configs())
def test_every_step_takes_what_the_one_before_gives(config: UformerConfig) -> None:
    structure = plan(config)
    dim, level = config.in_channels, 0
    skips: list[StagePlan] = []
    for step in structure:
        if isinstance(step, ConvPlan):
            assert step.in_dim == dim
            halved = 0 if step.stride == 1 else -1 if step.transposed else 1
            assert step.level == level + halved
        elif step in structure.decoder:
            skip = skips.pop()
            assert step.level == skip.level
            assert dim == skip.dim  # as many channels as the skip, whether attended to or concatenated
            assert step.dim == dim + (skip.dim if step.concat else 0)
        else:
            assert (step.dim, step.level) == (dim, level)
            if step in structure.encoder:
                skips.append(step)
        dim, level = step.dim, step.level
    assert (dim, level, skips) == (config.out_channels, 0, [])


@given(configs())
def test_convolutions_halve_double_and_keep_even_sizes(config: UformerConfig) -> None:
    for step in plan(config):
        if isinstance(step, ConvPlan) and step.transposed:
            assert (8 - 1) * step.stride - 2 * step.padding + step.kernel == 16
        elif isinstance(step, ConvPlan):
            assert (8 + 2 * step.padding - step.kernel) // step.stride + 1 == 8 // step.stride


@given(configs())
def test_stages_are_those_of_the_configuration(config: UformerConfig) -> None:
    structure = plan(config)
    stages = [step for step in structure if isinstance(step, StagePlan)]
    assert tuple(stages) == structure.stages
    assert tuple(len(stage.blocks) for stage in stages) == config.depths
    assert tuple(stage.num_heads for stage in stages) == config.num_heads
    assert tuple(stage.dim for stage in stages) == config.stage_dims
    assert tuple(stage.level for stage in stages) == config.stage_levels
    for stage in stages:
        for index, block in enumerate(stage.blocks):
            assert block.name == f"{stage.name}.blocks.{index}"
            assert (block.dim, block.num_heads) == (stage.dim, stage.num_heads)
            assert block.window_size == stage.window_size == config.window_size
            assert block.hidden == int(stage.dim * config.mlp_ratio)


@pytest.mark.parametrize(
    ("change", "shifts"),
    [
        ({}, [[0, 2], [0], [0, 2, 0], [0], [0, 2]]),
        ({"bottleneck_shift": False}, [[0, 2], [0], [0, 0, 0], [0], [0, 2]]),
        ({"shift": False}, [[0, 0], [0], [0, 0, 0], [0], [0, 0]]),
    ],
)
def test_every_second_block_shifts_by_half_a_window(change: dict[str, bool], shifts: list[list[int]]) -> None:
    stages = plan(dataclasses.replace(DEEP, **change)).stages  # type: ignore[arg-type]
    assert [[block.shift for block in stage.blocks] for stage in stages] == shifts


@pytest.mark.parametrize(
    ("kind", "memory"),
    [
        ("2022", [None, None]),
        ("cross", ["cross", "cross"]),
        ("cross first", ["cross", None]),
        ("concat_cross", ["joint", "joint"]),
    ],
)
def test_memory_and_modulators_are_the_decoder_s_alone(kind: str, memory: list[str | None]) -> None:
    config = dataclasses.replace(KINDS[kind], depths=(2, 2, 2), modulator=True, cross_modulator=True)
    structure = plan(config)
    for stage in structure.stages:
        decoder = stage in structure.decoder
        assert stage.concat == (decoder and config.skip == "concat")
        assert [block.memory for block in stage.blocks] == (memory if decoder else [None, None])
        assert all(block.modulator == block.cross_modulator == decoder for block in stage.blocks)
    for stage in plan(dataclasses.replace(config, modulator=False, cross_modulator=False)).stages:
        assert not any(block.modulator or block.cross_modulator for block in stage.blocks)


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.4])
def test_drop_path_rises_to_the_bottleneck_and_falls_again(rate: float) -> None:
    stages = plan(dataclasses.replace(DEEP, drop_path_rate=rate)).stages
    rates = [[block.drop_path for block in stage.blocks] for stage in stages]
    assert rates == [
        pytest.approx([0, rate / 2]),
        pytest.approx([rate]),
        pytest.approx([rate, rate, rate]),
        pytest.approx([rate]),
        pytest.approx([rate / 2, 0]),
    ]


@pytest.mark.parametrize(("channels", "residual"), [((3, 3), True), ((6, 3), False), ((1, 1), True)])
def test_residual_where_channels_are_equal(channels: tuple[int, int], *, residual: bool) -> None:
    config = dataclasses.replace(TINY, in_channels=channels[0], out_channels=channels[1])
    assert plan(config).residual is residual


@pytest.mark.parametrize("name", VARIANTS)
def test_a_plan_is_a_value(name: str) -> None:
    assert plan(VARIANTS[name]) == plan(VARIANTS[name])
    assert len({plan(VARIANTS[name]), plan(VARIANTS[name])}) == 1


@given(st.integers(1, 9))
def test_relative_position_index(side: int) -> None:
    index = relative_position_index(side).tolist()
    rows: dict[tuple[int, int], int] = {}
    for i in range(side**2):
        for j in range(side**2):
            offset = (i // side - j // side, i % side - j % side)
            assert index[i][j] == (offset[0] + side - 1) * (2 * side - 1) + offset[1] + side - 1
            assert rows.setdefault(offset, index[i][j]) == index[i][j]
    assert sorted(rows.values()) == list(range((2 * side - 1) ** 2))
