"""Networks by name: a published variant, weights that ship, or a checkpoint file."""

from __future__ import annotations

import dataclasses
import fnmatch
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uformer.config import VARIANTS, UformerConfig
from uformer.errors import OptionError
from uformer.files import require
from uformer.values import unknown
from uformer.weights import checkpoint, registry, repository
from uformer.weights.adapt import adapt

if TYPE_CHECKING:
    from uformer.model.uformer import Uformer


def create_model(
    name_or_path: str | os.PathLike[str], *, pretrained: bool | None = None, **fields: Any
) -> Uformer:
    """Create a network on the CPU in float32.

    `name_or_path`: the name of a variant ("uformer_t"), the name of weights ("uformer_t.denoise"), the path
    of a .safetensors checkpoint, or whatever else `weights_file` accepts.

    `pretrained`: True loads weights; for a variant, these are the first that ship for it. False gives random
    weights from torch's global generator. By default, a variant gets random weights, and everything else
    loads its weights. A network with loaded weights is in evaluation mode, one with random weights in
    training mode, like any new nn.Module.

    `fields`: fields of `UformerConfig` that replace those of the network, such as `in_channels=1`.
    `out_channels` follows `in_channels` unless it is given too. Loaded weights are adapted to other channels
    and to another `window_size` as `uformer.weights.adapt.adapt` describes. They are then a start for
    training rather than finished weights, except for one channel, where a gray image gives the mean of the
    three channels that the original weights return.

    Raises OptionError, which lists the known names, for an unknown name; OptionError, which names the field,
    for an unknown field or one that does not fit the weights; and CheckpointError for a file that is missing
    or damaged.
    """
    name = os.fspath(name_or_path)
    if pretrained is None:
        pretrained = name not in VARIANTS
    if not pretrained:
        require("torch", "torch")
        from uformer.model.uformer import Uformer  # noqa: PLC0415 - torch is optional

        config = VARIANTS[name] if name in VARIANTS else checkpoint.read_config(weights_file(name))
        return Uformer(_replaced(config, fields))
    path = _first_weights(name).verify() if name in VARIANTS else weights_file(name)
    config, state = checkpoint.read(path)
    wanted = _replaced(config, fields)
    return checkpoint.to_model(wanted, adapt(state, config, wanted, name=path.stem))


def list_models(pattern: str = "*", *, pretrained: bool = False) -> list[str]:
    """Return the names that `create_model` accepts: of the variants, then of the weights that ship.

    `pattern` selects by a shell pattern, such as "*.denoise" or "uformer_t*"; `pretrained` selects the names
    of weights.
    """
    names = [*([] if pretrained else VARIANTS), *registry.WEIGHTS]
    return [name for name in names if fnmatch.fnmatchcase(name, pattern)]


def _first_weights(variant: str) -> registry.ShippedWeights:
    for weights in registry.WEIGHTS.values():
        if weights.variant == variant:
            return weights
    raise OptionError(
        f"pretrained: no weights ship for {variant}; weights that ship: {', '.join(registry.WEIGHTS)}"
    )


def _replaced(config: UformerConfig, fields: dict[str, Any]) -> UformerConfig:
    """The configuration with some fields replaced. Raises OptionError for an unknown or impossible field."""
    known = [field.name for field in dataclasses.fields(UformerConfig)]
    for name in fields:
        if name not in known:
            raise unknown(name, known)
    if "in_channels" in fields:
        fields = {"out_channels": fields["in_channels"], **fields}
    return dataclasses.replace(config, **fields)


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
