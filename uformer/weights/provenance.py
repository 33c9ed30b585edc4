"""The origin and licence of weights, as exported files and model cards state them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from uformer.config import UformerConfig
from uformer.errors import CheckpointError, OptionError
from uformer.files import one_line, sha256_of
from uformer.image import value_range
from uformer.weights import checkpoint, registry

NOT_STATED = "not stated"

RANGE = "range"
"""The note of weights that says how training scaled the values of images."""


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """The origin of a checkpoint; `sha256` is that of its file, `shipped` its registry entry, if it ships."""

    name: str
    sha256: str
    licence: str
    config: UformerConfig
    shipped: registry.ShippedWeights | None
    range: str = "auto"
    """See `noted_range`."""

    @classmethod
    def of(cls, path: Path, *, licence: str | None = None) -> "Provenance":
        """Describe a checkpoint.

        Its licence is the given one, or else that of the weights that ship, or else the one in the file's
        notes. Raises CheckpointError if the file is not a checkpoint.
        """
        said = checkpoint.describe(path)
        sha256 = sha256_of(path)
        shipped = next((weights for weights in registry.WEIGHTS.values() if weights.sha256 == sha256), None)
        notes = cast(dict[str, str], said["notes"])
        noted = notes.get("licence", NOT_STATED)
        return cls(
            name=shipped.name if shipped else path.stem,
            sha256=sha256,
            licence=one_line(licence or (shipped.licence if shipped else noted), 400),
            config=cast(UformerConfig, said["config"]),
            shipped=shipped,
            range=noted_range(path, notes),
        )


def noted_range(path: Path, notes: Mapping[str, str]) -> str:
    """Return how training scaled values to [0, 1]: auto, full or LOW:HIGH. It is auto without such a note.

    Raises CheckpointError if the note is none of these.
    """
    try:
        return value_range.check(notes.get(RANGE, "auto"))
    except OptionError as error:
        raise CheckpointError(f"{path}: its note on the {one_line(error)}") from None
