"""A network by name: of a published variant, of the weights that ship, or of a checkpoint file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from uformer.config import VARIANTS
from uformer.errors import OptionError
from uformer.files import require
from uformer.weights import registry, repository
from uformer.weights.checkpoint import load

if TYPE_CHECKING:
    from uformer.model.uformer import Uformer


def create_model(name_or_path: str | os.PathLike[str]) -> Uformer:
    """A network on the CPU in float32.

    - The name of a variant ("uformer_t"): fresh weights, drawn from torch's global generator, in training mode, as any new nn.Module.
    - The name of weights ("uformer_t.denoise") or the path of a .safetensors checkpoint: those weights, in evaluation mode.

    Raises OptionError, which lists what is known, for anything else, and CheckpointError for a file that is missing or damaged.
    """
    name = os.fspath(name_or_path)
    if name not in VARIANTS:
        return load(weights_file(name))
    require("torch", "torch")
    from uformer.model.uformer import Uformer  # noqa: PLC0415 - torch is optional

    return Uformer(VARIANTS[name])


def weights_file(name_or_path: str | os.PathLike[str]) -> Path:
    """The checkpoint file of weights that ship, verified; the path as given if it is one; or that of a folder or of "org/name" on the Hub.

    A folder is one that `save_pretrained` wrote, or that of a training run, of which the best weights are meant.

    Raises OptionError for a name that is unknown, CheckpointError where the weights that ship are missing or damaged, or the Hub has none.
    """
    name = os.fspath(name_or_path)
    if name in registry.WEIGHTS:
        return registry.find(name).verify()
    if Path(name).suffix in (".safetensors", ".onnx") or Path(name).is_file():
        return Path(name)
    for file in (repository.FILE, "best.safetensors", "last.safetensors"):
        if (Path(name) / file).is_file():
            return Path(name) / file
    if repository.is_repository(name) and not Path(name).exists():
        return repository.download(name)
    if name in VARIANTS:
        raise OptionError(
            f"{name!r} is a network without weights; weights that ship: {', '.join(registry.WEIGHTS)}"
        )
    raise OptionError(
        f"unknown network or weights {name!r}; weights: {', '.join(registry.WEIGHTS)}; or a .safetensors file, the folder of a run, "
        f"or org/name on the Hugging Face Hub; networks without weights: {', '.join(VARIANTS)}"
    )
