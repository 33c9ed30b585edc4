"""Find the images below a folder that a network may learn from, without those that `uformer` made."""

import os
from collections.abc import Callable
from pathlib import Path

from uformer.errors import OptionError
from uformer.files import require_folder
from uformer.image.formats import SUFFIXES
from uformer.restore.walk import Found, walk
from uformer.zarr_folder import is_meant

PAIRED = (("degraded", "clean"), ("input", "target"))
"""Names that the two folders of a dataset of pairs may have, as (degraded, clean)."""

SHEET = ".check.png"
"""Suffix of the file names of contact sheets."""


def paired(folder: Path) -> tuple[Path, Path] | None:
    """Return the (degraded, clean) folders in a folder, or None unless both exist under names of `PAIRED`."""
    candidates = [(folder / degraded, folder / clean) for degraded, clean in PAIRED]
    return next((both for both in candidates if all(os.path.isdir(path) for path in both)), None)


def is_run(folder: Path) -> bool:
    """Whether a folder is a run folder, whose samples and curves must not be learned from."""
    return os.path.isfile(folder / "config.yaml") and os.path.isdir(folder / "state")


def pictures_below(folder: Path, *, enter: Callable[[Path], bool] = lambda _: True) -> Found:
    """Walk a folder like `walk`, and also leave out run folders and contact sheets.

    Raises OptionError if `folder` is not a folder.
    """
    require_folder(folder)
    if is_meant(folder):
        raise OptionError(f"{folder}: is a Zarr, which counts as one image; name the folder that it lies in")
    runs: list[Path] = []

    def is_wanted(below: Path) -> bool:
        if enter(below) and is_run(folder / below):
            runs.append(below)
            return False
        return enter(below)

    found = walk(folder, enter=is_wanted)
    sheets = [path for path in found.pictures if path.name.endswith(SHEET)]
    found.pictures = [path for path in found.pictures if not path.name.endswith(SHEET)]
    found.left_out = sorted(found.left_out + runs + sheets)
    return found


def none_in(folder: Path) -> OptionError:
    """Return the error for a folder without images."""
    return OptionError(f"{folder}: no images in it ({', '.join(SUFFIXES)})")
