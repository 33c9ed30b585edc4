"""Networks by name: a published variant, weights that ship, or a checkpoint file."""

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
    """Create a network on the CPU in float32.

    - The name of a variant ("uformer_t") gives random weights from torch's global generator, in training
      mode, like any new nn.Module.
    - The name of weights ("uformer_t.denoise") or the path of a .safetensors checkpoint gives those weights,
      in evaluation mode.

    Raises OptionError, which lists the known names, for anything else, and CheckpointError for a file that is
    missing or damaged.
    """
    name = os.fspath(name_or_path)
    if name not in VARIANTS:
        return load(weights_file(name))
    require("torch", "torch")
    from uformer.model.uformer import Uformer  # noqa: PLC0415 - torch is optional

    return Uformer(VARIANTS[name])


def weights_file(name_or_path: str | os.PathLike[str]) -> Path:
    """The checkpoint file for a name or path.

    - Weights that ship: their file, verified.
    - The path of a file: the path itself.
    - A folder that `save_pretrained` or a training run wrote: the checkpoint in it; of a run, its best
      weights.
    - "org/name" on the Hugging Face Hub: the downloaded checkpoint.

    Raises OptionError for an unknown name, and CheckpointError if weights that ship are missing or damaged,
    or if the Hub does not have them.
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
        f"unknown network or weights {name!r}; give weights ({', '.join(registry.WEIGHTS)}), "
        "a .safetensors file, the folder of a run, or org/name on the Hugging Face Hub; "
        f"networks without weights: {', '.join(VARIANTS)}"
    )
