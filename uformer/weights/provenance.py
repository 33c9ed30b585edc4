"""Where weights come from and under what licence: what an exported file and a model card say of a checkpoint."""

from dataclasses import dataclass
from pathlib import Path
from typing import cast

from uformer.config import UformerConfig
from uformer.files import one_line, sha256_of
from uformer.weights import checkpoint, registry

NOT_STATED = "not stated"


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """A checkpoint; `sha256` is that of its file, `shipped` the registry's entry where it is one of the weights that ship."""

    name: str
    sha256: str
    licence: str
    config: UformerConfig
    shipped: registry.ShippedWeights | None

    @classmethod
    def of(cls, path: Path, *, licence: str | None = None) -> "Provenance":
        """Describe a checkpoint; its licence is the one given, that of the weights that ship, or what the file's notes say.

        Raises CheckpointError for a file that is none.
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
