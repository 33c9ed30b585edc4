"""Builds Uformer as an OpenVINO graph for one fixed size, from the weights of the torch network.

Legend: H, W height and width of a feature map; C channels; D hidden channels of a feed-forward; M window
side; N = M^2 tokens per window; n windows per map; h heads; d = C / h; K keys. Tokens are a matrix (H W, C);
a window is N consecutive rows of such a matrix.

The structure of the graph was chosen by measurement. With uformer_t on 256 x 256 pixels and one AVX-512
thread, it takes 0.45 s in float32 and 0.29 s in bfloat16. A direct translation of the torch code takes 0.55
and 0.34 s, and torch itself 0.94 s.

- Tokens are a matrix, not (1, H, W, C): a matrix has one memory layout, so the plugin inserts no reorders.
- Shift and partition are one Gather of rows each way, not Roll (no fast kernel), Reshape and Transpose.
- q, k and v are three matrix products, not one product and a split, and the transposes come directly before
  the products of attention. The plugin then fuses the whole attention into one kernel; with five dimensions
  it does not.
- Windows are sorted: inside, right edge, bottom edge, corner. The windows of a kind share one mask, which is
  part of their bias. This is as fast as one mask per window, which takes 64 MiB for each head, block and copy
  at a tile of 512.
- The scale of q and the affine part of a LayerNorm are folded into the next product.
- For CPUs with AVX2 but without AVX-512 (`for_avx2`), GELU is a polynomial and the heads of attention come
  first. With AVX-512 in float32, that takes longer (benchmarks/README.md has the figures).
- ScaledDotProductAttention was no faster. 1 x 1 convolutions (with the residual) in place of the
  products were no faster either.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uformer.config import UformerConfig
from uformer.restore.backends.openvino_gelu import polynomial_gelu
from uformer.restore.backends.openvino_wide import wide
from uformer.restore.backends.quiet import ov
from uformer.structure import MASKED, BlockPlan, ConvPlan, StagePlan, plan, relative_position_index

Array = NDArray[Any]
Node = Any  # an openvino.Node
Layer = tuple[Node, Array, Array]  # the input, weight and bias of a linear layer

ops = ov.opset13

PADDING = -1  # in place of a token's number
EPSILON = 1e-5  # of torch's LayerNorm
SLOPE = 0.01  # of torch's LeakyReLU


def build(
    config: UformerConfig,
    state: Mapping[str, NDArray[Any]],
    *,
    height: int,
    width: int,
    for_avx2: bool = False,
) -> Any:
    """Build an openvino.Model from (1, C, height, width) float32 in [0, 1] to the same shape, not clipped.

    `state`: the tensors of `checkpoint.read`. `for_avx2`: whether the graph is for a CPU with AVX2 but
    without AVX-512, in float32. Raises ValueError if height or width is not a multiple of `config.stride`.
    """
    if height < 1 or width < 1 or height % config.stride or width % config.stride:
        raise ValueError(f"size {height} x {width}: both sides must be multiples of {config.stride}")
    image = ops.parameter([1, config.in_channels, height, width], np.float32, name="image")
    return ov.Model([_Network(state, for_avx2=for_avx2).restore(config, image)], [image], "uformer")


class _Network:
    """Builds the nodes from the weights. Its methods mirror the modules of uformer/model."""

    def __init__(self, state: Mapping[str, NDArray[Any]], *, for_avx2: bool) -> None:
        self.for_avx2 = for_avx2
        self.gelu = polynomial_gelu if for_avx2 else functools.partial(ops.gelu, approximation_mode="erf")
        self.state = {key: np.asarray(value, dtype=np.float32) for key, value in state.items()}
        self.windows = functools.cache(_Windows)  # blocks of a level share the constants

    def restore(self, config: UformerConfig, image: Node) -> Node:
        """Build the whole network, as `Uformer.forward` does."""
        steps = plan(config)
        height, width = image.shape[2:]
        features = self.convolution(image, steps.input_proj)  # (1, C, H, W)
        tokens = _to_tokens(wide(ops.prelu(features, _constant([SLOPE]))))  # (H W, C)
        skips = []
        for stage, down in zip(steps.encoder, steps.downsample, strict=True):
            tokens = self.stage(tokens, stage, height, width)
            skips.append(tokens)
            tokens = _to_tokens(self.convolution(_to_features(tokens, height, width), down))
            height, width = height // 2, width // 2
        tokens = self.stage(tokens, steps.bottleneck, height, width)
        for up, stage in zip(steps.upsample, steps.decoder, strict=True):
            tokens = _to_tokens(self.convolution(_to_features(tokens, height, width), up))
            height, width = height * 2, width * 2
            tokens = self.stage(tokens, stage, height, width, skips.pop())
        restored = self.convolution(_to_features(tokens, height, width), steps.output_proj)
        return wide(ops.add(restored, image)) if steps.residual else restored

    def stage(
        self,
        tokens: Node,
        stage: StagePlan,
        height: int,
        width: int,
        skip: Node | None = None,
    ) -> Node:
        """Build a stage: (H W, C) to the same shape.

        `skip` (H W, C): in the decoder, the encoder's feature of this level.
        """
        if stage.concat:
            tokens = wide(ops.concat([tokens, skip], 1))
        for block in stage.blocks:
            windows = self.windows(height, width, block.window_size, block.shift)
            if block.cross_modulator:
                tokens = wide(ops.add(tokens, self.global_attention(tokens, block)))
            memory = windows.partition(_normalize(skip)) if block.memory else None  # (n N, C)
            change = self.attention(tokens, memory if block.memory == "joint" else None, block, windows)
            tokens = wide(ops.add(tokens, change))
            if block.memory == "cross":
                change = self.attention(tokens, memory, block, windows, cross=True)
                tokens = wide(ops.add(tokens, change))
            tokens = wide(ops.add(tokens, self.feed_forward(tokens, block, height, width)))
        return tokens

    def attention(
        self,
        tokens: Node,
        memory: Node | None,
        block: BlockPlan,
        windows: _Windows,
        *,
        cross: bool = False,
    ) -> Node:
        """Build window attention: (H W, C) to the same shape.

        The normalized tokens attend to themselves; to [tokens; memory] if `memory` (n N, C) is given; or,
        with `cross`, to the memory alone.
        """
        dim, heads = block.dim, block.num_heads
        name = f"{block.name}.{'cross_attn' if cross else 'attn'}"
        norm: str | None = f"{block.name}.{'norm_cross' if cross else 'norm_attn'}"
        memory_norm = f"{block.name}.norm_memory"
        queries = windows.partition(_normalize(tokens))  # (n N, C)
        if block.modulator and not cross:  # then the affine part cannot be folded in
            scale = _constant(self.state[f"{norm}.weight"])
            shift = _constant(self.state[f"{norm}.bias"] + self.state[f"{block.name}.modulator"])  # (N, C)
            queries = ops.multiply(_shape(queries, windows.count, -1, dim), scale)  # (n, N, C)
            queries = _shape(ops.add(queries, shift), -1, dim)  # (n N, C)
            norm = None

        def heads_of(*layers: Layer) -> list[Node]:  # (n N, C) -> for each kind (n, K, h, d) or (h, n, K, d)
            if self.for_avx2:
                return _heads_apart(layers, heads, windows)
            tokens = [_shape(_linear(*layer), windows.count, -1, heads, dim // heads) for layer in layers]
            return list(windows.split(_joined(tokens, 1)))

        weight, bias = self.weights(f"{name}.to_q", norm)
        q = heads_of((queries, weight * (dim // heads) ** -0.5, bias * (dim // heads) ** -0.5))
        source, source_norm = (memory, memory_norm) if cross else (queries, norm)
        weight, bias = self.weights(f"{name}.to_kv", source_norm)
        keys, values = [(source, weight[:dim], bias[:dim])], [(source, weight[dim:], bias[dim:])]
        joint = memory is not None and not cross
        if joint:  # first the keys of the tokens, then those of the memory
            weight, bias = self.weights(f"{name}.memory_to_kv", memory_norm)
            keys.append((memory, weight[:dim], bias[:dim]))
            values.append((memory, weight[dim:], bias[dim:]))
        k, v = heads_of(*keys), heads_of(*values)

        table = self.state[f"{name}.relative_position_bias_table"]
        position_bias = table[relative_position_index(block.window_size)].transpose(2, 0, 1)  # (h, N, N)
        groups = []
        for (_, mask), q_of, k_of, v_of in zip(windows.kinds, q, k, v, strict=True):
            scores_bias = position_bias if mask is None else position_bias + mask  # (h, N, N)
            if joint and block.interleaved_keys:
                scores_bias = np.repeat(scores_bias, 2, axis=-1)  # (h, N, 2N)
            elif joint:
                scores_bias = np.concatenate([scores_bias, scores_bias], axis=-1)  # (h, N, 2N)
            if self.for_avx2:
                out = _attend(q_of, _permute(k_of, 0, 1, 3, 2), v_of, scores_bias[:, None])  # (h, n, N, d)
                groups.append(_permute(out, 1, 2, 0, 3))
            else:
                turned = _permute(q_of, 0, 2, 1, 3), _permute(k_of, 0, 2, 3, 1), _permute(v_of, 0, 2, 1, 3)
                groups.append(_permute(_attend(*turned, scores_bias[None]), 0, 2, 1, 3))
        out = _shape(_joined(groups, 0), -1, dim)  # (n N, C)
        return windows.merge(_linear(out, *self.weights(f"{name}.proj")))

    def global_attention(self, tokens: Node, block: BlockPlan) -> Node:
        """Build attention to the constant tokens of the cross-modulator: (H W, C) to the same shape."""
        dim, heads = block.dim, block.num_heads
        name = f"{block.name}.cross_modulator_attn"
        weight, bias = self.weights(f"{name}.to_kv")
        kv = self.state[f"{block.name}.cross_modulator"] @ weight.T + bias  # (K, 2C)
        k, v = (x.reshape(1, -1, heads, dim // heads) for x in np.split(kv, 2, axis=1))  # (1, K, h, d)
        weight, bias = self.weights(f"{name}.to_q")
        weight, bias = weight * (dim // heads) ** -0.5, bias * (dim // heads) ** -0.5
        q = _shape(_linear(tokens, weight, bias), 1, -1, heads, dim // heads)  # (1, H W, h, d)
        k, v = _constant(k.transpose(0, 2, 3, 1)), _constant(v.transpose(0, 2, 1, 3))
        out = _permute(_attend(_permute(q, 0, 2, 1, 3), k, v), 0, 2, 1, 3)
        return _linear(_shape(out, -1, dim), *self.weights(f"{name}.proj"))

    def feed_forward(self, tokens: Node, block: BlockPlan, height: int, width: int) -> Node:
        """Build the feed-forward of a block: (H W, C) to the same shape."""
        name = f"{block.name}.feed_forward"
        linear1 = self.weights(f"{name}.linear1", f"{block.name}.norm_ff")
        hidden = self.gelu(_linear(_normalize(tokens), *linear1))  # (H W, D)
        features = _permute(_shape(hidden, 1, height, width, -1), 0, 3, 1, 2)  # (1, D, H, W)
        weight, bias = self.weights(f"{name}.linear2")
        if block.feed_forward == "mlp":
            # A convolution, because OpenVINO 2026.4 crashes on two consecutive products of few tokens.
            kernel = _constant(weight[:, :, None, None])  # (C, D, 1, 1)
            change = ops.convolution(features, kernel, [1, 1], [0, 0], [0, 0], [1, 1])
            return _to_tokens(ops.add(change, _constant(bias.reshape(1, -1, 1, 1))))
        kernel = _constant(self.state[f"{name}.dwconv.weight"][:, :, None])  # (D, 1, 1, 3, 3)
        features = ops.group_convolution(features, kernel, [1, 1], [1, 1], [1, 1], [1, 1])
        features = ops.add(features, _constant(self.state[f"{name}.dwconv.bias"].reshape(1, -1, 1, 1)))
        features = self.gelu(features)
        return _linear(_shape(_permute(features, 0, 2, 3, 1), -1, block.hidden), weight, bias)

    def convolution(self, features: Node, step: ConvPlan) -> Node:
        """Build a convolution of (1, C, H, W); the step keeps, halves or doubles height and width."""
        weight = _constant(self.state[f"{step.layer}.weight"])
        bias = _constant(self.state[f"{step.layer}.bias"].reshape(1, -1, 1, 1))
        strides, pads = [step.stride, step.stride], [step.padding, step.padding]
        if step.transposed:
            out = ops.convolution_backprop_data(features, weight, strides)
        else:
            out = ops.convolution(features, weight, strides, pads, pads, [1, 1])
        return wide(ops.add(wide(out), bias))

    def weights(self, name: str, norm: str | None = None) -> tuple[Array, Array]:
        """Return weight and bias of a linear layer, with the affine part of LayerNorm `norm` folded in."""
        weight = self.state[f"{name}.weight"]
        bias = self.state.get(f"{name}.bias", np.zeros(weight.shape[0], np.float32))
        if norm is None:
            return weight, bias
        return weight * self.state[f"{norm}.weight"], bias + weight @ self.state[f"{norm}.bias"]


class _Windows:
    """The windows of one feature map: the tokens of each, and the windows that share a mask.

    Windows that extend beyond the bottom or right border are padded with arbitrary tokens, which the mask
    hides from all others.
    """

    def __init__(self, height: int, width: int, side: int, shift: int) -> None:
        rows, columns = -(-height // side), -(-width // side)
        self.count = rows * columns
        number = np.full((rows * side, columns * side), PADDING)
        number[:height, :width] = np.arange(height * width).reshape(height, width)
        of_window = _cut(np.roll(number, (-shift, -shift), (0, 1)), side)  # (n, N)
        sections = 2 * _moved(rows * side, shift)[:, None] + _moved(columns * side, shift)
        sections = _cut(np.roll(sections, (-shift, -shift), (0, 1)), side)  # (n, N)
        # Tokens of different regions do not attend to each other.
        regions = np.where(of_window == PADDING, PADDING, sections)  # (n, N)
        patterns, kind = np.unique(_canonical(regions), axis=0, return_inverse=True)
        kind = kind.reshape(-1)
        self.kinds = [(int((kind == k).sum()), _mask(pattern)) for k, pattern in enumerate(patterns)]
        """For each kind, in the order of the windows: the number of windows and their mask (N, N)."""
        # Tokens that are neighbours both in the map and in the window move together, in runs of this length.
        self._run = math.gcd(side, shift, width)
        from_map = of_window[np.argsort(kind, kind="stable")].reshape(-1)[:: self._run]
        from_map = np.where(from_map == PADDING, PADDING, from_map // self._run)
        to_map = np.argsort(from_map, kind="stable")[np.count_nonzero(from_map == PADDING) :]
        self._from_map = _constant(np.maximum(from_map, 0), np.int32)
        self._to_map = _constant(to_map, np.int32)

    def partition(self, tokens: Node) -> Node:  # (H W, C) -> (n N, C)
        return self._move(tokens, self._from_map)

    def merge(self, tokens: Node) -> Node:  # (n N, C) -> (H W, C)
        return self._move(tokens, self._to_map)

    def _move(self, tokens: Node, order: Node) -> Node:
        dim = tokens.shape[1]
        return _shape(ops.gather(_shape(tokens, -1, self._run * dim), order, _constant(0, np.int64)), -1, dim)

    def split(self, x: Node) -> Sequence[Node]:  # (n, ...) -> one for each kind
        counts = [count for count, _ in self.kinds]
        if len(counts) == 1:
            return [x]
        return ops.variadic_split(x, _constant(0, np.int64), _constant(counts, np.int64)).outputs()


def _cut(of_map: Array, side: int) -> Array:  # (H, W) -> (n, N)
    rows, columns = (length // side for length in of_map.shape)
    grid = of_map.reshape(rows, side, columns, side).transpose(0, 2, 1, 3)  # (rows, columns, M, M)
    return grid.reshape(rows * columns, side * side)


def _moved(length: int, shift: int) -> Array:
    """Return (length,): 1 where the cyclic shift moves a position to the other end of the axis, else 0."""
    return (np.arange(length) < shift).astype(int)


def _canonical(regions: Array) -> Array:
    """Number the regions of each window in order of appearance, so that equal numbers mean equal masks."""
    numbered = np.zeros_like(regions)
    for window in np.flatnonzero((regions != regions[:, :1]).any(axis=1)):
        first, numbers = np.unique(regions[window], return_index=True, return_inverse=True)[1:]
        numbered[window] = np.argsort(np.argsort(first))[numbers.reshape(-1)]
    return numbered


def _mask(regions: Array) -> Array | None:
    """Return the additive mask (N, N) for a window with tokens in these regions (N,); None for one region."""
    apart = regions[:, None] != regions[None, :]
    return np.where(apart, np.float32(MASKED), np.float32(0)) if apart.any() else None


def _heads_apart(layers: Sequence[Layer], heads: int, windows: _Windows) -> list[Node]:
    """Apply linear layers to (n N, C). For each kind of windows, return the tokens of all: (h, n, K, d).

    In windows without a mask (most windows), each of up to 8 heads has a product of its own, which writes its
    tokens where attention reads them. More heads would make compiling long, and gain less.
    """
    parts = [windows.split(_shape(x, windows.count, -1, x.shape[1])) for x, _, _ in layers]
    kinds = []
    for (count, mask), sources in zip(windows.kinds, zip(*parts, strict=True), strict=True):
        tokens = []
        for source, (_, weight, bias) in zip(sources, layers, strict=True):
            rows, dim = _shape(source, -1, source.shape[2]), bias.size // heads
            if mask is None and heads <= 8:
                of_heads = zip(np.split(weight, heads), np.split(bias, heads), strict=True)
                apart = [_shape(_linear(rows, *layer), 1, count, -1, dim) for layer in of_heads]
                tokens.append(_joined(apart, 0))
            else:
                tokens.append(
                    _permute(_shape(_linear(rows, weight, bias), count, -1, heads, dim), 2, 0, 1, 3)
                )
        kinds.append(_joined(tokens, 2))
    return kinds


def _attend(q: Node, k: Node, v: Node, bias: Array | None = None) -> Node:
    """Attention: q (..., N, d), k (..., d, K), v (..., K, d), bias (..., N, K) -> (..., N, d)."""
    scores = ops.matmul(q, k, False, False)
    if bias is not None:
        scores = ops.add(scores, _constant(bias))
    return ops.matmul(ops.softmax(scores, -1), v, False, False)


def _joined(parts: Sequence[Node], axis: int) -> Node:
    return parts[0] if len(parts) == 1 else ops.concat(list(parts), axis)


def _linear(x: Node, weight: Array, bias: Array) -> Node:
    return ops.add(ops.matmul(x, _constant(weight), False, True), _constant(bias))


def _normalize(tokens: Node) -> Node:
    return ops.mvn(tokens, _constant([-1], np.int64), True, EPSILON, "inside_sqrt")


def _to_features(tokens: Node, height: int, width: int) -> Node:  # (H W, C) -> (1, C, H, W)
    return wide(_permute(wide(_shape(tokens, 1, height, width, -1)), 0, 3, 1, 2))


def _to_tokens(features: Node) -> Node:  # (1, C, H, W) -> (H W, C)
    channels = features.shape[1]
    return wide(_shape(wide(_permute(features, 0, 2, 3, 1)), -1, channels))


def _shape(x: Node, *shape: int) -> Node:
    return ops.reshape(x, _constant(shape, np.int64), False)


def _permute(x: Node, *order: int) -> Node:
    return ops.transpose(x, _constant(order, np.int64))


def _constant(value: Any, dtype: Any = np.float32) -> Node:
    return ops.constant(np.array(value, dtype=dtype, order="C"))
