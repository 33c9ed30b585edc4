"""What a network costs: its multiply-adds by stage and by part, from the configuration and the picture's size (no torch).

Counted are the products of matrices and the convolutions, one multiply-add for each weight or factor that is used; not
biases, norms, softmax, activations and sums, which are linear in the tokens and small beside them.

With T = H W / 4^k tokens of C channels in a stage of level k, windows of M x M and D hidden channels, one block costs

    attention, projections       4 T C^2
    attention, scores + values   2 T M^2 C      (2 T T C if every token saw the whole map)
    feed-forward                 2 T C D + 9 T D

so the whole is linear in H W, and only scores + values know of M: O(M^2 H W C), against O(H^2 W^2 C).

Uformer-B costs 86.57 G at 256 x 256, where the paper has 89.46 G: it counts each upsampling as if every token it gives
used all four weights (one is used), 2.82 G more, and a multiply-add for each value that a norm sees, 0.06 G more.
"""

from dataclasses import dataclass
from functools import reduce
from typing import Self

from uformer.config import UformerConfig
from uformer.errors import OptionError


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Multiply-adds for one picture, by part."""

    projections: int = 0
    """Queries, keys, values and the output of every attention."""
    scores_values: int = 0
    """Queries times keys, and attention times values."""
    feed_forward: int = 0
    resampling: int = 0
    """The convolutions that halve and double the map."""
    picture: int = 0
    """The input and output projections, from the picture to tokens and back."""

    @property
    def total(self) -> int:
        return self.projections + self.scores_values + self.feed_forward + self.resampling + self.picture

    def __add__(self, other: Self) -> "Cost":
        return Cost(
            projections=self.projections + other.projections,
            scores_values=self.scores_values + other.scores_values,
            feed_forward=self.feed_forward + other.feed_forward,
            resampling=self.resampling + other.resampling,
            picture=self.picture + other.picture,
        )


@dataclass(frozen=True, kw_only=True)
class StageCost:
    """One step of the picture's way: a stage on its map, or a projection or resampling on the map that it gives."""

    name: str
    """As in the network's state dict: `input_proj`, `encoder.0`, `downsample.0`, ..., `output_proj`."""
    height: int
    width: int
    """Of the map, in tokens."""
    channels: int
    cost: Cost


@dataclass(frozen=True, kw_only=True)
class Complexity:
    """The multiply-adds of a network for one picture."""

    config: UformerConfig
    height: int
    width: int
    """Of the picture as the network pads it, in pixels: multiples of `config.multiple`."""
    stages: tuple[StageCost, ...]
    """In the order of the picture's way."""

    @property
    def cost(self) -> Cost:
        """The sum over the stages."""
        return reduce(Cost.__add__, (stage.cost for stage in self.stages))

    @property
    def total(self) -> int:
        return self.cost.total


def multiply_adds(config: UformerConfig, height: int, width: int, *, global_attention: bool = False) -> Complexity:
    """Count for one picture of height x width pixels, padded as the network pads it.

    `global_attention` counts what it would cost if every token attended to its whole map, in place of its window.
    Raises OptionError for a size below 1.
    """
    if min(height, width) < 1:
        raise OptionError(f"size: {height}x{width} must be at least 1x1")
    height, width = (-(-length // config.multiple) * config.multiple for length in (height, width))
    dims, levels = config.stage_dims, config.levels

    def on(name: str, level: int, channels: int, **parts: int) -> StageCost:
        """A step on the map of a level; parts in multiply-adds per token."""
        h, w = height >> level, width >> level
        return StageCost(name=name, height=h, width=w, channels=channels, cost=Cost(**{part: h * w * each for part, each in parts.items()}))

    def stage(index: int, name: str) -> StageCost:
        h, w = (length >> config.stage_levels[index] for length in (height, width))
        keys = h * w if global_attention else config.window_size**2
        cost = reduce(Cost.__add__, (_block(config, index, block, h * w, keys) for block in range(config.depths[index])))
        return StageCost(name=name, height=h, width=w, channels=dims[index], cost=cost)

    steps = [on("input_proj", 0, dims[0], picture=9 * config.in_channels * dims[0])]
    for level in range(levels):
        steps.append(stage(level, f"encoder.{level}"))
        steps.append(on(f"downsample.{level}", level + 1, dims[level + 1], resampling=16 * dims[level] * dims[level + 1]))
    steps.append(stage(levels, "bottleneck"))
    for k in range(levels):
        level = levels - 1 - k
        out = config.embed_dim << level
        steps.append(on(f"upsample.{k}", level, out, resampling=dims[levels + k] * out))
        steps.append(stage(levels + 1 + k, f"decoder.{k}"))
    steps.append(on("output_proj", 0, config.out_channels, picture=9 * dims[-1] * config.out_channels))
    return Complexity(config=config, height=height, width=width, stages=tuple(steps))


def _block(config: UformerConfig, stage: int, index: int, tokens: int, keys: int) -> Cost:
    """One LeWin block on a map of `tokens`, each of which attends to `keys`."""
    dim = config.stage_dims[stage]
    hidden = int(dim * config.mlp_ratio)
    decoder = stage > config.levels
    memory = decoder and config.skip != "concat" and (index == 0 or config.cross_blocks == "all")
    projections, seen = 4 * tokens * dim**2, keys
    if memory:  # a second attention for `cross`; a second set of keys and values for `concat_cross`
        projections += (4 if config.skip == "cross" else 2) * tokens * dim**2
        seen += keys
    if decoder and config.cross_modulator:
        learned = config.window_size**2
        projections += 2 * tokens * dim**2 + 2 * learned * dim**2
        seen += learned
    convolution = 9 * tokens * hidden if config.feed_forward == "leff" else 0
    return Cost(
        projections=projections,
        scores_values=2 * tokens * seen * dim,
        feed_forward=2 * tokens * dim * hidden + convolution,
    )
