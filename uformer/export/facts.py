"""The metadata of an exported file."""

from typing import Literal

from uformer.config import UformerConfig
from uformer.restore.backends.onnx import FORMAT
from uformer.version import __version__
from uformer.weights.provenance import Provenance

ExportPrecision = Literal["fp32", "fp16", "int8"]


def metadata(about: Provenance, precision: ExportPrecision) -> dict[str, str]:
    """Return the metadata of a file, by key."""
    return {
        "format": FORMAT,
        "name": about.name,
        "sha256": about.sha256,
        "licence": about.licence,
        "precision": precision,
        "input": contract(about.config),
        "config": about.config.to_json(),
        "made_by": f"uformer {__version__}",
    }


def contract(config: UformerConfig) -> str:
    """Return a description of the network's input and output."""
    colours = (
        "sRGB as in image files (not linear light)"
        if config.in_channels == 3
        else "sample values as in image files"
    )
    return (
        f"'image': float32 (batch, {config.in_channels}, height, width) in [0, 1], {colours}, "
        "any height and width from 1; "
        f"'restored': float32 (batch, {config.out_channels}, height, width), to be clipped to [0, 1]"
    )
