"""The name and shape of every parameter of a network, from its configuration alone (no torch)."""

import math

from uformer.config import UformerConfig
from uformer.structure import BlockPlan, ConvPlan, Step, plan

Shapes = dict[str, tuple[int, ...]]


def parameter_shapes(config: UformerConfig) -> Shapes:
    """The shape of every parameter of `Uformer(config)` by state-dict key, in order of computation."""
    shapes: Shapes = {}
    for step in plan(config):
        shapes |= step_shapes(step)
    return shapes


def parameter_count(config: UformerConfig) -> int:
    """The number of learned values of `Uformer(config)`."""
    return sum(math.prod(shape) for shape in parameter_shapes(config).values())


def step_shapes(step: Step) -> Shapes:
    """The shapes of the parameters of one step, by their keys in the network's state dict."""
    if isinstance(step, ConvPlan):
        channels = (step.in_dim, step.dim) if step.transposed else (step.dim, step.in_dim)
        weight = (*channels, step.kernel, step.kernel)
        return {f"{step.layer}.weight": weight, f"{step.layer}.bias": (step.dim,)}
    shapes: Shapes = {}
    for block in step.blocks:
        shapes |= {f"{block.name}.{key}": shape for key, shape in block_shapes(block).items()}
    return shapes


def block_shapes(block: BlockPlan) -> Shapes:
    """The shapes of the parameters of one LeWin block, by their keys inside the block."""
    dim, hidden, window_tokens = block.dim, block.hidden, block.window_size**2
    shapes: Shapes = {}
    if block.cross_modulator:
        shapes |= {"cross_modulator": (window_tokens, dim)} | _norm("norm_cross_modulator", dim)
        shapes |= _attention("cross_modulator_attn", block)
    shapes |= _norm("norm_attn", dim)
    if block.modulator:
        shapes |= {"modulator": (window_tokens, dim)}
    shapes |= _window_attention("attn", block, joint=block.memory == "joint")
    if block.memory:
        shapes |= _norm("norm_memory", dim)
    if block.memory == "cross":
        shapes |= _norm("norm_cross", dim) | _window_attention("cross_attn", block)
    shapes |= _norm("norm_ff", dim) | _linear("feed_forward.linear1", dim, hidden)
    if block.feed_forward == "leff":
        shapes |= {"feed_forward.dwconv.weight": (hidden, 1, 3, 3), "feed_forward.dwconv.bias": (hidden,)}
    return shapes | _linear("feed_forward.linear2", hidden, dim)


def _window_attention(name: str, block: BlockPlan, *, joint: bool = False) -> Shapes:
    table = ((2 * block.window_size - 1) ** 2, block.num_heads)
    return {f"{name}.relative_position_bias_table": table} | _attention(name, block, joint=joint)


def _attention(name: str, block: BlockPlan, *, joint: bool = False) -> Shapes:
    dim, bias = block.dim, block.qkv_bias
    shapes = _linear(f"{name}.to_q", dim, dim, bias=bias) | _linear(f"{name}.to_kv", dim, 2 * dim, bias=bias)
    if joint:
        shapes |= _linear(f"{name}.memory_to_kv", dim, 2 * dim, bias=bias)
    return shapes | _linear(f"{name}.proj", dim, dim)


def _norm(name: str, dim: int) -> Shapes:
    return {f"{name}.weight": (dim,), f"{name}.bias": (dim,)}


def _linear(name: str, in_dim: int, dim: int, *, bias: bool = True) -> Shapes:
    return {f"{name}.weight": (dim, in_dim)} | ({f"{name}.bias": (dim,)} if bias else {})
