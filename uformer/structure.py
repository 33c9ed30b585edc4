"""The shape of the U: every step of the network in order, from its configuration alone (no torch).

Example of two levels; each step carries its name in the state dict:

    level 0   input_proj -> encoder.0 ----------------- skip ----------------> decoder.1 -> output_proj
                                v downsample.0                    upsample.1 ^
    level 1                 encoder.1 ---------- skip ----------> decoder.0
                                v downsample.1     upsample.0 ^
    level 2                 bottleneck -----------------------

A map of level k has H / 2^k x W / 2^k tokens. `plan` gives the steps. All code that walks through the network
(`model/`, `layout`, `complexity`, the OpenVINO graph, `weights/official`) iterates over them and computes no
level or index of its own.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from uformer.config import FeedForward, UformerConfig

Memory = Literal["cross", "joint"]
"""How a block attends to the skip: "cross", in a second attention; "joint", in its only one."""

MASKED = -100.0
"""Added to the score of two tokens that must not see each other.

The authors' value: exp(-100) vanishes beside any other score, and float16 holds it.
"""


@dataclass(frozen=True, kw_only=True)
class ConvPlan:
    """A convolution between stages: a projection (stride 1), a downsampling or an upsampling (stride 2)."""

    name: str
    """Prefix of its parameters: `input_proj`, `downsample.0`, ..., `upsample.0`, ..., `output_proj`."""
    level: int
    """Level of its output map."""
    in_dim: int
    dim: int
    """Channels of its input map (`in_dim`) and of its output map (`dim`)."""
    kernel: int
    """Side of the kernel, in tokens."""
    stride: int = 1
    padding: int = 0
    transposed: bool = False
    """Whether it multiplies height and width by `stride` instead of dividing them."""

    @property
    def layer(self) -> str:
        """Prefix of the convolution's own weight and bias."""
        return f"{self.name}.{'deconv' if self.transposed else 'conv'}"


@dataclass(frozen=True, kw_only=True)
class BlockPlan:
    """One LeWin block: everything that its constructor needs."""

    name: str
    """Prefix of the block's parameters: `encoder.0.blocks.1`."""
    dim: int
    num_heads: int
    window_size: int
    shift: int = 0
    """Tokens by which its windows are shifted, down and across; 0 in every other block."""
    memory: Memory | None = None
    """How it attends to the encoder's feature; None if it does not."""
    interleaved_keys: bool = False
    """See `UformerConfig.interleaved_keys`; for memory "joint" only."""
    modulator: bool = False
    cross_modulator: bool = False
    qkv_bias: bool = True
    feed_forward: FeedForward = "leff"
    hidden: int
    """Channels inside the feed-forward."""
    drop_path: float = 0.0
    """Probability, in training, that a sample skips a branch of the block."""


@dataclass(frozen=True, kw_only=True)
class StagePlan:
    """The LeWin blocks of one level, on one side of the U."""

    name: str
    """Prefix of the stage's parameters: `encoder.0`, ..., `bottleneck`, `decoder.0`, ..."""
    level: int
    dim: int
    """Channels of its tokens, including those of a concatenated skip."""
    num_heads: int
    window_size: int
    concat: bool
    """Whether the skip is concatenated to the channels of the tokens (skip scheme `concat`)."""
    blocks: tuple[BlockPlan, ...]


Step = ConvPlan | StagePlan


@dataclass(frozen=True, kw_only=True)
class Structure:
    """The steps of the U, by the names of the network's modules.

    Iteration gives them one by one, in the order of the computation.
    """

    input_proj: ConvPlan
    encoder: tuple[StagePlan, ...]
    downsample: tuple[ConvPlan, ...]
    bottleneck: StagePlan
    upsample: tuple[ConvPlan, ...]
    decoder: tuple[StagePlan, ...]
    output_proj: ConvPlan
    residual: bool
    """Whether the input image is added to the output."""

    def __iter__(self) -> Iterator[Step]:
        yield self.input_proj
        for stage, down in zip(self.encoder, self.downsample, strict=True):
            yield stage
            yield down
        yield self.bottleneck
        for up, stage in zip(self.upsample, self.decoder, strict=True):
            yield up
            yield stage
        yield self.output_proj

    @property
    def stages(self) -> tuple[StagePlan, ...]:
        """The stages alone, in the order of `UformerConfig.depths`."""
        return (*self.encoder, self.bottleneck, *self.decoder)


def plan(config: UformerConfig) -> Structure:
    """Return the steps of the network that a configuration describes."""
    levels = config.levels
    names = [f"encoder.{k}" for k in range(levels)] + ["bottleneck"] + [f"decoder.{k}" for k in range(levels)]
    stages = tuple(_stage(config, index, name) for index, name in enumerate(names))
    encoder, bottleneck, decoder = stages[:levels], stages[levels], stages[levels + 1 :]

    above_below = pairwise([*encoder, bottleneck])
    below_skip = zip([bottleneck, *decoder[:-1]], reversed(encoder), strict=True)
    return Structure(
        input_proj=_projection("input_proj", config.in_channels, encoder[0].dim),
        encoder=encoder,
        downsample=tuple(_downsampling(k, above, below) for k, (above, below) in enumerate(above_below)),
        bottleneck=bottleneck,
        upsample=tuple(_upsampling(k, below, skip) for k, (below, skip) in enumerate(below_skip)),
        decoder=decoder,
        output_proj=_projection("output_proj", decoder[-1].dim, config.out_channels),
        residual=config.in_channels == config.out_channels,
    )


def relative_position_index(side: int) -> NDArray[np.int64]:
    """(N, N), N = side^2: for each pair of a window's tokens, the row of the bias table for their offset."""
    y, x = np.divmod(np.arange(side * side, dtype=np.int64), side)  # (N,) each
    down = y[:, None] - y[None, :] + side - 1  # (N, N), in [0, 2 side - 2]
    across = x[:, None] - x[None, :] + side - 1
    return down * (2 * side - 1) + across


def _projection(name: str, in_dim: int, dim: int) -> ConvPlan:
    return ConvPlan(name=name, level=0, in_dim=in_dim, dim=dim, kernel=3, padding=1)


def _downsampling(k: int, above: StagePlan, below: StagePlan) -> ConvPlan:
    return ConvPlan(
        name=f"downsample.{k}",
        level=below.level,
        in_dim=above.dim,
        dim=below.dim,
        kernel=4,
        stride=2,
        padding=1,
    )


def _upsampling(k: int, below: StagePlan, skip: StagePlan) -> ConvPlan:
    """Upsample to the level and the channels of the skip, whether the skip is concatenated or attended to."""
    return ConvPlan(
        name=f"upsample.{k}",
        level=skip.level,
        in_dim=below.dim,
        dim=skip.dim,
        kernel=2,
        stride=2,
        transposed=True,
    )


def _stage(config: UformerConfig, index: int, name: str) -> StagePlan:
    """The stage at `index` of `config.depths`."""
    dim, num_heads, shift = config.stage_dims[index], config.num_heads[index], config.stage_shift(index)
    decoder = index > config.levels
    memory: Memory | None = None
    if decoder and config.skip != "concat":
        memory = "cross" if config.skip == "cross" else "joint"
    blocks = tuple(
        BlockPlan(
            name=f"{name}.blocks.{k}",
            dim=dim,
            num_heads=num_heads,
            window_size=config.window_size,
            shift=shift if k % 2 else 0,
            memory=memory if k == 0 or config.cross_blocks == "all" else None,
            interleaved_keys=config.interleaved_keys,
            modulator=decoder and config.modulator,
            cross_modulator=decoder and config.cross_modulator,
            qkv_bias=config.qkv_bias,
            feed_forward=config.feed_forward,
            hidden=int(dim * config.mlp_ratio),
            drop_path=rate,
        )
        for k, rate in enumerate(_drop_path(config, index))
    )
    return StagePlan(
        name=name,
        level=config.stage_levels[index],
        dim=dim,
        num_heads=num_heads,
        window_size=config.window_size,
        concat=decoder and config.skip == "concat",
        blocks=blocks,
    )


def _drop_path(config: UformerConfig, index: int) -> list[float]:
    """The rates of a stage's blocks: they rise from 0 to the full rate of the bottleneck, then fall to 0."""
    depths, levels = config.depths, config.levels
    if index == levels:
        return [config.drop_path_rate] * depths[index]
    arm = depths[:levels] if index < levels else depths[levels + 1 :]  # one side of the U
    ramp = [config.drop_path_rate * k / max(sum(arm) - 1, 1) for k in range(sum(arm))]
    if index > levels:
        ramp.reverse()
        index -= levels + 1
    start = sum(arm[:index])
    return ramp[start : start + arm[index]]
