import contextlib
import dataclasses
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.networks import configs
from uformer.config import VARIANTS, UformerConfig, differences, variant
from uformer.errors import CheckpointError, OptionError
from uformer.layout import parameter_count

PARAMETERS = {
    "uformer_t": 5_291_853,
    "uformer_s": 20_751_197,
    "uformer_b": 50_880_946,
    "uformer_16": 5_230_413,
    "uformer_16_cross": 3_772_733,
    "uformer_16_concat_cross": 3_677_023,
    "uformer_32": 20_628_317,
    "uformer_32_cross": 14_841_661,
    "uformer_32_concat_cross": 14_482_911,
}


def test_variants_are_those_published() -> None:
    assert {name: parameter_count(config) for name, config in VARIANTS.items()} == PARAMETERS


def test_variants_differ_as_the_papers_say() -> None:
    for name in ("uformer_t", "uformer_s", "uformer_b"):
        assert variant(name).modulator
        assert variant(name).skip == "concat"
    assert variant("uformer_b").depths == (1, 2, 8, 8, 2, 8, 8, 2, 1)
    assert {variant(name).skip for name in ("uformer_16", "uformer_16_cross", "uformer_16_concat_cross")} == {
        "concat",
        "cross",
        "concat_cross",
    }
    assert not any(config.modulator for name, config in VARIANTS.items() if name[8] in "13")


def test_unknown_variant_lists_those_known() -> None:
    with pytest.raises(OptionError, match=r"'uformer_x'; known: uformer_t, .*uformer_32_concat_cross$"):
        variant("uformer_x")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"embed_dim": 0}, "embed_dim: 0 must be at least 1"),
        ({"window_size": 0}, "window_size: 0"),
        ({"in_channels": 0}, "in_channels: 0"),
        ({"out_channels": -1}, "out_channels: -1"),
        ({"depths": (1,)}, "depths: "),
        ({"depths": (1, 1)}, "depths: "),
        ({"depths": ()}, "depths: "),
        ({"depths": (2, 2, 2, 2, 0, 2, 2, 2, 2)}, "depths: "),
        ({"depths": (1, 1, 1)}, "num_heads: 9 values for 3 stages"),
        (
            {"num_heads": (3, 2, 4, 8, 16, 16, 8, 4, 2)},
            "num_heads: 3 heads do not divide the 32 channels of stage 0",
        ),
        ({"num_heads": (0, 2, 4, 8, 16, 16, 8, 4, 2)}, "num_heads: 0 heads do not divide"),
        ({"drop_path_rate": 1.0}, "drop_path_rate: 1.0"),
        ({"drop_path_rate": math.nan}, "drop_path_rate: nan"),
        ({"mlp_ratio": 0.0}, "mlp_ratio: 0.0"),
        ({"mlp_ratio": math.nan}, "mlp_ratio: nan"),
        ({"mlp_ratio": math.inf}, "mlp_ratio: inf"),
        ({"mlp_ratio": 0.01}, "mlp_ratio: 0.01"),
        ({"mlp_ratio": 1.7e308}, "mlp_ratio: 1.7e+308"),
        ({"embed_dim": 10**400}, "embed_dim: 1000"),
        ({"depths": (1, 10**9, 1)}, "depths: 1000000002 blocks are more than 10000"),
        ({"embed_dim": "32"}, "embed_dim: '32' is not a whole number"),
        ({"depths": 9}, "depths: 9 is not a list of whole numbers"),
        ({"skip": "add"}, "skip: 'add' is not one of concat, cross, concat_cross"),
        ({"feed_forward": "cnn"}, "feed_forward: 'cnn' is not one of leff, mlp"),
        ({"cross_blocks": "first"}, "cross_blocks: 'first' needs skip 'cross', not 'concat'"),
        ({"interleaved_keys": True}, "interleaved_keys: True needs skip 'concat_cross', not 'concat'"),
    ],
)
def test_refuses(values: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError) as caught:
        UformerConfig(**values)  # type: ignore[arg-type]
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@given(configs())
def test_json_there_and_back(config: UformerConfig) -> None:
    assert UformerConfig.from_json(config.to_json()) == config


def test_is_a_value() -> None:
    assert hash(UformerConfig()) == hash(UformerConfig())
    listed = UformerConfig(depths=[1, 1, 1], num_heads=[1, 1, 1])  # type: ignore[arg-type]
    assert listed == UformerConfig(depths=(1, 1, 1), num_heads=(1, 1, 1))
    with pytest.raises(dataclasses.FrozenInstanceError):
        UformerConfig().embed_dim = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "not a JSON object"),
        ('"concat"', "not a JSON object"),
        ('{"width": 3}', "unknown field 'width'"),
        ('{"embed_dim": 32.5}', "embed_dim: 32.5 is not a whole number"),
        ('{"embed_dim": true}', "embed_dim: True"),
        ('{"embed_dim": null}', "embed_dim: None"),
        ('{"depths": 2}', "depths: 2 is not a list of whole numbers"),
        ('{"depths": [2, "2"]}', "depths: "),
        ('{"shift": 1}', "shift: 1"),
        ('{"skip": ["concat"]}', "skip: "),
        ('{"skip": "add"}', "skip: 'add' is not one of concat, cross, concat_cross"),
        ('{"mlp_ratio": "4"}', "mlp_ratio: '4' is not a number"),
        ('{"mlp_ratio": NaN}', "not usable: mlp_ratio: nan"),
        ('{"mlp_ratio": 1e999}', "not usable: mlp_ratio: inf"),
        ('{"embed_dim": -1}', "not usable: embed_dim: -1"),
    ],
)
def test_from_json_refuses(text: str, message: str) -> None:
    with pytest.raises(CheckpointError, match=message.replace("[", r"\[")):
        UformerConfig.from_json(text)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda x: st.lists(x) | st.dictionaries(st.text(), x),
    )
)
def test_from_json_gives_a_config_or_one_error(value: object) -> None:
    names = [field.name for field in dataclasses.fields(UformerConfig)]
    for text in [json.dumps(value), *(json.dumps({name: value}) for name in names)]:
        with contextlib.suppress(CheckpointError):
            assert isinstance(UformerConfig.from_json(text), UformerConfig)


def test_json_may_leave_fields_out() -> None:
    assert UformerConfig.from_json('{"mlp_ratio": 3}') == UformerConfig(mlp_ratio=3)


def test_differences_name_fields_but_those_of_training() -> None:
    model = UformerConfig(window_size=4, drop_path_rate=0.3, gradient_checkpointing=True)
    assert differences(UformerConfig(), model) == ["window_size: file 8, model 4"]
    assert differences(UformerConfig(modulator=True), UformerConfig(skip="cross")) == [
        "skip: file concat, model cross",
        "modulator: file True, model False",
    ]


@given(configs())
def test_geometry(config: UformerConfig) -> None:
    assert len(config.stage_dims) == len(config.stage_levels) == len(config.depths) == 2 * config.levels + 1
    assert config.stage_levels == config.stage_levels[::-1]
    assert config.stage_levels[config.levels] == config.levels
    for stage, level in enumerate(config.stage_levels):
        widened = 2 if stage > config.levels and config.skip == "concat" else 1
        assert config.stage_dims[stage] == widened * config.embed_dim * 2**level
        assert (config.multiple / 2**level) % config.window_size == 0
        shifts = config.shift and (config.bottleneck_shift or stage != config.levels)
        assert config.stage_shift(stage) == (config.window_size // 2 if shifts else 0)
