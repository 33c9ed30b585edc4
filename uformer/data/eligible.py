"""Which pictures below a folder may be learned from: not what training or `uformer data check` made there."""

import os
from collections.abc import Callable
from pathlib import Path

from uformer.errors import OptionError
from uformer.image.formats import SUFFIXES
from uformer.restore.walk import Found, walk

PAIRED = (("degraded", "clean"), ("input", "target"))
"""Names that the two folders of a data set of pairs may have, degraded and clean."""

SHEET = ".check.png"
"""What the name of a contact sheet ends with."""


def paired(folder: Path) -> tuple[Path, Path] | None:
    """The folders of the degraded and the clean pictures, where a folder has both of them by names of `PAIRED`."""
    candidates = [(folder / degraded, folder / clean) for degraded, clean in PAIRED]
    return next((both for both in candidates if all(os.path.isdir(path) for path in both)), None)


def is_run(folder: Path) -> bool:
    """Whether a folder is that of a training run, whose samples and curves are no pictures to learn from."""
    return os.path.isfile(folder / "config.yaml") and os.path.isdir(folder / "state")


def pictures_below(folder: Path, *, enter: Callable[[Path], bool] = lambda _: True) -> Found:
    """As `walk`, with training runs and contact sheets of `uformer data check` among what is left out.

    Raises OptionError where there is no such folder.
    """
    if not folder.is_dir():
        raise OptionError(f"{folder}: no such folder")
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
    """What to say of a folder without pictures."""
    return OptionError(f"{folder}: no pictures in it ({', '.join(SUFFIXES)})")
