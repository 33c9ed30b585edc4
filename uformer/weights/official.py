"""Conversion of the original authors' state dicts (2021 and 2022 forms) to this package's, and back.

The authors' state dicts are tensors by name, without hyperparameters. All hyperparameters follow from the
tensors, except two: whether windows shift (they do, unless the caller says otherwise), and whether those of
the bottleneck shift, which follows from the size that the network was built for.
"""

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from uformer.config import Skip, UformerConfig
from uformer.errors import CheckpointError, OptionError
from uformer.files import one_line
from uformer.layout import block_shapes, parameter_shapes, step_shapes
from uformer.structure import BlockPlan, ConvPlan, plan, relative_position_index

State = Mapping[str, NDArray[np.generic]]

LEVELS = UformerConfig().levels
"""Encoder stages of the authors' code, always 4."""
INDEX = "relative_position_index"
"""A buffer in the authors' files that follows from the window size; checkpoints do not store it."""
BIAS_TABLE = "relative_position_bias_table"
"""The parameter beside each such buffer."""

_PREFIXES = re.compile(r"^(?:(?:module|model|_orig_mod)\.)+")

_MODULES = {  # checkpoint name -> the authors' name
    "input_proj": "input_proj.proj.0",
    "encoder": "encoderlayer_{}",
    "downsample": "dowsample_{}.conv.0",  # their spelling
    "bottleneck": "conv",
    "upsample": "upsample_{}.deconv.0",
    "decoder": "decoderlayer_{}",
    "output_proj": "output_proj.proj.0",
}


def from_original(
    state: State, *, train_size: int | None = None, shift: bool = True
) -> tuple[UformerConfig, dict[str, NDArray[np.generic]]]:
    """The configuration and tensors (views, with unchanged dtypes) for the authors' state dict.

    Keys may have the prefix `module.`, `model.` or `_orig_mod.`, which wrappers of networks add.

    - `train_size`: side in pixels of the images that the network was built for (the authors trained denoising
      at 128, deblurring at 256). If the bottleneck's map is then no larger than one window, it does not
      shift. None is allowed only if that makes no difference.
    - `shift`: False for a network that was built with `shift_flag=False`.

    A ConcatCross file gets `interleaved_keys=True`, which computes exactly what the authors' code computes.

    Raises CheckpointError if the tensors are not those of a Uformer, and OptionError for a train_size that is
    missing or that is impossible for this network.
    """
    found = _without_prefix(state)
    indices = {key: found.pop(key) for key in list(found) if key.endswith(f".{INDEX}")}
    config = _recover(found, train_size=train_size, shift=shift)
    shapes, wanted = parameter_shapes(config), _theirs_to_ours(config)
    if missing := wanted.keys() - found.keys():
        raise _foreign(f"no tensor {_quote(min(missing))}")
    if unknown := found.keys() - wanted.keys():
        raise _foreign(f"unknown tensor {_quote(min(unknown))}")
    for key, index in indices.items():
        table = key.replace(INDEX, BIAS_TABLE)
        if index.shape != (config.window_size**2,) * 2 or table not in wanted:
            raise _foreign(
                f"{_quote(key)} is {list(index.shape)}, but windows have side {config.window_size}"
            )
    ours: dict[str, NDArray[np.generic]] = {}
    for theirs, keys in wanted.items():
        rows = [shapes[key][0] for key in keys]
        shape = (sum(rows), *shapes[keys[0]][1:])
        if found[theirs].shape != shape:
            raise _foreign(f"{_quote(theirs)} is {list(found[theirs].shape)}, not {list(shape)}")
        ours |= zip(keys, np.split(found[theirs], np.cumsum(rows)[:-1]), strict=True)
    return config, {key: ours[key] for key in shapes}


def to_original(config: UformerConfig, state: State) -> dict[str, NDArray[np.generic]]:
    """The tensors under the authors' keys, with the index buffers (int64) that their loader expects.

    Raises CheckpointError if their code has no such network.
    """
    if reason := _no_original(config):
        raise CheckpointError(f"the original code has no such network: {reason}")
    if config.skip == "concat_cross" and not config.interleaved_keys:
        same = "only a network with interleaved_keys gives the same result there"
        raise CheckpointError(f"the original code gives each joint key the bias of another key; {same}")
    out: dict[str, NDArray[np.generic]] = {}
    for theirs, keys in _theirs_to_ours(config).items():
        out[theirs] = np.concatenate([state[key] for key in keys])
        if theirs.endswith(BIAS_TABLE):
            out[theirs.replace(BIAS_TABLE, INDEX)] = relative_position_index(config.window_size)
    return out


def original_call(config: UformerConfig) -> str:
    """The call of the authors' code that builds the network of `to_original`."""
    name = {"concat": "Uformer", "cross": "Uformer_Cross", "concat_cross": "Uformer_CatCross"}[config.skip]
    arguments: dict[str, object] = {
        "img_size": config.multiple * (2 if config.stage_shift(LEVELS) else 1),
        "in_chans": config.out_channels,
        "embed_dim": config.embed_dim,
        "depths": list(config.depths),
        "num_heads": list(config.num_heads),
        "win_size": config.window_size,
        "mlp_ratio": config.mlp_ratio,
        "qkv_bias": config.qkv_bias,
        "token_mlp": "leff" if config.feed_forward == "leff" else "ffn",
        "shift_flag": config.shift,
    }
    if config.skip == "concat":  # for the 2022 code; the 2021 code accepts all but these
        arguments |= {
            "dd_in": config.in_channels,
            "modulator": config.modulator,
            "cross_modulator": config.cross_modulator,
        }
    return f"{name}({', '.join(f'{name}={value!r}' for name, value in arguments.items())})"


def _without_prefix(state: State) -> dict[str, NDArray[np.generic]]:
    found: dict[str, NDArray[np.generic]] = {}
    for key, value in state.items():
        name = _PREFIXES.sub("", key)
        if name in found:
            raise _foreign(f"tensor {_quote(name)} exists with and without a prefix such as 'module.'")
        found[name] = value
    return found


def _recover(state: State, *, train_size: int | None, shift: bool) -> UformerConfig:
    """Recover every hyperparameter from the names and shapes of the authors' tensors."""

    def shape(key: str, ndim: int) -> tuple[int, ...]:
        if key not in state or state[key].ndim != ndim or 0 in state[key].shape:
            raise _foreign(f"no usable tensor {_quote(key)}")
        return state[key].shape

    embed_dim, in_channels, *_ = shape("input_proj.proj.0.weight", 4)
    out_channels = shape("output_proj.proj.0.weight", 4)[0]
    stages = [
        _theirs(stage.name) for stage in plan(UformerConfig()).stages
    ]  # the same for all of the authors' networks
    blocks: dict[str, set[str]] = {stage: set() for stage in stages}  # block numbers by stage
    names = set()  # tensor names inside a decoder block
    for key in state:
        stage, dot, rest = key.partition(".blocks.")
        if dot and stage not in blocks:
            raise _foreign(f"unknown stage {_quote(stage)}")
        if dot:
            index, _, name = rest.partition(".")
            blocks[stage].add(index)
            names |= {name} if stage.startswith("decoder") else set()

    skip: Skip = "cross" if "norm_kv.weight" in names else "concat"
    if "cross_attn.qkv.to_qkv.weight" in names:
        skip = "concat_cross"
    heads, windows, hidden = [], [], []
    leff = "mlp.linear1.0.weight" in names
    for stage in stages:
        attention = "cross_attn" if skip == "concat_cross" and stage.startswith("decoder") else "attn"
        rows, columns = shape(f"{stage}.blocks.0.{attention}.{BIAS_TABLE}", 2)
        heads.append(columns)
        windows.append((math.isqrt(rows) + 1) // 2)
        hidden.append(shape(f"{stage}.blocks.0.mlp.{'linear1.0' if leff else 'fc1'}.weight", 2)[0])
    depths = tuple(len(indices) for indices in blocks.values())
    bottleneck = stages.index(_theirs("bottleneck"))
    bottleneck_shift = _bottleneck_shift(
        windows[0],
        windows[bottleneck],
        train_size=train_size,
        matters=shift and depths[bottleneck] > 1,
    )
    try:
        config = UformerConfig(
            embed_dim=embed_dim,
            depths=depths,
            num_heads=tuple(heads),
            window_size=windows[0],
            qkv_bias="attn.qkv.to_q.bias" in names or "cross_attn.qkv.to_kv.bias" in names,
            feed_forward="leff" if leff else "mlp",
            skip=skip,
            interleaved_keys=skip == "concat_cross",
            modulator="modulator.weight" in names,
            cross_modulator="cross_modulator.weight" in names,
            shift=shift,
            bottleneck_shift=bottleneck_shift,
            in_channels=in_channels,
            out_channels=out_channels,
        )
    except OptionError as error:
        raise _foreign(str(error)) from None
    if reason := _no_original(config):
        raise _foreign(reason)
    return dataclasses.replace(config, mlp_ratio=_ratio([stage.dim for stage in plan(config).stages], hidden))


def _bottleneck_shift(window: int, bottleneck: int, *, train_size: int | None, matters: bool) -> bool:
    """Whether the authors' code shifts windows in the bottleneck: only if its map is larger than one window.

    `window`, `bottleneck`: sides of the windows outside and inside the bottleneck.

    If the map is smaller than a window, their code makes the bottleneck's windows smaller, and level 3 does
    not shift either. The bias tables show this. This package has no such network.
    """
    least = window << LEVELS
    if bottleneck < window:
        built = f"it was built for images smaller than {least} pixels, which is not supported"
        raise _foreign(f"its bottleneck has windows of {bottleneck}, not {window}; {built}")
    if train_size is None:
        if matters and window > 1:
            raise OptionError(
                "--train-size is needed: it decides whether the bottleneck shifts its windows, "
                "which the tensors do not show; the authors used 128 (denoising) and 256 (deblurring)"
            )
        return True
    if train_size < least:
        raise OptionError(
            f"--train-size {train_size}: must be at least {least} for windows of {window} in the bottleneck"
        )
    return train_size >> LEVELS > window


def _ratio(dims: Sequence[int], hidden: Sequence[int]) -> float:
    """The shortest decimal r with int(dim * r) == hidden in every stage."""
    least = max(size / dim for dim, size in zip(dims, hidden, strict=True))
    for digits in range(12):
        ratio = math.ceil(least * 10**digits - 1e-9) / 10**digits
        if all(int(dim * ratio) == size for dim, size in zip(dims, hidden, strict=True)):
            return ratio
    raise _foreign(f"no mlp_ratio gives hidden channels {list(hidden)} for channels {list(dims)}")


def _no_original(config: UformerConfig) -> str | None:
    """The reason why the authors' code cannot build this network; None if it can."""
    if config.levels != LEVELS:
        return f"it has {config.levels} levels, not {LEVELS}"
    if config.skip != "concat" and (config.modulator or config.cross_modulator):
        return f"it has modulators with skip {config.skip!r}"
    if config.cross_blocks == "first":
        return "it has cross_blocks 'first', not 'all'"
    return None


def _theirs_to_ours(config: UformerConfig) -> dict[str, list[str]]:
    """The authors' key -> checkpoint keys; two if their tensor holds both, stacked along the first axis."""
    out: dict[str, list[str]] = {}
    for step in plan(config):
        theirs = _theirs(step.name)
        if isinstance(step, ConvPlan):
            for key in step_shapes(step):
                out[f"{theirs}.{key.removeprefix(f'{step.layer}.')}"] = [key]
            continue
        for index, block in enumerate(step.blocks):
            names = _block_names(block)
            for key in block_shapes(block):
                name = f"{theirs}.blocks.{index}.{_renamed(key, names)}"
                out.setdefault(name, []).append(f"{block.name}.{key}")
    return out


def _theirs(step: str) -> str:
    """The authors' name of a step's module: `encoderlayer_0` for `encoder.0`."""
    module, _, number = step.partition(".")
    return _MODULES[module].format(number)


def _renamed(key: str, names: Mapping[str, str]) -> str:
    if key in names:
        return names[key]
    module, _, kind = key.rpartition(".")
    return f"{names[module]}.{kind}"


def _block_names(block: BlockPlan) -> dict[str, str]:
    """Checkpoint name -> the authors' name, inside a block."""
    joint = block.memory == "joint"
    attn = "cross_attn" if joint else "attn"
    leff = block.feed_forward == "leff"
    names = {
        "modulator": "modulator.weight",
        "cross_modulator": "cross_modulator.weight",
        "norm_cross_modulator": "norm_cross",
        "norm_attn": "norm1",
        "norm_memory": "norm_kv",
        "norm_cross": "norm2",
        "norm_ff": "norm3" if block.memory == "cross" else "norm2",
        "attn.to_q": "cross_attn.qkv.to_qkv" if joint else "attn.qkv.to_q",
        "attn.to_kv": "cross_attn.qkv.to_qkv" if joint else "attn.qkv.to_kv",
        "attn.memory_to_kv": "cross_attn.qkv.to_kv",
        "feed_forward.linear1": "mlp.linear1.0" if leff else "mlp.fc1",
        "feed_forward.dwconv": "mlp.dwconv.0",
        "feed_forward.linear2": "mlp.linear2.0" if leff else "mlp.fc2",
    }
    attentions = {"attn": attn, "cross_attn": "cross_attn", "cross_modulator_attn": "cross_attn"}
    for ours, theirs in attentions.items():
        names.setdefault(f"{ours}.to_q", f"{theirs}.qkv.to_q")
        names.setdefault(f"{ours}.to_kv", f"{theirs}.qkv.to_kv")
        names |= {f"{ours}.{part}": f"{theirs}.{part}" for part in ("proj", BIAS_TABLE)}
    return names


def _foreign(reason: str) -> CheckpointError:
    return CheckpointError(f"not an original Uformer checkpoint: {reason}")


def _quote(name: str) -> str:
    return f"'{one_line(name, 80)}'"
