"""Every hyperparameter is recovered from the authors' tensors, and the way back is exact."""

from typing import Any

import numpy as np
import pytest

from tests.weights.originals import ONES, original_state
from uformer.config import UformerConfig
from uformer.errors import CheckpointError, OptionError
from uformer.layout import parameter_shapes
from uformer.weights.official import from_original, original_call, to_original

CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "2021 concat": ({}, {"skip": "concat", "modulator": False, "feed_forward": "leff", "qkv_bias": True}),
    "2022 modulators": ({"modulator": True}, {"modulator": True, "cross_modulator": False}),
    "cross-modulators": (
        {"cross_modulator": True},
        {"modulator": False, "cross_modulator": True, "skip": "concat"},
    ),
    "both modulators": (
        {"modulator": True, "cross_modulator": True},
        {"modulator": True, "cross_modulator": True},
    ),
    "cross": ({"skip": "cross"}, {"skip": "cross", "cross_blocks": "all", "interleaved_keys": False}),
    "concat_cross": ({"skip": "concat_cross"}, {"skip": "concat_cross", "interleaved_keys": True}),
    "feed-forward mlp": ({"leff": False}, {"feed_forward": "mlp"}),
    "cross with mlp": ({"leff": False, "skip": "cross"}, {"feed_forward": "mlp", "skip": "cross"}),
    "window 4": ({"window": 4}, {"window_size": 4}),
    "width": ({"dim": 6}, {"embed_dim": 6}),
    "depths": ({"depths": (1, 2, 1, 3, 2, 1, 2, 1, 2)}, {"depths": (1, 2, 1, 3, 2, 1, 2, 1, 2)}),
    "heads": ({"heads": (2, 1, 4, 2, 1, 4, 2, 2, 1)}, {"num_heads": (2, 1, 4, 2, 1, 4, 2, 2, 1)}),
    "no qkv bias": ({"bias": False}, {"qkv_bias": False}),
    "no qkv bias, joint": ({"bias": False, "skip": "concat_cross"}, {"qkv_bias": False}),
    "six channels": ({"channels": (6, 3)}, {"in_channels": 6, "out_channels": 3}),
    "one channel": ({"channels": (1, 1)}, {"in_channels": 1, "out_channels": 1}),
    "ratio 4": ({"ratio": 4.0}, {"mlp_ratio": 4.0}),
    "ratio 2.66": ({"ratio": 2.66, "dim": 8}, {"mlp_ratio": 2.66}),
    "ratio 1/3": ({"ratio": 1 / 3, "dim": 8}, {}),
}


@pytest.mark.parametrize("case", CASES)
def test_hyperparameters_and_the_way_back(case: str) -> None:
    options, expected = CASES[case]
    theirs = original_state(**options)
    config, ours = from_original(theirs, train_size=128)
    assert {field: getattr(config, field) for field in expected} == expected
    assert {key: value.shape for key, value in ours.items()} == parameter_shapes(config)
    back = to_original(config, ours)
    assert back.keys() == theirs.keys()
    for key, value in theirs.items():
        assert back[key].dtype == value.dtype
        np.testing.assert_array_equal(back[key], value)


def test_the_ratio_gives_every_stage_its_hidden_channels() -> None:
    for ratio in (0.5, 1 / 3, 2.66, 2.7, 3.999, np.e):
        config, _ = from_original(original_state(ratio=float(ratio), dim=8), train_size=128)
        assert [int(dim * config.mlp_ratio) for dim in config.stage_dims] == [
            int(dim * ratio) for dim in config.stage_dims
        ]


def test_prefix_and_missing_index_buffers() -> None:
    plain = from_original(original_state(), train_size=128)
    for state in (original_state(prefix="module."), original_state(index=False)):
        config, ours = from_original(state, train_size=128)
        assert config == plain[0]
        assert all(np.array_equal(ours[key], value) for key, value in plain[1].items())


@pytest.mark.parametrize(
    ("window", "size", "shifts"),
    [(8, 128, False), (8, 256, True), (4, 128, True), (4, 64, False), (8, 130, False), (8, 192, True)],
)
def test_training_size_decides_the_bottleneck_shift(window: int, size: int, *, shifts: bool) -> None:
    state = original_state(window=window, depths=(*ONES[:4], 2, *ONES[5:]))
    config, _ = from_original(state, train_size=size)
    assert config.bottleneck_shift is shifts
    assert config.stage_shift(4) == (window // 2 if shifts else 0)
    assert config.stage_shift(3) == window // 2
    without, _ = from_original(state, train_size=size, shift=False)
    assert without.stage_shift(3) == without.stage_shift(4) == 0
    assert original_call(config).startswith(f"Uformer(img_size={(32 if shifts else 16) * window}, ")


def test_training_size_is_asked_for_only_where_it_matters() -> None:
    deep = original_state(depths=(*ONES[:4], 2, *ONES[5:]))
    with pytest.raises(OptionError, match=r"--train-size is needed: .*128 .*256"):
        from_original(deep)
    from_original(deep, shift=False)
    from_original(original_state())  # the bottleneck has one block, which does not shift


@pytest.mark.parametrize("size", [-1, 0, 16, 31])
def test_training_size_that_cannot_be(size: int) -> None:
    with pytest.raises(OptionError, match=f"--train-size {size}: must be at least.* 32"):
        from_original(original_state(window=2), train_size=size)


def test_a_network_built_for_less_than_a_window_is_refused() -> None:
    with pytest.raises(
        CheckpointError,
        match=r"bottleneck has windows of 2, not 4; it was built for images smaller than 64 pixels",
    ):
        from_original(original_state(window=4, bottleneck_window=2), train_size=128)


def _broken(**changes: Any) -> dict[str, Any]:
    state = original_state()
    for key, value in changes.items():
        name = key.replace("__", ".")
        if value is None:
            del state[name]
        else:
            state[name] = value
    return state


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (
            {"conv1.weight": np.zeros((64, 3, 7, 7)), "fc.bias": np.zeros(1000)},
            "no usable tensor 'input_proj.proj.0.weight'",
        ),
        ({}, "no usable tensor"),
        (_broken(conv__blocks__0__norm1__weight=None), "no tensor 'conv.blocks.0.norm1.weight'"),
        (
            _broken(encoderlayer_0__blocks__0__mlp__eca__conv__weight=np.zeros((1, 1, 3))),
            "unknown tensor 'encoderlayer_0.blocks.0.mlp.eca",
        ),
        (_broken(encoderlayer_4__blocks__0__norm1__weight=np.zeros(4)), "unknown stage 'encoderlayer_4'"),
        (
            _broken(conv__blocks__0__norm1__weight=np.zeros(3)),
            r"'conv.blocks.0.norm1.weight' is \[3\], not \[64\]",
        ),
        (
            _broken(conv__blocks__0__mlp__linear1__0__weight=np.zeros((5, 64))),
            "no mlp_ratio gives hidden channels",
        ),
        (
            _broken(conv__blocks__0__attn__relative_position_index=np.zeros((9, 9))),
            r"relative_position_index' is \[9, 9\], but windows have side 2",
        ),
        (_broken(conv__blocks__7__attn__relative_position_index=np.zeros((4, 4))), "relative_position_index"),
        (
            _broken(encoderlayer_0__blocks__0__attn__relative_position_bias_table=np.zeros((10, 1))),
            "relative_position_bias_table",
        ),
        (
            _broken(conv__blocks__0__attn__relative_position_bias_table=np.zeros((9, 3))),
            "num_heads: .* stage 4",
        ),
        (
            _broken(module__conv__blocks__0__norm1__weight=np.zeros(64)),
            "exists with and without a prefix such as 'module",
        ),
        (
            _broken(input_proj__proj__0__weight=np.zeros((0, 3, 3, 3))),
            "no usable tensor 'input_proj.proj.0.weight'",
        ),
        ({"a\nb": np.zeros(1), **original_state()}, "unknown tensor 'a b'"),
    ],
)
def test_foreign_tensors_are_named(state: dict[str, Any], text: str) -> None:
    with pytest.raises(CheckpointError, match=text) as caught:
        from_original(state, train_size=128)
    assert str(caught.value).startswith("not an original Uformer checkpoint")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"depths": ONES[:7], "num_heads": ONES[:7]}, "3 levels, not 4"),
        ({"skip": "cross", "cross_blocks": "first"}, "cross_blocks"),
        ({"skip": "cross", "cross_modulator": True}, "modulators with skip 'cross'"),
        ({"skip": "concat_cross"}, "interleaved_keys"),
    ],
)
def test_networks_without_an_original_form(change: dict[str, Any], text: str) -> None:
    values: dict[str, Any] = {"embed_dim": 4, "depths": ONES, "num_heads": ONES, "window_size": 2} | change
    config = UformerConfig(**values)
    state = {key: np.zeros(shape, np.float32) for key, shape in parameter_shapes(config).items()}
    with pytest.raises(CheckpointError, match=text):
        to_original(config, state)


def test_the_call_that_builds_it_in_the_original_code() -> None:
    config, _ = from_original(original_state(skip="cross", leff=False), train_size=32)
    assert original_call(config) == (
        "Uformer_Cross(img_size=32, in_chans=3, embed_dim=4, depths=[1, 1, 1, 1, 1, 1, 1, 1, 1], "
        "num_heads=[1, 2, 4, 4, 4, 4, 4, 2, 1], win_size=2, mlp_ratio=2.0, qkv_bias=True, "
        "token_mlp='ffn', shift_flag=True)"
    )
    config, _ = from_original(original_state(channels=(6, 3), modulator=True), train_size=32)
    assert original_call(config).endswith("dd_in=6, modulator=True, cross_modulator=False)")
