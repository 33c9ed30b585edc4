"""Small networks for tests: every kind, random configurations, and models with random weights."""

import dataclasses
from typing import get_args

import torch
from hypothesis import strategies as st

from uformer.config import Skip, UformerConfig
from uformer.model.uformer import Uformer

TINY = UformerConfig(embed_dim=4, depths=(1, 2, 1), num_heads=(1, 2, 4), window_size=4, drop_path_rate=0.0)
"""One level, so images are padded to multiples of 8 pixels. The second block of the bottleneck shifts."""

KINDS = {
    "2021": TINY,
    "2022": dataclasses.replace(TINY, modulator=True),
    "two levels": dataclasses.replace(TINY, depths=(2, 1, 2, 1, 2), num_heads=(1, 1, 2, 2, 1), window_size=2),
    "cross": dataclasses.replace(TINY, skip="cross", depths=(1, 1, 2)),
    "cross first": dataclasses.replace(TINY, skip="cross", cross_blocks="first", depths=(1, 1, 2)),
    "concat_cross": dataclasses.replace(TINY, skip="concat_cross", depths=(1, 1, 2)),
    "concat_cross interleaved": dataclasses.replace(
        TINY, skip="concat_cross", interleaved_keys=True, depths=(1, 1, 2)
    ),
    "cross-modulator": dataclasses.replace(TINY, cross_modulator=True, modulator=True),
    "mlp": dataclasses.replace(TINY, feed_forward="mlp", qkv_bias=False),
    "no shift": dataclasses.replace(TINY, shift=False),
}


def build(config: UformerConfig, *, seed: int = 0) -> Uformer:
    """A network in evaluation mode with random parameters, so that a test notices any that is unused."""
    torch.manual_seed(seed)
    model = Uformer(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model


@st.composite
def configs(draw: st.DrawFn) -> UformerConfig:
    """Draw any small configuration."""
    levels = draw(st.integers(1, 3))
    stages = 2 * levels + 1
    skip: Skip = draw(st.sampled_from(get_args(Skip)))
    return UformerConfig(
        embed_dim=draw(st.sampled_from([2, 4, 6])),
        depths=tuple(draw(st.lists(st.integers(1, 2), min_size=stages, max_size=stages))),
        num_heads=tuple(draw(st.lists(st.sampled_from([1, 2]), min_size=stages, max_size=stages))),
        window_size=draw(st.integers(1, 4)),
        mlp_ratio=draw(st.sampled_from([1.0, 2.5, 4.0])),
        qkv_bias=draw(st.booleans()),
        feed_forward=draw(st.sampled_from(["leff", "mlp"])),
        skip=skip,
        cross_blocks=draw(st.sampled_from(["all", "first"])) if skip == "cross" else "all",
        interleaved_keys=skip == "concat_cross" and draw(st.booleans()),
        modulator=draw(st.booleans()),
        cross_modulator=draw(st.booleans()),
        shift=draw(st.booleans()),
        bottleneck_shift=draw(st.booleans()),
        in_channels=draw(st.sampled_from([1, 3, 4, 6])),
        out_channels=draw(st.sampled_from([1, 3, 4])),
    )
