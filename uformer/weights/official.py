"""The original authors' checkpoints (2021 and 2022 forms) to ours and back.

Their file is a pickle of tensors by name, with no hyperparameters. The tensors tell all but two: whether windows shift,
and whether the bottleneck's do, which follows from the size that the network was trained at.
"""

import math
import re
from collections import defaultdict
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from uformer.config import UformerConfig
from uformer.errors import CheckpointError, OptionError
from uformer.layout import parameter_shapes

State = Mapping[str, NDArray[np.generic]]


def from_original(state: State, *, train_size: int, shift: bool = True) -> tuple[UformerConfig, dict[str, NDArray[np.generic]]]:
    """Our configuration and tensors for the authors' state dict (`module.` prefixes allowed).

    `train_size`: side of the pictures that the authors' network was built for (128 or 256 in their releases); it
    decides whether the bottleneck shifts. Raises CheckpointError where the tensors are no Uformer's, OptionError
    for a train_size that this network cannot have.
    """
    state = {key.removeprefix("module."): value for key, value in state.items()}
    state = {key: value for key, value in state.items() if not key.endswith("relative_position_index")}
    config = _recover(state, train_size=train_size, shift=shift)
    wanted = _theirs_to_ours(config)
    if missing := wanted.keys() - state.keys():
        raise CheckpointError(f"not an original Uformer checkpoint: no tensor {min(missing)!r}")
    if foreign := state.keys() - wanted.keys():
        raise CheckpointError(f"not an original Uformer checkpoint: unknown tensor {min(foreign)!r}")
    shapes = parameter_shapes(config)
    ours: dict[str, NDArray[np.generic]] = {}
    for theirs, keys in wanted.items():
        sizes = [shapes[key][0] for key in keys]
        if state[theirs].shape != (sum(sizes), *shapes[keys[0]][1:]):
            raise CheckpointError(f"not an original Uformer checkpoint: {theirs!r} is {list(state[theirs].shape)}")
        ours |= zip(keys, np.split(state[theirs], np.cumsum(sizes)[:-1]), strict=True)
    return config, {key: ours[key] for key in shapes}


def to_original(config: UformerConfig, state: State) -> dict[str, NDArray[np.generic]]:
    """The authors' keys for our tensors, with the index buffers that their loader expects. Raises CheckpointError where they have none."""
    if config.skip == "cross" and config.cross_blocks == "first":
        raise CheckpointError("the original code has no network whose first blocks alone are crossed")
    if config.levels != 4:
        raise CheckpointError(f"the original code has 4 levels, not {config.levels}")
    out = {}
    for theirs, keys in _theirs_to_ours(config).items():
        out[theirs] = np.concatenate([state[key] for key in keys])
        if theirs.endswith("relative_position_bias_table"):
            index = theirs.replace("bias_table", "index")
            out[index] = _relative_position_index(config.window_size)
    return out


def _theirs_to_ours(config: UformerConfig) -> dict[str, list[str]]:
    """Their key -> our keys: two where one of theirs holds both, stacked along the first axis."""
    keys = parameter_shapes(config)
    out: dict[str, list[str]] = defaultdict(list)
    for key in keys:
        stage, index, name = re.fullmatch(r"(.*?)(?:\.blocks\.(\d+))?\.(\D.*)", key).groups() if ".blocks." in key else (None, None, key)
        if stage is None:
            out[_outer(key)].append(key)
        else:
            block = f"{stage}.blocks.{index}"
            crossed = f"{block}.norm_cross.weight" in keys
            joint = f"{block}.attn.memory_to_kv.weight" in keys
            out[f"{_outer(stage)}.blocks.{index}.{_inner(name, crossed=crossed, joint=joint, config=config)}"].append(key)
    return out


def _outer(name: str) -> str:
    for ours, theirs in (
        (r"^(in|out)put_proj\.conv", r"\1put_proj.proj.0"),
        (r"^downsample\.(\d+)\.conv", r"dowsample_\1.conv.0"),
        (r"^upsample\.(\d+)\.deconv", r"upsample_\1.deconv.0"),
        (r"^(en|de)coder\.(\d+)", r"\1coderlayer_\2"),
        (r"^bottleneck", "conv"),
    ):
        name = re.sub(ours, theirs, name)
    return name


def _inner(name: str, *, crossed: bool, joint: bool, config: UformerConfig) -> str:
    """Their name of a parameter inside a block; crossed and joint blocks are the 2021 Cross and ConcatCross."""
    if name in ("modulator", "cross_modulator"):
        return f"{name}.weight"
    leff = config.feed_forward == "leff"
    module, _, rest = name.partition(".")
    modules = {
        "norm_attn": "norm1",
        "norm_memory": "norm_kv",
        "norm_cross": "norm2",
        "norm_ff": "norm3" if crossed else "norm2",
        "norm_cross_modulator": "norm_cross",
        "attn": "cross_attn" if joint else "attn",
        "cross_modulator_attn": "cross_attn",
        "feed_forward": "mlp",
    }
    parts = {
        "to_q": "qkv.to_qkv" if joint else "qkv.to_q",
        "to_kv": "qkv.to_qkv" if joint else "qkv.to_kv",
        "memory_to_kv": "qkv.to_kv",
        "linear1": "linear1.0" if leff else "fc1",
        "dwconv": "dwconv.0",
        "linear2": "linear2.0" if leff else "fc2",
    }
    part, dot, kind = rest.partition(".")
    return f"{modules.get(module, module)}.{parts.get(part, part)}{dot}{kind}"


def _recover(state: State, *, train_size: int, shift: bool) -> UformerConfig:
    """Every hyperparameter, from the shapes of their tensors."""

    def shape(key: str, ndim: int) -> tuple[int, ...]:
        if key not in state or state[key].ndim != ndim:
            raise CheckpointError(f"not an original Uformer checkpoint: no usable tensor {key!r}")
        return state[key].shape

    def has(pattern: str) -> bool:
        return any(re.search(pattern, key) for key in state)

    levels = len({m[1] for key in state if (m := re.match(r"encoderlayer_(\d+)\.", key))})
    if not 1 <= levels <= 8:
        raise CheckpointError("not an original Uformer checkpoint: it has no encoder stages under the authors' names")
    stages = [*(f"encoderlayer_{k}" for k in range(levels)), "conv", *(f"decoderlayer_{k}" for k in range(levels))]
    embed_dim, in_channels = shape("input_proj.proj.0.weight", 4)[:2]
    out_channels = shape("output_proj.proj.0.weight", 4)[0]
    rows = shape("encoderlayer_0.blocks.0.attn.relative_position_bias_table", 2)[0]
    window_size = (math.isqrt(rows) + 1) // 2
    if has(r"qkv\.to_qkv\."):
        skip = "concat_cross"
    else:
        skip = "cross" if has(r"norm_kv\.") else "concat"
    attention = "cross_attn" if skip == "concat_cross" else "attn"
    tables = [f"{name}.blocks.0.{attention if 'decoder' in name else 'attn'}.relative_position_bias_table" for name in stages]
    leff = has(r"mlp\.linear1\.0\.")
    hidden = shape("encoderlayer_0.blocks.0.mlp." + ("linear1.0.weight" if leff else "fc1.weight"), 2)[0]

    if train_size < 1 or train_size % (window_size << 0) or train_size >> levels < 1:
        raise OptionError(f"--train-size {train_size} is no multiple of the window, {window_size}")
    if train_size >> (levels - 1) <= window_size or train_size >> levels < window_size:
        least = window_size << levels
        raise OptionError(f"--train-size {train_size} is too small for windows of {window_size}: the original network needs {least}")
    try:
        config = UformerConfig(
            embed_dim=embed_dim,
            depths=tuple(len({m[1] for key in state if (m := re.match(rf"{name}\.blocks\.(\d+)\.", key))}) for name in stages),
            num_heads=tuple(shape(table, 2)[1] for table in tables),
            window_size=window_size,
            mlp_ratio=hidden / embed_dim,
            qkv_bias=has(r"qkv\.to_\w+\.bias$"),
            feed_forward="leff" if leff else "mlp",
            skip=skip,
            interleaved_keys=skip == "concat_cross",
            modulator=has(r"\.modulator\.weight$"),
            cross_modulator=has(r"cross_modulator\.weight$"),
            shift=shift,
            bottleneck_shift=train_size >> levels > window_size,
            in_channels=in_channels,
            out_channels=out_channels,
        )
    except OptionError as error:
        raise CheckpointError(f"not an original Uformer checkpoint: {error}") from None
    return config


def _relative_position_index(side: int) -> NDArray[np.int64]:
    at = np.stack(np.meshgrid(np.arange(side), np.arange(side), indexing="ij")).reshape(2, -1)
    offset = at[:, :, None] - at[:, None, :] + side - 1
    return offset[0] * (2 * side - 1) + offset[1]
