"""The name and shape of every parameter of a network, from its configuration alone (no torch)."""

import math

import numpy as np
from numpy.typing import NDArray

from uformer.config import UformerConfig

Shapes = dict[str, tuple[int, ...]]


def parameter_shapes(config: UformerConfig) -> Shapes:
    """Every parameter of `Uformer(config)` by its state-dict key, in the order of the picture's way through the network."""
    dims, levels = config.stage_dims, config.levels
    shapes: Shapes = _affine("input_proj.conv", (dims[0], config.in_channels, 3, 3))
    for level in range(levels):
        shapes |= _stage(config, level, f"encoder.{level}")
        shapes |= _affine(f"downsample.{level}.conv", (dims[level + 1], dims[level], 4, 4))
    shapes |= _stage(config, levels, "bottleneck")
    for k in range(levels):
        out_dim = config.embed_dim << (levels - 1 - k)
        shapes |= _affine(f"upsample.{k}.deconv", (dims[levels + k], out_dim, 2, 2), bias_size=out_dim)
        shapes |= _stage(config, levels + 1 + k, f"decoder.{k}")
    return shapes | _affine("output_proj.conv", (config.out_channels, dims[-1], 3, 3))


def parameter_count(config: UformerConfig) -> int:
    """Number of learned values of `Uformer(config)`."""
    return sum(math.prod(shape) for shape in parameter_shapes(config).values())


def relative_position_index(side: int) -> NDArray[np.int64]:
    """(N, N), N = side^2: for each pair of a window's tokens, the row of the bias table that belongs to their offset."""
    y, x = np.divmod(np.arange(side * side, dtype=np.int64), side)
    return (y[:, None] - y[None, :] + side - 1) * (2 * side - 1) + x[:, None] - x[None, :] + side - 1


def _affine(name: str, weight: tuple[int, ...], *, bias: bool = True, bias_size: int | None = None) -> Shapes:
    return {f"{name}.weight": weight} | ({f"{name}.bias": (bias_size or weight[0],)} if bias else {})


def _stage(config: UformerConfig, stage: int, name: str) -> Shapes:
    shapes: Shapes = {}
    for index in range(config.depths[stage]):
        shapes |= {f"{name}.blocks.{index}.{key}": shape for key, shape in _block(config, stage, index).items()}
    return shapes


def _block(config: UformerConfig, stage: int, index: int) -> Shapes:
    dim, heads, side = config.stage_dims[stage], config.num_heads[stage], config.window_size
    hidden = int(dim * config.mlp_ratio)
    decoder = stage > config.levels
    memory = decoder and config.skip != "concat" and (index == 0 or config.cross_blocks == "all")

    def attention(name: str, *, bias_table: bool = True, joint: bool = False) -> Shapes:
        table: Shapes = {f"{name}.relative_position_bias_table": ((2 * side - 1) ** 2, heads)} if bias_table else {}
        projections = {"to_q": dim, "to_kv": 2 * dim} | ({"memory_to_kv": 2 * dim} if joint else {})
        for projection, out in projections.items():
            table |= _affine(f"{name}.{projection}", (out, dim), bias=config.qkv_bias)
        return table | _affine(f"{name}.proj", (dim, dim))

    shapes: Shapes = {}
    if decoder and config.cross_modulator:
        shapes |= {"cross_modulator": (side**2, dim)} | _affine("norm_cross_modulator", (dim,))
        shapes |= attention("cross_modulator_attn", bias_table=False)
    shapes |= _affine("norm_attn", (dim,))
    if decoder and config.modulator:
        shapes |= {"modulator": (side**2, dim)}
    shapes |= attention("attn", joint=memory and config.skip == "concat_cross")
    if memory:
        shapes |= _affine("norm_memory", (dim,))
    if memory and config.skip == "cross":
        shapes |= _affine("norm_cross", (dim,)) | attention("cross_attn")
    shapes |= _affine("norm_ff", (dim,)) | _affine("feed_forward.linear1", (hidden, dim))
    if config.feed_forward == "leff":
        shapes |= _affine("feed_forward.dwconv", (hidden, 1, 3, 3))
    return shapes | _affine("feed_forward.linear2", (dim, hidden))
