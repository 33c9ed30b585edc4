"""Our checkpoints: one .safetensors file, tensors under the network's own keys and the configuration in its metadata."""

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
_EXPORTED = "an exported file, not a checkpoint; give the .safetensors file that it was made from"
_OTHERS = {
    ".onnx": f"{_EXPORTED} (restore, serve and batch take .onnx)",
    **dict.fromkeys((".pt2", ".xml", ".bin"), _EXPORTED),
    **dict.fromkeys(
        (".pth", ".pt", ".ckpt"),
        "not a safetensors file; weights of the original authors need `uformer convert` first",
    ),
}
"""What a file by its name is, that is no safetensors file."""
_LARGEST_WINDOW = 32  # attention takes memory by its fourth power, and a file of a few kB can ask for any


def write(
    path: PathLike, config: UformerConfig, state: State, *, notes: Mapping[str, str] | None = None
) -> None:
    """Write a checkpoint, whole or not at all; the same bytes for the same content.

    The tensors (float16 or float32) must be those of `config`, and finite. Raises CheckpointError where they are not,
    or where the file cannot be written.
    """
    # safetensors' own writer orders the metadata at random, so that no two files are the same.
    shapes = _shapes(config, len(state))
    _check(shapes, {key: (_dtype_name(value), value.shape) for key, value in state.items()})
    ordered = {key: np.ascontiguousarray(state[key], _DTYPES[_dtype_name(state[key])]) for key in shapes}
    _check_finite(ordered)
    ordered = dict(sorted(ordered.items(), key=lambda item: -item[1].itemsize))  # so that each is aligned
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
    """Configuration and tensors (float16 or float32) of a checkpoint. Raises CheckpointError for anything that is not a whole one."""
    with _opened(path) as (file, config, _):
        state = {key: file.get_tensor(key) for key in parameter_shapes(config)}
        _check_finite(state)
        return config, state


def write_half(trained: PathLike, out: PathLike, notes: Mapping[str, str]) -> None:
    """Write a checkpoint's weights as float16, half the size of float32, with notes in its metadata.

    Raises CheckpointError for a file that is no checkpoint, or that cannot be written.
    """
    config, state = read(trained)
    write(out, config, {key: value.astype(np.float16) for key, value in state.items()}, notes=notes)


def read_config(path: PathLike) -> UformerConfig:
    """The configuration of a checkpoint; the tensors are not read. Raises CheckpointError as `read` does."""
    with _opened(path) as (_file, config, _notes):
        return config


def describe(path: PathLike) -> dict[str, object]:
    """What a checkpoint says of itself: its config, number of parameters, dtype and notes; the tensors are not read.

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
    """Write a network's weights, in float16 where `half` (enough to restore with), else float32.

    Raises CheckpointError where the file cannot be written, or a weight is not finite (in float16, where `half`).
    """
    dtype = np.float16 if half else np.float32
    with np.errstate(over="ignore"):  # to infinity, which `write` refuses
        state = {
            key: value.detach().float().cpu().numpy().astype(dtype)
            for key, value in model.state_dict().items()
        }
    write(path, model.config, state, notes=notes)


def load(path: PathLike, *, config: UformerConfig | None = None) -> Uformer:
    """The network of a checkpoint, in float32 on the CPU, in evaluation mode. Raises CheckpointError as `read` does.

    With `config`, the file must describe that network; a mismatch raises CheckpointError, which names each field
    that differs ("window_size: file 8, model 4").
    """
    found, state = read(path)
    if config is not None and (fields := differences(found, config)):
        raise CheckpointError(f"{path}: {'; '.join(fields)}")
    return to_model(config or found, state)


def to_model(config: UformerConfig, state: State) -> Uformer:
    """The network of a configuration and its tensors, in float32 on the CPU, in evaluation mode. Raises OptionError without torch."""
    torch = require("torch", "torch")
    from uformer.model.uformer import Uformer  # noqa: PLC0415 - torch is optional

    model = Uformer(config)
    model.load_state_dict({key: torch.from_numpy(value.astype(np.float32)) for key, value in state.items()})
    return model.eval()


def is_checkpoint(path: PathLike) -> bool:
    """Whether a safetensors file carries a configuration, so is ours. Raises CheckpointError where it is no safetensors file."""
    with _safetensors(path) as file:
        return "config" in (file.metadata() or {})


def check_file(path: PathLike) -> None:
    """Raise CheckpointError unless `path` is a file with something in it."""
    try:
        if not os.path.exists(path):
            raise CheckpointError(f"{path}: there is no such file")
        if not os.path.isfile(path):
            raise CheckpointError(
                f"{path}: not a file, but a {'folder' if os.path.isdir(path) else 'device or pipe'}"
            )
        with open(path, "rb") as file:
            if not file.read(1):
                raise CheckpointError(f"{path}: the file is empty")
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror or error})") from None


@contextlib.contextmanager
def writing(path: PathLike) -> Iterator[BinaryIO]:
    """As `atomic_file`, with a CheckpointError where the file cannot be written."""
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
        other = _OTHERS.get(os.path.splitext(path)[1].lower())  # noqa: PTH122 - a path as the caller gave it
        raise CheckpointError(
            f"{path}: {other or f'not a safetensors file, or a damaged one ({one_line(error)})'}"
        ) from None


@contextlib.contextmanager
def _opened(path: PathLike) -> Iterator[tuple[safe_open, UformerConfig, dict[str, str]]]:
    """The file, checked but for its tensors' values, with its configuration and notes; errors name the file."""
    with _safetensors(path) as file:
        try:
            notes = dict(file.metadata() or {})
            config = _config(notes.pop("format", None), notes.pop("config", None))
            entries = {key: file.get_slice(key) for key in file.keys()}  # noqa: SIM118 - it is not a mapping
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
            "no Uformer configuration in it; weights of the original authors need `uformer convert` first"
        )
    if format_ != FORMAT:
        raise CheckpointError(f"format '{one_line(format_)}', this version reads {FORMAT!r}")
    if len(text) > _CONFIG_CHARACTERS:
        raise CheckpointError(f"its configuration has {len(text)} characters, more than {_CONFIG_CHARACTERS}")
    try:
        return UformerConfig.from_json(text)
    except CheckpointError as error:
        raise CheckpointError(one_line(error)) from None
    except (ValueError, ArithmeticError) as error:  # numbers of a thousand digits
        raise CheckpointError(f"its configuration is not usable: {one_line(error)}") from None


def _shapes(config: UformerConfig, tensors: int) -> Shapes:
    """The shapes that a file of so many tensors must have, in time and memory that its size bounds."""
    if sum(config.depths) > tensors:
        raise CheckpointError(
            f"{tensors} tensors for a configuration of {one_line(sum(config.depths))} blocks"
        )
    if config.window_size > _LARGEST_WINDOW:
        raise CheckpointError(f"window_size {one_line(config.window_size)} is more than {_LARGEST_WINDOW}")
    try:
        shapes = parameter_shapes(config)
    except (ValueError, ArithmeticError) as error:  # a ratio of NaN, infinity, or beyond
        raise CheckpointError(f"its configuration is not usable: {one_line(error)}") from None
    if any(0 in shape for shape in shapes.values()):
        raise CheckpointError(f"mlp_ratio {config.mlp_ratio} leaves no hidden channels")
    return shapes


def _check(shapes: Shapes, entries: Mapping[str, tuple[str, tuple[int, ...]]]) -> None:
    """The tensors, given by dtype and shape, must be exactly those of the configuration."""
    if missing := shapes.keys() - entries.keys():
        raise CheckpointError(f"tensor {min(missing)!r} is missing")
    if extra := entries.keys() - shapes.keys():
        raise CheckpointError(f"tensor '{one_line(min(extra))}' is not part of its configuration")
    for key, shape in shapes.items():
        dtype, found = entries[key]
        if found != shape or dtype not in _DTYPES:
            raise CheckpointError(
                f"tensor {key!r} is {dtype} {one_line(list(found))}, not F16 or F32 {one_line(list(shape))}"
            )


def _check_finite(state: State) -> None:
    for key, value in state.items():
        if not np.isfinite(value).all():
            raise CheckpointError(f"tensor {key!r} holds NaN or infinity")


def _dtype_name(value: NDArray[np.generic]) -> str:
    return f"{value.dtype.kind.upper()}{8 * value.itemsize}"
