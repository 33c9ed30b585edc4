import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

torch = pytest.importorskip("torch")

from tests.networks import KINDS, TINY, build, configs  # noqa: E402 - they need torch
from uformer.config import VARIANTS, FeedForward, UformerConfig  # noqa: E402
from uformer.model.uformer import Uformer  # noqa: E402
from uformer.restore.backends import openvino_graph  # noqa: E402
from uformer.restore.backends.quiet import ov  # noqa: E402

LARGE_WINDOWS = UformerConfig(embed_dim=8, depths=(2, 2, 2), num_heads=(1, 2, 4), modulator=True)


def difference(model: Uformer, height: int, width: int, *, for_avx2: bool = False) -> float:
    """The largest difference from torch's output in float32, against an output of at least 1."""
    image = np.random.default_rng(height * width).random(
        (1, model.config.in_channels, height, width), dtype=np.float32
    )
    with torch.inference_mode():
        expected: NDArray[np.float32] = model(torch.from_numpy(image), multiple=model.config.stride).numpy()
    state = {key: value.numpy() for key, value in model.state_dict().items()}
    graph = openvino_graph.build(model.config, state, height=height, width=width, for_avx2=for_avx2)
    restored = ov.Core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(image)[0]
    assert restored.shape == expected.shape
    return float(np.abs(restored - expected).max() / max(1, np.abs(expected).max()))


@pytest.mark.parametrize("kind", KINDS)
def test_equals_torch(kind: str) -> None:
    config = KINDS[kind]
    assert difference(build(config), 3 * config.multiple, 4 * config.multiple) < 1e-5


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 3), (2, 1), (5, 2)])
def test_equals_torch_at_any_size(rows: int, columns: int) -> None:
    assert (
        difference(build(LARGE_WINDOWS), rows * LARGE_WINDOWS.multiple, columns * LARGE_WINDOWS.multiple)
        < 1e-5
    )


@pytest.mark.parametrize("kind", KINDS)
def test_for_avx2_equals_torch(kind: str) -> None:
    """Its GELU is a polynomial; everything else is the same."""
    assert difference(build(KINDS[kind]), 20, 12, for_avx2=True) < 1e-4


SPECIAL = {"2022", "two levels", "cross", "concat_cross interleaved"}
"""Kinds that treat windows over the border in a way of their own."""


@pytest.mark.parametrize(
    ("kind", "height", "width"),
    [
        pytest.param(kind, *size, marks=() if kind in SPECIAL or size == (20, 12) else pytest.mark.slow)
        for kind in KINDS
        for size in ((20, 12), (4, 28), (36, 16))
    ],
)
def test_equals_torch_where_windows_reach_over_the_border(kind: str, height: int, width: int) -> None:
    assert difference(build(KINDS[kind]), height, width) < 1e-5


@pytest.mark.parametrize(("channels", "out_channels"), [(1, 1), (4, 4), (6, 6), (3, 1), (6, 3)])
def test_equals_torch_with_other_channels(channels: int, out_channels: int) -> None:
    assert (
        difference(build(dataclasses.replace(TINY, in_channels=channels, out_channels=out_channels)), 24, 16)
        < 1e-5
    )


@pytest.mark.parametrize("feed_forward", ["leff", "mlp"])
def test_maps_of_a_few_tokens(feed_forward: FeedForward) -> None:
    """OpenVINO 2026.4 crashed on two multi-layer perceptrons in a row on four tokens."""
    config = dataclasses.replace(TINY, feed_forward=feed_forward, window_size=1, depths=(2, 2, 2))
    for height, width in [(2, 2), (2, 4), (4, 4), (8, 8)]:
        assert difference(build(config), height, width) < 1e-5


@settings(max_examples=12)
@given(configs(), st.integers(1, 2), st.integers(1, 3))
def test_equals_torch_for_any_configuration(config: UformerConfig, rows: int, columns: int) -> None:
    assert difference(build(config), rows * config.multiple, columns * config.multiple) < 1e-4


@pytest.mark.parametrize("name", ["uformer_t", "uformer_16_concat_cross"])
def test_equals_torch_at_full_depth(name: str) -> None:
    torch.manual_seed(0)
    model = Uformer(VARIANTS[name]).eval()
    assert difference(model, 128, 128) < 1e-5
    assert difference(model, 128, 128, for_avx2=True) < 1e-5


def test_half_precision_weights_are_read() -> None:
    model = build(TINY)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter.half().float())
    state = {key: value.numpy() for key, value in model.state_dict().items()}
    halves = {key: value.astype(np.float16) for key, value in state.items()}
    image = np.full((1, 3, 8, 8), 0.5, np.float32)
    full, half = (
        ov.Core().compile_model(openvino_graph.build(TINY, s, height=8, width=8), "CPU")(image)[0]
        for s in (state, halves)
    )
    assert np.array_equal(full, half)


@pytest.mark.parametrize(("height", "width"), [(8, 13), (3, 8), (0, 8)])
def test_refuses_sizes_that_cannot_be_halved(height: int, width: int) -> None:
    with pytest.raises(ValueError, match=f"{height} x {width}: both sides must be multiples of 2"):
        openvino_graph.build(TINY, {}, height=height, width=width)


def test_residual_stream_stays_wide() -> None:
    """Without the marks, or if OpenVINO did not know their name, "auto" would not be exact enough."""
    graph = openvino_graph.build(
        TINY, {k: v.numpy() for k, v in build(TINY).state_dict().items()}, height=8, width=8
    )
    marked = [node for node in graph.get_ops() if "DisablePrecisionConversion_0" in node.get_rt_info()]
    kinds = {node.get_type_name() for node in marked}
    assert {
        "Add",
        "Convolution",
        "ConvolutionBackpropData",
        "Concat",
        "Reshape",
        "Transpose",
        "PRelu",
    } <= kinds
    assert not kinds & {"MatMul", "GroupConvolution", "Softmax", "Gelu"}
