"""The origin and licence of weights, as exported files and model cards state them."""

from dataclasses import dataclass
from pathlib import Path
from typing import cast

from uformer.config import UformerConfig
from uformer.files import one_line, sha256_of
from uformer.weights import checkpoint, registry

NOT_STATED = "not stated"


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """The origin of a checkpoint; `sha256` is that of its file, `shipped` its registry entry, if it ships."""

    name: str
    sha256: str
    licence: str
    config: UformerConfig
    shipped: registry.ShippedWeights | None

    @classmethod
    def of(cls, path: Path, *, licence: str | None = None) -> "Provenance":
        """Describe a checkpoint.

        Its licence is the given one, or else that of the weights that ship, or else the one in the file's
        notes. Raises CheckpointError if the file is not a checkpoint.
        """
        said = checkpoint.describe(path)
        sha256 = sha256_of(path)
        shipped = next((weights for weights in registry.WEIGHTS.values() if weights.sha256 == sha256), None)
        noted = cast(dict[str, str], said["notes"]).get("licence", NOT_STATED)
        return cls(
            name=shipped.name if shipped else path.stem,
            sha256=sha256,
            licence=one_line(licence or (shipped.licence if shipped else noted), 400),
            config=cast(UformerConfig, said["config"]),
            shipped=shipped,
        )
