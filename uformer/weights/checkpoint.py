"""Our checkpoints: one .safetensors file, tensors under the network's own keys and the configuration in its metadata."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from uformer.config import UformerConfig, differences
from uformer.errors import CheckpointError
from uformer.files import atomic_path, require
from uformer.layout import parameter_count, parameter_shapes

if TYPE_CHECKING:
    from uformer.model.uformer import Uformer

State = Mapping[str, NDArray[np.generic]]

FORMAT = "uformer-1"
_DTYPES = ("F16", "F32")


def write(path: str | os.PathLike[str], config: UformerConfig, state: State, *, notes: Mapping[str, str] | None = None) -> None:
    """Write a checkpoint, whole or not at all. Raises OSError where the file cannot be written."""
    path = Path(path)
    metadata = {**(notes or {}), "format": FORMAT, "config": config.to_json()}
    with atomic_path(path) as temporary:
        try:
            save_file({key: np.ascontiguousarray(value) for key, value in state.items()}, temporary, metadata)
        except SafetensorError as error:
            raise OSError(f"{path}: {error}") from None


def read(path: str | os.PathLike[str]) -> tuple[UformerConfig, dict[str, NDArray[np.generic]]]:
    """Configuration and tensors (float16 or float32) of a checkpoint. Raises CheckpointError, and OSError where there is no such file."""
    with _open(path) as file:
        config = _config(path, file.metadata())
        _check(path, config, file)
        return config, {key: file.get_tensor(key) for key in parameter_shapes(config)}


def describe(path: str | os.PathLike[str]) -> dict[str, object]:
    """What a checkpoint says of itself: its config, parameters, dtype and notes; the tensors are not read."""
    with _open(path) as file:
        metadata = file.metadata()
        config = _config(path, metadata)
        _check(path, config, file)
        first = next(iter(parameter_shapes(config)))
        notes = {key: value for key, value in metadata.items() if key not in ("format", "config")}
        return {"config": config, "parameters": parameter_count(config), "dtype": file.get_slice(first).get_dtype(), "notes": notes}


def save(path: str | os.PathLike[str], model: Uformer, *, half: bool = False, notes: Mapping[str, str] | None = None) -> None:
    """Write a network's weights, in float16 where `half` (enough to restore with), else float32."""
    dtype = np.float16 if half else np.float32
    state = {key: value.detach().float().cpu().numpy().astype(dtype) for key, value in model.state_dict().items()}
    write(path, model.config, state, notes=notes)


def load(path: str | os.PathLike[str], *, config: UformerConfig | None = None) -> Uformer:
    """The network of a checkpoint, in float32 on the CPU, in evaluation mode.

    With `config`, the file must describe that network; a mismatch raises CheckpointError, which names each field
    that differs ("window_size: file 8, model 4").
    """
    torch = require("torch", "torch")
    from uformer.model.uformer import Uformer  # noqa: PLC0415 - torch is optional

    found, state = read(path)
    if config is not None and (fields := differences(found, config)):
        raise CheckpointError(f"{path}: {'; '.join(fields)}")
    model = Uformer(config or found)
    model.load_state_dict({key: torch.from_numpy(value.astype(np.float32)) for key, value in state.items()})
    return model.eval()


def _open(path: str | os.PathLike[str]) -> safe_open:
    try:
        if os.path.getsize(path) == 0:
            raise CheckpointError(f"{path}: the file is empty")
        return safe_open(path, framework="numpy")
    except SafetensorError as error:
        raise CheckpointError(f"{path}: not a safetensors file ({_line(error)})") from None


def _config(path: str | os.PathLike[str], metadata: Mapping[str, str] | None) -> UformerConfig:
    if not metadata or "config" not in metadata:
        raise CheckpointError(f"{path}: no Uformer configuration in it; original weights need `uformer convert` first")
    if metadata.get("format") != FORMAT:
        raise CheckpointError(f"{path}: format {metadata.get('format')!r}, this version reads {FORMAT!r}")
    try:
        return UformerConfig.from_json(metadata["config"])
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from None


def _check(path: str | os.PathLike[str], config: UformerConfig, file: safe_open) -> None:
    """The tensors must be exactly those of the configuration."""
    names = set(file.keys())
    if sum(config.depths) > len(names):
        raise CheckpointError(f"{path}: {len(names)} tensors for a configuration of {sum(config.depths)} blocks")
    shapes = parameter_shapes(config)
    if odd := names ^ shapes.keys():
        raise CheckpointError(f"{path}: tensor {min(odd)!r} is {'missing' if min(odd) in shapes else 'not part of its configuration'}")
    for key, shape in shapes.items():
        part = file.get_slice(key)
        if tuple(part.get_shape()) != shape or part.get_dtype() not in _DTYPES:
            raise CheckpointError(f"{path}: tensor {key!r} is {part.get_dtype()} {part.get_shape()}, not F16 or F32 {list(shape)}")


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
