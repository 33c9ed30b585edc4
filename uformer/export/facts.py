"""The metadata of an exported file."""

from typing import Literal

from uformer.config import UformerConfig
from uformer.restore.backends.onnx import FORMAT
from uformer.version import __version__
from uformer.weights.provenance import RANGE, Provenance

ExportPrecision = Literal["fp32", "fp16", "int8"]

NAMES = ("image", "restored")
"""Input and output of an exported network, except in packages for other programs."""


def metadata(
    about: Provenance,
    precision: ExportPrecision,
    *,
    shape: tuple[int, int] | None = None,
    names: tuple[str, str] = NAMES,
) -> dict[str, str]:
    """Return the metadata of a file, by key. `shape`, `names`: see `contract`."""
    return {
        "format": FORMAT,
        "name": about.name,
        "sha256": about.sha256,
        "licence": about.licence,
        "precision": precision,
        RANGE: about.range,
        "input": contract(about.config, shape, names),
        "config": about.config.to_json(),
        "made_by": f"uformer {__version__}",
    }


def contract(
    config: UformerConfig,
    shape: tuple[int, int] | None = None,
    names: tuple[str, str] = NAMES,
) -> str:
    """Return a description of the network's input and output, which are called `names`.

    `shape`: the only height and width that it accepts, or None if it accepts any.
    """
    colours = (
        "sRGB as in image files (not linear light)"
        if config.in_channels == 3
        else "sample values as in image files"
    )
    batch, size, free = "batch", "height, width", "any height and width from 1"
    if shape is not None:
        batch, size, free = "1", f"{shape[0]}, {shape[1]}", "no other size"
    return (
        f"'{names[0]}': float32 ({batch}, {config.in_channels}, {size}) in [0, 1], {colours}, {free}; "
        f"'{names[1]}': float32 ({batch}, {config.out_channels}, {size}), to be clipped to [0, 1]"
    )
