"""Tiny state dicts under the original authors' keys, written independently of this package's layout."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

State = dict[str, NDArray[Any]]
Shapes = Iterator[tuple[str, tuple[int, ...]]]

ONES = (1,) * 9


def original_state(*, seed: int = 0, index: bool = True, prefix: str = "", **options: Any) -> State:
    """Random float32 tensors, with `index` also the index buffers (int64); other options as in `_shapes`."""
    rng = np.random.default_rng(seed)
    state: State = {}
    for key, shape in _shapes(**options):
        if key.endswith("relative_position_index"):
            side = round(shape[0] ** 0.5)
            pairs = [
                (a // side - b // side + side - 1, a % side - b % side + side - 1)
                for a in range(side**2)
                for b in range(side**2)
            ]
            value = np.array([row * (2 * side - 1) + column for row, column in pairs], np.int64).reshape(
                shape
            )
        else:
            value = (0.1 * rng.standard_normal(shape)).astype(np.float32)
        if index or not key.endswith("relative_position_index"):
            state[prefix + key] = value
    return state


def _affine(key: str, *shape: int, biased: bool = True, out: int | None = None) -> Shapes:
    yield f"{key}.weight", shape
    if biased:
        yield f"{key}.bias", (out or shape[0],)


def _attention(key: str, c: int, h: int | None, m: int, *, bias: bool, joint: bool = False) -> Shapes:
    if h is not None:
        yield f"{key}.relative_position_bias_table", ((2 * m - 1) ** 2, h)
        yield f"{key}.relative_position_index", (m * m, m * m)
    yield from _affine(f"{key}.qkv.{'to_qkv' if joint else 'to_q'}", 3 * c if joint else c, c, biased=bias)
    yield from _affine(f"{key}.qkv.to_kv", 2 * c, c, biased=bias)
    yield from _affine(f"{key}.proj", c, c)


def _shapes(
    *,
    dim: int = 4,
    depths: Sequence[int] = ONES,
    heads: Sequence[int] = (1, 2, 4, 4, 4, 4, 4, 2, 1),
    window: int = 2,
    bottleneck_window: int | None = None,
    ratio: float = 2.0,
    leff: bool = True,
    skip: str = "concat",
    modulator: bool = False,
    cross_modulator: bool = False,
    bias: bool = True,
    channels: tuple[int, int] = (3, 3),
) -> Shapes:
    def block(key: str, c: int, h: int, m: int, *, decoder: bool) -> Shapes:
        if decoder and modulator:
            yield f"{key}.modulator.weight", (window**2, c)
        if decoder and cross_modulator:
            yield f"{key}.cross_modulator.weight", (window**2, c)
            yield from _attention(f"{key}.cross_attn", c, None, m, bias=bias)
            yield from _affine(f"{key}.norm_cross", c)
        more_norms = {"concat": (), "cross": ("norm_kv", "norm3"), "concat_cross": ("norm_kv",)}[
            skip if decoder else "concat"
        ]
        if decoder and skip != "concat":
            yield from _attention(f"{key}.cross_attn", c, h, m, joint=skip == "concat_cross", bias=bias)
        if not decoder or skip != "concat_cross":
            yield from _attention(f"{key}.attn", c, h, m, bias=bias)
        for norm in ("norm1", "norm2", *more_norms):
            yield from _affine(f"{key}.{norm}", c)
        hidden = int(c * ratio)
        yield from _affine(f"{key}.mlp.{'linear1.0' if leff else 'fc1'}", hidden, c)
        if leff:
            yield from _affine(f"{key}.mlp.dwconv.0", hidden, 1, 3, 3)
        yield from _affine(f"{key}.mlp.{'linear2.0' if leff else 'fc2'}", c, hidden)

    wide = 2 if skip == "concat" else 1
    yield from _affine("input_proj.proj.0", dim, channels[0], 3, 3)
    yield from _affine("output_proj.proj.0", channels[1], wide * dim, 3, 3)
    for k in range(4):
        yield from _affine(f"dowsample_{k}.conv.0", dim << (k + 1), dim << k, 4, 4)
        up = dim << (3 - k)
        yield from _affine(f"upsample_{k}.deconv.0", dim << 4 if k == 0 else wide * 2 * up, up, 2, 2, out=up)
    stages = [*((f"encoderlayer_{k}", dim << k) for k in range(4)), ("conv", dim << 4)]
    stages += [(f"decoderlayer_{k}", wide * (dim << (3 - k))) for k in range(4)]
    for (stage, c), depth, h in zip(stages, depths, heads, strict=True):
        m = bottleneck_window or window if stage == "conv" else window
        for i in range(depth):
            yield from block(f"{stage}.blocks.{i}", c, h, m, decoder=stage.startswith("decoder"))
