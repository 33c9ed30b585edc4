"""Identifies the weights and options of a job, so that no job resumes with others."""

import dataclasses
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from uformer.errors import CheckpointError
from uformer.files import sha256_of
from uformer.image.image import Pixels
from uformer.image.write import MetadataPolicy
from uformer.restore.options import Controls, RestoreOptions
from uformer.version import __version__
from uformer.weights import registry
from uformer.weights.create import weights_file

Identity = dict[str, Any]

_NOT_COMPARED = ("uformer", "weights", "redo")
_CONTROLS = tuple(field.name for field in dataclasses.fields(Controls))
_OPTIONS = (
    "backend",
    "device",
    "precision",
    "tile",
    "overlap",
    "ensemble",
    "range",
    "tasks",
    "quality",
    *_CONTROLS,
)
"""The options that change the bytes of an output. Memory can, by the tile, but jobs may change machines."""


def identity(
    options: RestoreOptions, metadata: MetadataPolicy, *, mask: Pixels | None = None, redo: bool
) -> Identity:
    """Return all that determines the outputs. Raises OptionError or CheckpointError for missing weights."""
    paths = [
        registry.for_task(each.task).verify() if each.weights is None else weights_file(each.weights)
        for each in options.chain
    ]
    chosen = dataclasses.asdict(options)
    named = {name: chosen[name] for name in _OPTIONS}
    return {
        "uformer": __version__,
        "weights": "+".join(path.name for path in paths),
        "sha256": "+".join(_sha256_of(path) for path in paths),
        **named,
        "mask": None if mask is None else _name_of(mask),
        "metadata": metadata,
        "redo": redo,
    }


def _name_of(mask: Pixels) -> str:
    """Return a name that two different masks do not share."""
    rows, columns = mask.shape
    return f"{columns}x{rows} {hashlib.sha256(mask.tobytes()).hexdigest()[:12]}"


def _sha256_of(path: Path) -> str:
    try:
        return sha256_of(path)
    except OSError as error:
        raise CheckpointError(f"{path}: {error.strerror}") from None


def difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """Describe the differences that lead to other outputs; None if there are none."""
    found = []
    for name in now:
        if name in _NOT_COMPARED or before.get(name) == now[name]:
            continue
        if name == "sha256":
            old, new = (f"{each.get('weights')} ({str(each.get('sha256'))[:12]})" for each in (before, now))
            found.append(f"weights {old}, now {new}")
        else:
            found.append(f"{name} {before.get(name)}, now {now[name]}")
    return "; ".join(found) or None
