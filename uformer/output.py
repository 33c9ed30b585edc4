"""Checks whether an output can be written; every command runs them before it does any work."""

import os
import stat
import tempfile
from pathlib import Path

from uformer import zarr_folder
from uformer.errors import OptionError


def check_output(
    path: Path, *, overwrite: bool, source: Path | None = None, how: str = "add --overwrite"
) -> None:
    """Raise OptionError if a file cannot be written or must not be replaced.

    `source`: the input file, which the output must not replace. `how`: how the caller asks to replace an
    existing file, for the error.
    """
    exists, why = what_lies_at(path)
    if why:
        raise OptionError(f"{path}: {why}; give another name")
    if exists and source is not None and _is_same(path, source):
        raise OptionError(f"{path}: the output would replace the input; give another name")
    if exists and not overwrite:
        raise OptionError(f"{path} exists; {how} to replace it, or give another name")
    folder = Path(os.path.realpath(path)).parent if path.is_symlink() else path.parent
    if not folder.is_dir():
        raise OptionError(f"{path}: there is no folder {folder}; create it first")
    if why := why_closed(folder):
        raise OptionError(f"{path}: cannot be written: {why}")


def check_output_folder(folder: Path) -> None:
    """Raise OptionError if a folder for outputs cannot be created or written to."""
    exists, why = what_lies_at(folder)
    if exists and not folder.is_dir():
        raise OptionError(f"{folder}: is a file; give a folder")
    if why := (None if exists else why) or why_closed(folder):
        raise OptionError(f"{folder}: cannot be written: {why}")


def what_lies_at(path: Path) -> tuple[bool, str | None]:
    """Whether something exists at `path`, and the reason why no output can be written there, if known.

    A Zarr counts as a file.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return False, None
    except OSError as error:
        return False, error.strerror or str(error)
    except ValueError:
        return False, "not a file name"
    zarr = path.suffix.lower() == zarr_folder.SUFFIX and zarr_folder.is_zarr(path)
    return True, None if stat.S_ISREG(mode) or zarr else "exists and is not a regular file"


def _is_same(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except (OSError, ValueError):  # reported when the file is opened
        return False


def why_closed(folder: Path) -> str | None:
    """The system's reason why no file can be created in a folder, or the folder itself; None if it can."""
    try:
        with tempfile.TemporaryFile(dir=nearest(folder)):
            return None
    except OSError as error:
        return error.strerror or str(error)


def nearest(folder: Path) -> Path:
    """The folder itself, or its nearest parent that exists."""
    while not os.path.isdir(folder):
        folder = folder.parent
    return folder
