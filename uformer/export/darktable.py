"""Packages for darktable's neural restore: a zip archive of an ONNX model, its description and its origin.

The layout follows darktable 5.6 (src/common/ai_models.c, src/common/ai/restore.c) and its model repository,
darktable-org/darktable-ai: one folder, named like the file, with `model.onnx` and `config.json`. darktable
gives the model tiles of one size, planar sRGB values in [0, 1], and cuts 64 pixels off each of their sides.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uformer.errors import OptionError
from uformer.version import __version__

if TYPE_CHECKING:
    from onnx import ModelProto

    from uformer.weights.provenance import Provenance

SUFFIX = ".dtmodel"
NAMES = ("input", "output")
"""The tensors of the model."""
OPSET = 20
"""The ONNX operator set of darktable's own models."""
SIDE = 768
"""Side of the tiles of darktable's own denoisers, in pixels."""
OVERLAP = 64
"""Pixels that darktable cuts off each side of a tile."""
PAPER = "https://arxiv.org/abs/2106.03106"
_TRAINING_CODE = f"MIT; folder training/ in the repository of uformer {__version__}"
_FIXED_TIME = (1980, 1, 1, 0, 0, 0)  # the same content gives the same bytes


def default_name(about: Provenance) -> str:
    """The file name for weights, as darktable names its models: denoise-uformer-t.dtmodel."""
    task, network = (about.shipped.task, about.shipped.variant) if about.shipped else ("denoise", about.name)
    return f"{task}-{re.sub('[^a-z0-9]+', '-', network.lower()).strip('-') or 'uformer'}{SUFFIX}"


def check(path: Path, about: Provenance, shape: tuple[int, int]) -> None:
    """Raise OptionError if darktable would not accept the name, the channels or the shape."""
    if not re.fullmatch("[a-z0-9]+(-[a-z0-9]+)*", path.stem):
        raise OptionError(
            f"--out {path}: darktable identifies a model by the name of its file, which must consist of "
            "a-z, 0-9 and single hyphens, such as denoise-uformer-t.dtmodel"
        )
    channels = about.config.in_channels, about.config.out_channels
    if channels != (3, 3):
        raise OptionError(
            f"--format darktable: the network has {channels[0]} channels in and {channels[1]} out; "
            "darktable needs 3 and 3"
        )
    if shape[0] != shape[1] or shape[0] <= 2 * OVERLAP:
        raise OptionError(
            f"--shape {shape[0]}x{shape[1]}: darktable needs a square larger than {2 * OVERLAP}x{2 * OVERLAP}"
        )


def write(path: Path, model: ModelProto, about: Provenance, *, name: str, side: int) -> None:
    """Write the package of a model called `name`. Raises OSError if it cannot be written."""
    files = {
        "README.md": _readme(about, name).encode(),
        "config.json": (json.dumps(_description(about, name, side), indent=4) + "\n").encode(),
        "model.onnx": model.SerializeToString(deterministic=True),
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file, content in files.items():
            entry = zipfile.ZipInfo(f"{name}/{file}", _FIXED_TIME)  # darktable takes the name from the first
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(entry, content)


def model_in(path: Path) -> bytes:
    """The ONNX model in a package."""
    with zipfile.ZipFile(path) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("/model.onnx"))
        return archive.read(name)


def _description(about: Provenance, name: str, side: int) -> dict[str, Any]:
    task = about.shipped.task if about.shipped else "denoise"
    card = {
        "long_description": f"Uformer, a U-shaped transformer with attention inside windows; {about.name}, "
        f"SHA-256 {about.sha256}",
        "scope": f"single-image restoration ({task})",
        "author": "The Uformer developers",
        "source": _TRAINING_CODE,
        "paper": PAPER,
        "license": about.licence,
        **_training(about),
    }
    return {
        "id": name,
        "name": name.replace("-", " "),
        "description": f"Uformer for one task: {task}",
        "task": "denoise",  # the name of darktable's slot, whatever the weights do
        "arch": "uformer",
        "backend": "onnx",
        "version": __version__,
        "tiling": True,
        "model_card": card,
        "attributes": {"input_sizes": [side]},
    }


def _training(about: Provenance) -> Mapping[str, str]:
    """What the weights were trained on, if they ship with this package."""
    if about.shipped is None:
        return {}
    return {
        "training_data": about.shipped.data,
        "training_data_license": "in parentheses after each set of training_data",
        "notes": f"training: {about.shipped.recipe}",
    }


def _readme(about: Provenance, name: str) -> str:
    """The table that the maintainers of darktable's models ask for."""
    shipped = about.shipped
    rows = {
        "Weights": f"{about.name}, SHA-256 `{about.sha256}`",
        "Model license": about.licence,
        "Training data and its license": shipped.data if shipped else "not stated",
        "Training": shipped.recipe if shipped else "not stated",
        "Training code": _TRAINING_CODE,
        "Published research": f"Uformer (CVPR 2022), {PAPER}",
        "Inference": "local only",
        "Converted by": f"uformer {__version__}: `uformer export --format darktable`",
    }
    table = "\n".join(f"| {key} | {value} |" for key, value in rows.items())
    return f"# {name}\n\n| | |\n|---|---|\n{table}\n"
