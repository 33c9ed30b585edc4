"""The cost of a network: multiply-adds by step and by part, from configuration and image size (no torch).

Each weight or factor that a matrix product or a convolution uses counts as one multiply-add. Biases, norms,
softmax, activations and sums do not count: they are linear in the tokens, and small beside the products.

With T = H W / 4^k tokens of C channels at level k, windows of M x M and D hidden channels, a block costs

    attention, projections       4 T C^2
    attention, scores + values   2 T M^2 C      (2 T T C if every token saw the whole map)
    feed-forward                 2 T C D + 9 T D

so the total is linear in H W, and only scores + values depend on M: O(M^2 H W C), against O(H^2 W^2 C).

Uformer-B costs 86.57 G at 256 x 256. The paper states 89.5 G: it counts each upsampling as if every output
token used all four weights, although it uses one (2.82 G more), and it counts each input value of a norm
(0.06 G more). `as_the_paper_counts` adds both.
"""

from dataclasses import dataclass
from functools import reduce
from typing import Self

from uformer.config import UformerConfig
from uformer.errors import OptionError
from uformer.structure import BlockPlan, ConvPlan, plan


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Multiply-adds for one image, by part."""

    projections: int = 0
    """Queries, keys, values and the output of every attention."""
    scores_values: int = 0
    """Queries times keys, and attention times values."""
    feed_forward: int = 0
    resampling: int = 0
    """The convolutions that halve and double the map."""
    picture: int = 0
    """The input and output projections, from the image to tokens and back."""

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
    """The cost of one step: a stage on its map, or a projection or resampling on its output map."""

    name: str
    """As in the network's state dict: `input_proj`, `encoder.0`, `downsample.0`, ..., `output_proj`."""
    height: int
    width: int
    """Height and width of the map, in tokens."""
    channels: int
    cost: Cost


PAPER = {"uformer_t": 12.0, "uformer_s": 43.9, "uformer_b": 89.5}
"""The figures of the paper (CVPR 2022) at 256 x 256, in G."""


@dataclass(frozen=True, kw_only=True)
class PaperCount:
    """The multiply-adds of a network as the paper counts them, in three parts."""

    used: int
    """What this module counts."""
    upsampling: int
    """Weights of upsamplings that an output token does not use."""
    norms: int
    """One for each value that a norm reads."""

    @property
    def total(self) -> int:
        return self.used + self.upsampling + self.norms


@dataclass(frozen=True, kw_only=True)
class Complexity:
    """The multiply-adds of a network for one image."""

    config: UformerConfig
    height: int
    width: int
    """Height and width of the padded image, in pixels: multiples of `config.multiple`."""
    stages: tuple[StageCost, ...]
    """In the order of the computation."""

    @property
    def cost(self) -> Cost:
        """The sum over the stages."""
        return reduce(Cost.__add__, (stage.cost for stage in self.stages))

    @property
    def total(self) -> int:
        return self.cost.total


def multiply_adds(
    config: UformerConfig,
    height: int,
    width: int,
    *,
    global_attention: bool = False,
) -> Complexity:
    """Count the multiply-adds for one image of height x width pixels, padded as the network pads it.

    `global_attention`: the cost if every token attended to its whole map instead of its window.
    Raises OptionError for a size below 1.
    """
    if min(height, width) < 1:
        raise OptionError(f"size: {height}x{width} must be at least 1x1")
    height, width = (-(-length // config.multiple) * config.multiple for length in (height, width))
    stages = []
    for step in plan(config):
        h, w = height >> step.level, width >> step.level  # of the step's output map
        if isinstance(step, ConvPlan):
            cost = _convolution(step, tokens=h * w)
        else:
            keys = h * w if global_attention else step.window_size**2
            cost = reduce(Cost.__add__, (_block(block, tokens=h * w, keys=keys) for block in step.blocks))
        stages.append(StageCost(name=step.name, height=h, width=w, channels=step.dim, cost=cost))
    return Complexity(config=config, height=height, width=width, stages=tuple(stages))


def as_the_paper_counts(here: Complexity) -> PaperCount:
    """Count as the paper does. It describes networks whose blocks have two norms: skip `concat`."""
    upsampling = norms = 0
    for step, stage in zip(plan(here.config), here.stages, strict=True):
        if isinstance(step, ConvPlan):
            upsampling += (step.kernel**2 - 1) * stage.cost.total if step.transposed else 0
        else:
            norms += 2 * len(step.blocks) * stage.height * stage.width * stage.channels
    return PaperCount(used=here.total, upsampling=upsampling, norms=norms)


def _convolution(step: ConvPlan, *, tokens: int) -> Cost:
    """The cost of one projection or resampling with `tokens` output tokens."""
    used = 1 if step.transposed else step.kernel**2  # weights per token and pair of channels
    multiply_adds = tokens * used * step.in_dim * step.dim
    return Cost(picture=multiply_adds) if step.stride == 1 else Cost(resampling=multiply_adds)


def _block(block: BlockPlan, *, tokens: int, keys: int) -> Cost:
    """The cost of one LeWin block on a map of `tokens`, each of which attends to `keys`."""
    dim, hidden = block.dim, block.hidden
    projections, seen = 4 * tokens * dim**2, keys
    if block.memory:  # a second attention for "cross"; a second set of keys and values for "joint"
        projections += (4 if block.memory == "cross" else 2) * tokens * dim**2
        seen += keys
    if block.cross_modulator:
        learned = block.window_size**2
        projections += 2 * tokens * dim**2 + 2 * learned * dim**2
        seen += learned
    convolution = 9 * tokens * hidden if block.feed_forward == "leff" else 0
    return Cost(
        projections=projections,
        scores_values=2 * tokens * seen * dim,
        feed_forward=2 * tokens * dim * hidden + convolution,
    )
