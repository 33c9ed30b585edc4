"""Advice on fine-tuning with single noisy images, where no score shows whether the weights became better."""

import re
import shlex
from pathlib import Path
from typing import Any

from uformer.image.formats import output_suffix
from uformer.train.folder import RunFolder, read_config

_UNSCORED = ("noise2void", "neighbor2neighbor")
"""Kinds of supervision whose loss on noisy images does not compare weights (docs/self-supervised.md)."""
_PAGE = re.compile(r", page [0-9]+$")  # in the name of a page of a stack


def advice_before(folder: RunFolder) -> list[str]:
    """Return the lines that a run prints before its first step; none if they do not concern it."""
    config = read_config(folder.config)
    if (start := _unscored_start(config)) is None:
        return []
    helps = f"fine-tuning on noisy images alone helps with noise that {start} leaves in them"
    return [
        f"{helps}; where it removes the noise, images can become worse; to see what it leaves:",
        _command(config, folder, start, "start"),
    ]


def advice_after(folder: RunFolder) -> list[str]:
    """Return the lines that a run prints at its end; none if they do not concern it."""
    config = read_config(folder.config)
    if (start := _unscored_start(config)) is None:
        return []
    return [
        f"no score shows whether the new weights restore better than {start}; compare one image with both:",
        _command(config, folder, start, "start"),
        _command(config, folder, str(folder.best), "new"),
    ]


def _unscored_start(config: dict[str, Any]) -> str | None:
    """Return the weights that a run started from, if its scores do not compare the new weights with them."""
    start = config.get("start")
    return start if start != "none" and config["recipe"].supervision in _UNSCORED else None


def _command(config: dict[str, Any], folder: RunFolder, weights: str, name: str) -> str:
    """Return the command that restores a held-out image with these weights, to a file of this name."""
    image = _held_out_image(config)
    output = folder.path / f"compare-{name}{output_suffix(Path(image).suffix) or '.png'}"
    words = ["uformer", "restore", image, "--weights", weights, "-o", str(output), "--overwrite"]
    return f"  {shlex.join(words)}"


def _held_out_image(config: dict[str, Any]) -> str:
    """Return the path of a held-out image, or IMAGE if there is none."""
    folders, names = config.get("data") or {}, (config.get("pictures") or {}).get("held_out_names") or []
    folder = folders.get("validation") or folders.get("data") or ""
    for name in names:
        path = Path(folder, _PAGE.sub("", name))
        if path.exists():
            here = Path.cwd()
            return str(path.relative_to(here) if path.is_relative_to(here) else path)
    return "IMAGE"
