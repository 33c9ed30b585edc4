"""With what a job restores, so that it is never gone on with by something else."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from uformer.errors import CheckpointError
from uformer.files import sha256_of
from uformer.image.write import MetadataPolicy
from uformer.restore.options import RestoreOptions
from uformer.version import __version__
from uformer.weights import registry
from uformer.weights.create import weights_file

Identity = dict[str, Any]

_NOT_COMPARED = ("uformer", "weights", "redo")
_OPTIONS = ("backend", "device", "precision", "tile", "overlap", "ensemble", "strength")
"""Those that change an output's bytes; memory does by the tile that it leaves room for, but a job may go on on a smaller machine."""


def identity(options: RestoreOptions, metadata: MetadataPolicy, *, redo: bool) -> Identity:
    """What makes outputs what they are. Raises OptionError and CheckpointError for weights that are not there."""
    path = (
        registry.for_task(options.task).verify() if options.weights is None else weights_file(options.weights)
    )
    try:
        sha256 = sha256_of(path)
    except OSError as error:
        raise CheckpointError(f"{path}: {error.strerror}") from None
    chosen = dataclasses.asdict(options)
    named = {name: chosen[name] for name in _OPTIONS}
    return {
        "uformer": __version__,
        "weights": path.name,
        "sha256": sha256,
        **named,
        "metadata": metadata,
        "redo": redo,
    }


def difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """In words, where two identities would make other outputs; None where they would not."""
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
