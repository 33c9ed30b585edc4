"""Checkpoints: one .safetensors file with tensors by state-dict key and the configuration in its metadata."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from uformer.config import UformerConfig, differences
from uformer.errors import CheckpointError
from uformer.files import atomic_file, one_line, require
from uformer.layout import Shapes, parameter_count, parameter_shapes

if TYPE_CHECKING:
    from uformer.model.uformer import Uformer

PathLike = str | os.PathLike[str]
State = Mapping[str, NDArray[np.generic]]

FORMAT = "uformer-1"
_DTYPES: dict[str, np.dtype[np.generic]] = {"F16": np.dtype("<f2"), "F32": np.dtype("<f4")}
_CONFIG_CHARACTERS = 4096  # a real one has about 500
_EXPORTED = "is an exported file, not a checkpoint; give the .safetensors file that it was made from"
_OTHERS = {
    ".onnx": f"{_EXPORTED} (restore, serve and batch accept .onnx)",
    **dict.fromkeys((".pt2", ".xml", ".bin"), _EXPORTED),
    **dict.fromkeys(
        (".pth", ".pt", ".ckpt"),
        "is not a safetensors file; convert the original authors' weights with `uformer convert` first",
    ),
}
"""The error for a file that is not safetensors, by its suffix."""
_LARGEST_WINDOW = (
    32  # memory of attention grows with its fourth power, and a file of a few kB can claim any size
)


def write(
    path: PathLike, config: UformerConfig, state: State, *, notes: Mapping[str, str] | None = None
) -> None:
    """Write a checkpoint, whole or not at all. The same content gives the same bytes.

    The tensors (float16 or float32) must be those of `config` and finite. Raises CheckpointError if they are
    not, or if the file cannot be written.
    """
    # safetensors' own writer orders the metadata at random, so the same content would give different files.
    shapes = _shapes(config, len(state))
    _check(shapes, {key: (_dtype_name(value), value.shape) for key, value in state.items()})
    ordered = {key: np.ascontiguousarray(state[key], _DTYPES[_dtype_name(state[key])]) for key in shapes}
    _check_finite(ordered)
    ordered = dict(
        sorted(ordered.items(), key=lambda item: -item[1].itemsize)
    )  # so that each tensor is aligned
    header: dict[str, object] = {
        "__metadata__": {**(notes or {}), "format": FORMAT, "config": config.to_json()}
    }
    end = 0
    for key, value in ordered.items():
        start, end = end, end + value.nbytes
        header[key] = {"dtype": _dtype_name(value), "shape": value.shape, "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with writing(path) as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for value in ordered.values():
            file.write(value.data)


def read(path: PathLike) -> tuple[UformerConfig, dict[str, NDArray[np.generic]]]:
    """The configuration and tensors (float16 or float32) of a checkpoint.

    Raises CheckpointError for anything but a complete checkpoint.
    """
    with _opened(path) as (file, config, _):
        state = {key: file.get_tensor(key) for key in parameter_shapes(config)}
        _check_finite(state)
        return config, state


def write_half(shares: Mapping[Path, float], out: PathLike, notes: Mapping[str, str]) -> None:
    """Write the weighted mean of checkpoints as float16, at half the size of float32, with notes.

    `shares`: the share of each checkpoint in the mean. Raises CheckpointError if one of them is not a
    checkpoint or has another configuration than the first, or if `out` cannot be written.
    """
    config: UformerConfig | None = None
    mean: dict[str, NDArray[np.float32]] = {}
    for path, share in shares.items():
        found, state = read(path)
        if found != (config or found):
            raise CheckpointError(f"{path}: its configuration differs from that of the first file")
        config = found
        for key, value in state.items():
            mean[key] = mean.get(key, np.float32(0)) + np.float32(share) * value.astype(np.float32)
    if config is None:
        raise CheckpointError("no checkpoint given")
    write(out, config, {key: value.astype(np.float16) for key, value in mean.items()}, notes=notes)


def read_config(path: PathLike) -> UformerConfig:
    """The configuration of a checkpoint, without reading its tensors.

    Raises CheckpointError as `read` does.
    """
    with _opened(path) as (_file, config, _notes):
        return config


def read_notes(path: PathLike) -> dict[str, str]:
    """The notes of a checkpoint, without reading its tensors. Raises CheckpointError as `read` does."""
    with _opened(path) as (_file, _config, notes):
        return notes


def describe(path: PathLike) -> dict[str, object]:
    """The "config", number of "parameters", "dtype" and "notes" of a checkpoint, without reading its tensors.

    Raises CheckpointError as `read` does.
    """
    with _opened(path) as (file, config, notes):
        first = next(iter(parameter_shapes(config)))
        return {
            "config": config,
            "parameters": parameter_count(config),
            "dtype": file.get_slice(first).get_dtype(),
            "notes": notes,
        }


def save(
    path: PathLike, model: Uformer, *, half: bool = False, notes: Mapping[str, str] | None = None
) -> None:
    """Write a network's weights as a checkpoint: in float32 or, with `half`, float16 (enough to restore).

    Raises CheckpointError if the file cannot be written, or if a weight is not finite (with `half`: in
    float16).
    """
    dtype = np.float16 if half else np.float32
    with np.errstate(over="ignore"):  # overflow gives infinity, which `write` refuses
        state = {
            key: value.detach().float().cpu().numpy().astype(dtype)
            for key, value in model.state_dict().items()
        }
    write(path, model.config, state, notes=notes)


def load(path: PathLike, *, config: UformerConfig | None = None) -> Uformer:
    """The network of a checkpoint, in float32 on the CPU, in evaluation mode.

    Raises CheckpointError as `read` does. With `config`, the file must describe that network; otherwise
    CheckpointError names each field that differs ("window_size: file 8, model 4").
    """
    found, state = read(path)
    if config is not None and (fields := differences(found, config)):
        raise CheckpointError(f"{path}: {'; '.join(fields)}")
    return to_model(config or found, state)


def to_model(config: UformerConfig, state: State) -> Uformer:
    """The network with this configuration and these tensors, in float32 on the CPU, in evaluation mode.

    Raises OptionError without torch.
    """
    torch = require("torch", "torch")
    from uformer.model.uformer import Uformer  # noqa: PLC0415 - torch is optional

    model = Uformer(config)
    model.load_state_dict({key: torch.from_numpy(value.astype(np.float32)) for key, value in state.items()})
    return model.eval()


def is_checkpoint(path: PathLike) -> bool:
    """Whether a safetensors file is a uformer checkpoint, which holds a configuration.

    Raises CheckpointError if it is not a safetensors file.
    """
    with _safetensors(path) as file:
        return "config" in (file.metadata() or {})


def check_file(path: PathLike) -> None:
    """Raise CheckpointError unless `path` is a file that is not empty."""
    try:
        if not os.path.exists(path):
            raise CheckpointError(f"{path}: there is no such file")
        if not os.path.isfile(path):
            raise CheckpointError(
                f"{path}: is not a file but a {'folder' if os.path.isdir(path) else 'device or pipe'}"
            )
        with open(path, "rb") as file:
            if not file.read(1):
                raise CheckpointError(f"{path}: is empty")
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror or error})") from None


@contextlib.contextmanager
def writing(path: PathLike) -> Iterator[BinaryIO]:
    """Like `atomic_file`, but raises CheckpointError if the file cannot be written."""
    try:
        with atomic_file(Path(path)) as file:
            yield file
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be written ({error.strerror or error})") from None


@contextlib.contextmanager
def _safetensors(path: PathLike) -> Iterator[safe_open]:
    check_file(path)
    try:
        with safe_open(path, framework="numpy") as file:
            yield file
    except (SafetensorError, OSError) as error:
        other = _OTHERS.get(os.path.splitext(path)[1].lower())  # noqa: PTH122 - the path may be a str
        raise CheckpointError(
            f"{path}: {other or f'is damaged or not a safetensors file ({one_line(error)})'}"
        ) from None


@contextlib.contextmanager
def _opened(path: PathLike) -> Iterator[tuple[safe_open, UformerConfig, dict[str, str]]]:
    """Open and check a file, except for its tensors' values; yield it, its configuration and its notes."""
    with _safetensors(path) as file:
        try:
            notes = dict(file.metadata() or {})
            config = _config(notes.pop("format", None), notes.pop("config", None))
            entries = {key: file.get_slice(key) for key in file.keys()}  # noqa: SIM118 - not a mapping
            _check(
                _shapes(config, len(entries)),
                {key: (part.get_dtype(), tuple(part.get_shape())) for key, part in entries.items()},
            )
            yield file, config, notes
        except CheckpointError as error:
            raise CheckpointError(f"{path}: {error}") from None


def _config(format_: str | None, text: str | None) -> UformerConfig:
    if text is None:
        raise CheckpointError(
            "holds no Uformer configuration; convert the authors' weights with `uformer convert` first"
        )
    if format_ != FORMAT:
        raise CheckpointError(f"its format is '{one_line(format_)}', but this version reads {FORMAT!r}")
    if len(text) > _CONFIG_CHARACTERS:
        raise CheckpointError(
            f"its configuration has {len(text)} characters; the limit is {_CONFIG_CHARACTERS}"
        )
    try:
        return UformerConfig.from_json(text)
    except CheckpointError as error:
        raise CheckpointError(one_line(error)) from None
    except (ValueError, ArithmeticError) as error:  # numbers of a thousand digits
        raise CheckpointError(f"its configuration is not usable: {one_line(error)}") from None


def _shapes(config: UformerConfig, tensors: int) -> Shapes:
    """The shapes of a configuration's tensors, in time and memory bounded by the file's number of tensors."""
    if sum(config.depths) > tensors:
        raise CheckpointError(
            f"holds {tensors} tensors, too few for a configuration of {one_line(sum(config.depths))} blocks"
        )
    if config.window_size > _LARGEST_WINDOW:
        raise CheckpointError(
            f"window_size {one_line(config.window_size)}: must be at most {_LARGEST_WINDOW}"
        )
    try:
        shapes = parameter_shapes(config)
    except (ValueError, ArithmeticError) as error:  # mlp_ratio is NaN, infinite or huge
        raise CheckpointError(f"its configuration is not usable: {one_line(error)}") from None
    if any(0 in shape for shape in shapes.values()):
        raise CheckpointError(f"mlp_ratio {config.mlp_ratio}: is too small for any hidden channels")
    return shapes


def _check(shapes: Shapes, entries: Mapping[str, tuple[str, tuple[int, ...]]]) -> None:
    """Raise CheckpointError unless the dtypes and shapes are exactly those of the configuration."""
    if missing := shapes.keys() - entries.keys():
        raise CheckpointError(f"tensor {min(missing)!r} is missing")
    if extra := entries.keys() - shapes.keys():
        raise CheckpointError(f"tensor '{one_line(min(extra))}' is not part of its configuration")
    for key, shape in shapes.items():
        dtype, found = entries[key]
        if found != shape or dtype not in _DTYPES:
            raise CheckpointError(
                f"tensor {key!r} is {dtype} {one_line(list(found))}, "
                f"expected F16 or F32 {one_line(list(shape))}"
            )


def _check_finite(state: State) -> None:
    for key, value in state.items():
        if not np.isfinite(value).all():
            raise CheckpointError(f"tensor {key!r} holds NaN or infinity")


def _dtype_name(value: NDArray[np.generic]) -> str:
    return f"{value.dtype.kind.upper()}{8 * value.itemsize}"
