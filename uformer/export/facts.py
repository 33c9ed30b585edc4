"""What an exported file says of itself."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from uformer import __version__
from uformer.config import UformerConfig
from uformer.files import one_line
from uformer.restore.backends.onnx import FORMAT
from uformer.weights import checkpoint, registry

Precision = Literal["fp32", "fp16", "int8"]

NOT_STATED = "not stated"


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Where the weights of an exported file come from, and what it computes in; `sha256` is that of the checkpoint file."""

    name: str
    sha256: str
    licence: str
    config: UformerConfig
    precision: Precision

    @classmethod
    def of(cls, path: Path, *, precision: Precision, licence: str | None = None) -> "Facts":
        """The facts of a checkpoint; the licence is the one given, that of the weights that ship, or what the file's notes say.

        Raises CheckpointError for a file that is none.
        """
        said = checkpoint.describe(path)
        with open(path, "rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        shipped = next((weights for weights in registry.WEIGHTS.values() if weights.sha256 == sha256), None)
        noted = cast(dict[str, str], said["notes"]).get("licence", NOT_STATED)
        return cls(
            name=shipped.name if shipped else path.stem,
            sha256=sha256,
            licence=one_line(licence or (shipped.licence if shipped else noted), 400),
            config=cast(UformerConfig, said["config"]),
            precision=precision,
        )

    def metadata(self) -> dict[str, str]:
        """What goes into the file, by key."""
        return {
            "format": FORMAT,
            "name": self.name,
            "sha256": self.sha256,
            "licence": self.licence,
            "precision": self.precision,
            "input": contract(self.config),
            "config": self.config.to_json(),
            "made_by": f"uformer {__version__}",
        }


def contract(config: UformerConfig) -> str:
    """What goes in and what comes out, in words."""
    colours = "sRGB as picture files hold it (not linear light)" if config.in_channels == 3 else "samples as picture files hold them"
    return (
        f"'image': float32 (batch, {config.in_channels}, height, width) in [0, 1], {colours}, any height and width from 1; "
        f"'restored': float32 (batch, {config.out_channels}, height, width), to be clipped to [0, 1]"
    )
