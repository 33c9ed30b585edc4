"""Uformer as an OpenVINO graph of one fixed size, made from the same weights as the torch network (uformer/model).

Legend: H W a map's height and width in tokens, C channels, M window side, N = M^2, n windows, h heads, d = C / h, K keys.
Tokens are a matrix (H W, C); a window's tokens are N consecutive rows of such a matrix.

The shape of the graph was chosen by measurement: uformer_t on 256 x 256 pixels, one thread with AVX-512, takes 0.45 s in float32 and
0.29 s in bfloat16 where the network written out as in torch takes 0.55 and 0.34 (and torch itself 0.94).

- Tokens as a matrix, not (1, H, W, C): that has only one memory layout, so the plugin inserts no reorders into another.
- Shift and partition as one Gather of rows each way, not Roll, Reshape and Transpose (Roll has no fast kernel).
- q, k, v by three products, not one product and a split; transposes directly before the products: the plugin then makes one
  kernel of the whole attention (with five dimensions it does not).
- Windows in the order inside, right edge, bottom edge, corner: each kind has one mask of (N, N), part of its bias. As fast as one mask
  for each window, which for a tile of 512 takes 64 MiB per head, block and copy.
- The scale of q and the affine part of a LayerNorm are folded into the next product.
- ScaledDotProductAttention, or 1 x 1 convolutions for the products (which take in the residual sum), were no faster.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uformer.config import UformerConfig
from uformer.layout import relative_position_index
from uformer.restore.backends.quiet import ov

Array = NDArray[Any]
Node = Any  # an openvino.Node

ops = ov.opset13

MASKED = -100.0
FILLING = -1  # in place of a token's number
EPSILON = 1e-5  # of torch's LayerNorm
SLOPE = 0.01  # of torch's LeakyReLU


def build(config: UformerConfig, state: Mapping[str, NDArray[Any]], *, height: int, width: int) -> Any:
    """An openvino.Model from (1, in_channels, height, width) float32 in [0, 1] to (1, out_channels, height, width), not clipped.

    `state`: the tensors of `checkpoint.read`. Raises ValueError where height or width is no multiple of `config.stride`.
    """
    if height < 1 or width < 1 or height % config.stride or width % config.stride:
        raise ValueError(f"size {height} x {width}: not multiples of {config.stride}")
    image = ops.parameter([1, config.in_channels, height, width], np.float32, name="image")
    restored = _Network(config, state).restore(image)
    return ov.Model([restored], [image], "uformer")


class _Network:
    """Makes the nodes, with the weights at hand; its methods mirror the modules of uformer/model."""

    def __init__(self, config: UformerConfig, state: Mapping[str, NDArray[Any]]) -> None:
        self.config = config
        self.state = {key: np.asarray(value, dtype=np.float32) for key, value in state.items()}
        self.windows = functools.cache(_Windows)  # blocks of a level share the constants

    def restore(self, image: Node) -> Node:
        config, levels = self.config, self.config.levels
        height, width = image.shape[2:]
        features = _wide(ops.prelu(self.convolution(image, "input_proj.conv", padding=1), _constant([SLOPE])))
        tokens = _to_tokens(features)
        skips = []
        for level in range(levels):
            tokens = self.stage(tokens, level, f"encoder.{level}", height, width)
            skips.append(tokens)
            tokens = _to_tokens(self.convolution(_to_features(tokens, height, width), f"downsample.{level}.conv", stride=2, padding=1))
            height, width = height // 2, width // 2
        tokens = self.stage(tokens, levels, "bottleneck", height, width)
        for k in range(levels):
            tokens = _to_tokens(self.deconvolution(_to_features(tokens, height, width), f"upsample.{k}.deconv"))
            height, width = height * 2, width * 2
            tokens = self.stage(tokens, levels + 1 + k, f"decoder.{k}", height, width, skips[levels - 1 - k])
        restored = self.convolution(_to_features(tokens, height, width), "output_proj.conv", padding=1)
        return _wide(ops.add(restored, image)) if config.in_channels == config.out_channels else restored

    def stage(self, tokens: Node, stage: int, name: str, height: int, width: int, skip: Node | None = None) -> Node:
        config, dim = self.config, self.config.stage_dims[stage]
        if skip is not None and config.skip == "concat":
            tokens, skip = _wide(ops.concat([tokens, skip], 1)), None
        for index in range(config.depths[stage]):
            block = f"{name}.blocks.{index}"
            windows = self.windows(height, width, config.window_size, config.stage_shift(stage) if index % 2 else 0)
            heads = config.num_heads[stage]
            if f"{block}.cross_modulator" in self.state:
                tokens = _wide(ops.add(tokens, self.global_attention(tokens, block, heads, dim)))
            memory = windows.partition(_normalize(skip)) if f"{block}.norm_memory.weight" in self.state else None
            crossed = f"{block}.cross_attn.proj.weight" in self.state
            change = self.attention(tokens, None if crossed else memory, block, "attn", windows, heads, dim)
            tokens = _wide(ops.add(tokens, change))
            if crossed:
                change = self.attention(tokens, memory, block, "cross_attn", windows, heads, dim)
                tokens = _wide(ops.add(tokens, change))
            tokens = _wide(ops.add(tokens, self.feed_forward(tokens, block, height, width)))
        return tokens

    def attention(
        self, tokens: Node, memory: Node | None, block: str, part: str, windows: _Windows, heads: int, dim: int
    ) -> Node:  # (H W, C) to the same
        """Window attention of the normalized tokens to themselves, to `memory` (cross), or to both (joint)."""
        name, cross = f"{block}.{part}", part == "cross_attn"
        norm: str | None = f"{block}.{'norm_cross' if cross else 'norm_attn'}"
        memory_norm = f"{block}.norm_memory"
        queries = windows.partition(_normalize(tokens))  # (n N, C)
        modulator = None if cross else self.state.get(f"{block}.modulator")
        if modulator is not None:  # then the affine part cannot be folded away
            scale, shift = _constant(self.state[f"{norm}.weight"]), _constant(self.state[f"{norm}.bias"] + modulator)
            queries = _shape(ops.add(ops.multiply(_shape(queries, windows.count, -1, dim), scale), shift), -1, dim)
            norm = None

        def heads_of(x: Node, weight: Array, bias: Array) -> Node:  # (n N, C) -> (n, N, h, d)
            return _shape(_linear(x, weight, bias), windows.count, -1, heads, dim // heads)

        weight, bias = self.weights(f"{name}.to_q", norm)
        q = heads_of(queries, weight * (dim // heads) ** -0.5, bias * (dim // heads) ** -0.5)
        source, source_norm = (memory, memory_norm) if cross else (queries, norm)
        weight, bias = self.weights(f"{name}.to_kv", source_norm)
        k, v = heads_of(source, weight[:dim], bias[:dim]), heads_of(source, weight[dim:], bias[dim:])
        joint = memory is not None and not cross
        if joint:  # keys of the tokens, then of the memory
            weight, bias = self.weights(f"{name}.memory_to_kv", memory_norm)
            k = ops.concat([k, heads_of(memory, weight[:dim], bias[:dim])], 1)  # (n, 2N, h, d)
            v = ops.concat([v, heads_of(memory, weight[dim:], bias[dim:])], 1)

        table = self.state[f"{name}.relative_position_bias_table"]
        position_bias = table[relative_position_index(self.config.window_size)].transpose(2, 0, 1)  # (h, N, N)
        groups = []
        for (_, mask), q_, k_, v_ in zip(windows.kinds, windows.split(q), windows.split(k), windows.split(v), strict=True):
            scores_bias = position_bias if mask is None else position_bias + mask
            if joint:
                interleaved = self.config.interleaved_keys
                scores_bias = np.repeat(scores_bias, 2, axis=-1) if interleaved else np.concatenate([scores_bias, scores_bias], axis=-1)
            groups.append(_attend(_permute(q_, 0, 2, 1, 3), _permute(k_, 0, 2, 3, 1), _permute(v_, 0, 2, 1, 3), scores_bias))
        out = groups[0] if len(groups) == 1 else ops.concat(groups, 0)  # (n, N, h, d)
        return windows.merge(_linear(_shape(out, -1, dim), *self.weights(f"{name}.proj")))

    def global_attention(self, tokens: Node, block: str, heads: int, dim: int) -> Node:  # (H W, C) to the same
        """Attention to the cross-modulator's tokens, whose keys and values are known beforehand."""
        name = f"{block}.cross_modulator_attn"
        weight, bias = self.weights(f"{name}.to_kv")
        kv = self.state[f"{block}.cross_modulator"] @ weight.T + bias  # (K, 2C)
        k, v = (x.reshape(1, -1, heads, dim // heads) for x in np.split(kv, 2, axis=1))  # (1, K, h, d)
        weight, bias = self.weights(f"{name}.to_q")
        weight, bias = weight * (dim // heads) ** -0.5, bias * (dim // heads) ** -0.5
        q = _shape(_linear(tokens, weight, bias), 1, -1, heads, dim // heads)
        out = _attend(_permute(q, 0, 2, 1, 3), _constant(k.transpose(0, 2, 3, 1)), _constant(v.transpose(0, 2, 1, 3)))
        return _linear(_shape(out, -1, dim), *self.weights(f"{name}.proj"))

    def feed_forward(self, tokens: Node, block: str, height: int, width: int) -> Node:  # (H W, C) to the same
        name = f"{block}.feed_forward"
        hidden = ops.gelu(_linear(_normalize(tokens), *self.weights(f"{name}.linear1", f"{block}.norm_ff")), "erf")  # (H W, D)
        features = _permute(_shape(hidden, 1, height, width, -1), 0, 3, 1, 2)  # (1, D, H, W)
        weight, bias = self.weights(f"{name}.linear2")
        if self.config.feed_forward == "mlp":
            # As a convolution: OpenVINO 2026.4 dies of a segmentation fault where two products of few tokens follow each other.
            change = ops.convolution(features, _constant(weight[:, :, None, None]), [1, 1], [0, 0], [0, 0], [1, 1])
            return _to_tokens(ops.add(change, _constant(bias.reshape(1, -1, 1, 1))))
        kernel = self.state[f"{name}.dwconv.weight"][:, :, None]  # (D, 1, 1, 3, 3)
        features = ops.group_convolution(features, _constant(kernel), [1, 1], [1, 1], [1, 1], [1, 1])
        features = ops.gelu(ops.add(features, _constant(self.state[f"{name}.dwconv.bias"].reshape(1, -1, 1, 1))), "erf")
        return _linear(_shape(_permute(features, 0, 2, 3, 1), -1, kernel.shape[0]), weight, bias)

    def convolution(self, features: Node, name: str, *, stride: int = 1, padding: int) -> Node:
        weight, bias = _constant(self.state[f"{name}.weight"]), _constant(self.state[f"{name}.bias"].reshape(1, -1, 1, 1))
        pads = [padding, padding]
        return _wide(ops.add(_wide(ops.convolution(features, weight, [stride, stride], pads, pads, [1, 1])), bias))

    def deconvolution(self, features: Node, name: str) -> Node:
        weight, bias = _constant(self.state[f"{name}.weight"]), _constant(self.state[f"{name}.bias"].reshape(1, -1, 1, 1))
        return _wide(ops.add(_wide(ops.convolution_backprop_data(features, weight, [2, 2])), bias))

    def weights(self, name: str, norm: str | None = None) -> tuple[Array, Array]:
        """Weight and bias of a linear layer that follows the LayerNorm `norm`, whose affine part they take over."""
        weight = self.state[f"{name}.weight"]
        bias = self.state.get(f"{name}.bias", np.zeros(weight.shape[0], np.float32))
        if norm is None:
            return weight, bias
        return weight * self.state[f"{norm}.weight"], bias + weight @ self.state[f"{norm}.bias"]


class _Windows:
    """The windows of one map: which tokens each holds, and which windows share a mask.

    Windows that reach over the bottom or right border are filled up with some token, which no other sees.
    """

    def __init__(self, height: int, width: int, side: int, shift: int) -> None:
        rows, columns = -(-height // side), -(-width // side)
        self.count = rows * columns
        number = np.full((rows * side, columns * side), FILLING)
        number[:height, :width] = np.arange(height * width).reshape(height, width)
        of_window = _cut(np.roll(number, (-shift, -shift), (0, 1)), side)  # (n, N)
        apart = np.roll(_sections(height, side, shift)[:, None] * 3 + _sections(width, side, shift), (-shift, -shift), (0, 1))
        regions = np.where(of_window == FILLING, FILLING, _cut(apart, side))  # tokens of two regions do not see each other
        patterns, kind = np.unique(_canonical(regions), axis=0, return_inverse=True)
        kind = kind.reshape(-1)
        self.kinds = [(int((kind == k).sum()), _mask(pattern)) for k, pattern in enumerate(patterns)]  # (windows, mask) in order
        self._run = math.gcd(side, shift, width)  # tokens that are neighbours in the map as in a window: moved together
        from_map = of_window[np.argsort(kind, kind="stable")].reshape(-1)[:: self._run]
        from_map = np.where(from_map == FILLING, FILLING, from_map // self._run)
        to_map = np.argsort(from_map, kind="stable")[np.count_nonzero(from_map == FILLING) :]
        self._from_map, self._to_map = _constant(np.maximum(from_map, 0), np.int32), _constant(to_map, np.int32)

    def partition(self, tokens: Node) -> Node:  # (H W, C) -> (n N, C)
        return self._move(tokens, self._from_map)

    def merge(self, tokens: Node) -> Node:  # (n N, C) -> (H W, C)
        return self._move(tokens, self._to_map)

    def _move(self, tokens: Node, order: Node) -> Node:
        dim = tokens.shape[1]
        return _shape(ops.gather(_shape(tokens, -1, self._run * dim), order, _constant(0, np.int64)), -1, dim)

    def split(self, x: Node) -> Sequence[Node]:  # (n, ...) -> one for each kind
        counts = [count for count, _ in self.kinds]
        return [x] if len(counts) == 1 else ops.variadic_split(x, _constant(0, np.int64), _constant(counts, np.int64)).outputs()


def _cut(of_map: Array, side: int) -> Array:  # (H, W) -> (n, N)
    rows, columns = (length // side for length in of_map.shape)
    return of_map.reshape(rows, side, columns, side).transpose(0, 2, 1, 3).reshape(rows * columns, side * side)


def _sections(length: int, side: int, shift: int) -> Array:
    """For each place on an axis filled up to whole windows, which of the parts it is in that the cyclic shift brings together."""
    return (np.arange(-(-length // side) * side) < shift).astype(int)


def _canonical(regions: Array) -> Array:
    """The regions of each window, numbered in the order in which they appear: two windows with equal numbers have equal masks."""
    numbered = np.zeros_like(regions)
    for window in np.flatnonzero((regions != regions[:, :1]).any(axis=1)):
        first, numbers = np.unique(regions[window], return_index=True, return_inverse=True)[1:]
        numbered[window] = np.argsort(np.argsort(first))[numbers.reshape(-1)]
    return numbered


def _mask(regions: Array) -> Array | None:
    """(N, N) to add to the scores of a window whose tokens lie in these regions (N,)."""
    apart = regions[:, None] != regions[None, :]
    return np.where(apart, np.float32(MASKED), np.float32(0)) if apart.any() else None


def _attend(q: Node, k: Node, v: Node, bias: Array | None = None) -> Node:
    """(n, h, N, d), (n, h, d, K), (n, h, K, d), bias (h, N, K) -> (n, N, h, d)."""
    scores = ops.matmul(q, k, False, False)
    if bias is not None:
        scores = ops.add(scores, _constant(bias[None]))
    return _permute(ops.matmul(ops.softmax(scores, -1), v, False, False), 0, 2, 1, 3)


def _linear(x: Node, weight: Array, bias: Array) -> Node:
    return ops.add(ops.matmul(x, _constant(weight), False, True), _constant(bias))


def _normalize(tokens: Node) -> Node:
    return ops.mvn(tokens, _constant([-1], np.int64), True, EPSILON, "inside_sqrt")


def _to_features(tokens: Node, height: int, width: int) -> Node:  # (H W, C) -> (1, C, H, W)
    return _wide(_permute(_wide(_shape(tokens, 1, height, width, -1)), 0, 3, 1, 2))


def _to_tokens(features: Node) -> Node:  # (1, C, H, W) -> (H W, C)
    channels = features.shape[1]
    return _wide(_shape(_wide(_permute(features, 0, 2, 3, 1)), -1, channels))


def _shape(x: Node, *shape: int) -> Node:
    return ops.reshape(x, _constant(shape, np.int64), False)


def _permute(x: Node, *order: int) -> Node:
    return ops.transpose(x, _constant(order, np.int64))


def _constant(value: Any, dtype: Any = np.float32) -> Node:
    return ops.constant(np.array(value, dtype=dtype, order="C"))


def _wide(node: Node) -> Node:
    """Keep a node in float32 in the lower precisions too.

    So are all that hold the residual stream, from the first convolution to the last. On real noisy pictures bfloat16 all
    the way is more than a level of 8 bits away from float32; with a wide residual stream, less than one.
    """
    for key, value in _wide_marks():
        node.set_rt_info(value, key)
    return node


_MARKED_IR = """<?xml version="1.0"?><net name="marked" version="11"><layers>
<layer id="0" name="a" type="Parameter" version="opset1"><data shape="1" element_type="f32"/>
  <output><port id="0" precision="FP32"><dim>1</dim></port></output></layer>
<layer id="1" name="b" type="Relu" version="opset1"><rt_info>
  <attribute name="DisablePrecisionConversion" version="0" value="dynamic:f16"/></rt_info>
  <input><port id="0"><dim>1</dim></port></input><output><port id="1" precision="FP32"><dim>1</dim></port></output></layer>
<layer id="2" name="c" type="Result" version="opset1"><input><port id="0"><dim>1</dim></port></input></layer>
</layers><edges>
<edge from-layer="0" from-port="0" to-layer="1" to-port="0"/><edge from-layer="1" from-port="1" to-layer="2" to-port="0"/>
</edges></net>"""
"""A model whose one operation carries the mark, which Python can copy but not make; OpenVINO heeds it from 2026.4 on."""


@functools.cache
def _wide_marks() -> list[tuple[str, Any]]:
    model = ov.Core().read_model(_MARKED_IR.encode(), b"")
    return [item for node in model.get_ops() if node.get_type_name() == "Relu" for item in node.get_rt_info().items()]
