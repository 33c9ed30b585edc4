"""Finds the images in a folder or behind a pattern.

Each real folder is entered once, so circular links do no harm.
"""

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path, PurePath

from uformer.image.extras import can_read
from uformer.image.formats import output_suffix, read_only
from uformer.zarr_folder import is_meant

RESTORED = ".restored"
"""Marks default output names: before the suffix of a file, at the end of a folder's name."""

REPORT = ".report"
"""Marks the files of a report, after the whole name of the output that it describes."""

_MAGIC = re.compile(r"[*?\[]")


@dataclass
class Found:
    """The contents of a folder: paths relative to it, sorted."""

    pictures: list[Path] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)
    unreadable: list[tuple[Path, str]] = field(default_factory=list)
    """Folders that cannot be listed, and the reasons."""
    left_out: list[Path] = field(default_factory=list)
    """Outputs of earlier runs: NAME.restored.EXT beside NAME.EXT, folders NAME.restored beside NAME, and the
    images of reports, FILE.report.png beside FILE."""
    others: list[Path] = field(default_factory=list)
    """Files with other suffixes."""


def walk(
    root: Path,
    *,
    enter: Callable[[Path], bool] = lambda _: True,
    without: Path | None = None,
) -> Found:
    """Find the images below a folder by their suffixes. Hidden files and folders are ignored.

    Links to folders are followed after all real folders, unless the target was already entered. `enter`:
    returns whether to enter a folder, from its path relative to `root`. `without`: a folder that is never
    entered, by whatever path.
    """
    found = Found()
    seen = {identity(root)} | ({identity(without)} if without is not None else set())
    waiting, links = [Path()], list[Path]()
    while waiting or links:
        below = waiting.pop() if waiting else links.pop(0)
        if below != Path():
            if (itself := identity(root / below)) in seen and itself is not None:
                continue
            seen.add(itself)
        try:
            with os.scandir(root / below) as entries:
                listed = list(entries)
        except OSError as error:
            found.unreadable.append((below, error.strerror or str(error)))
            continue
        names = {entry.name for entry in listed}
        outputs = {output_name(Path(name)) for name in names if read_only(Path(name).suffix)}
        for entry in listed:
            path = below / entry.name
            folder = _is_folder(entry) and not is_meant(root / path)
            if entry.name.startswith("."):
                continue
            if not folder and not can_read(path.suffix):
                found.others.append(path)
            elif (
                original(path, folder=folder).name in names - {entry.name}
                or entry.name in outputs
                or (entry.name.endswith(f"{REPORT}.png") and path.with_suffix("").stem in names)
            ):
                found.left_out.append(path)
            elif not folder:
                found.pictures.append(path)
            else:
                found.folders.append(path)
                if enter(path):
                    (links if entry.is_symlink() else waiting).append(path)
    found.pictures.sort()
    found.folders.sort()
    found.unreadable.sort()
    found.others.sort()
    return found


def is_pattern(text: str) -> bool:
    """Return whether a name is a pattern: it has *, ? or [, and no file or folder of that name exists."""
    return bool(_MAGIC.search(text)) and not os.path.lexists(text)


def match(pattern: str, *, without: Path | None = None) -> tuple[Path, Found]:
    """Return the folder where the pattern begins, and everything below it that matches.

    As in a shell, *, ? and [...] match parts of a name but never a leading dot, and ** matches any number of
    folders. A part that names an existing file or folder ("trip [2024]/*.png") matches only itself.
    """
    parts = Path(pattern).expanduser().parts
    fixed = 0
    while fixed < len(parts) - 1 and not (
        _MAGIC.search(parts[fixed]) and not os.path.lexists(Path(*parts[: fixed + 1]))
    ):
        fixed += 1
    root, rest = Path(*parts[:fixed]), parts[fixed:]
    found = walk(root, enter=lambda folder: _leads_on(folder.parts, rest), without=without)
    for paths in (found.pictures, found.folders, found.left_out, found.others):
        paths[:] = [path for path in paths if _matches(path.parts, rest)]
    return root, found


def output_name(path: Path, *, folder: bool = False) -> str:
    """Return NAME.restored.EXT for an image NAME.EXT, NAME.restored for a folder NAME.

    For HEIC and camera raw, EXT is the suffix of the format to write.
    """
    return path.name + RESTORED if folder else f"{path.stem}{RESTORED}{output_suffix(path.suffix)}"


def written_name(path: PurePath) -> str:
    """Return the name in a folder of outputs: that of the input, with a suffix that can be written."""
    return path.stem + output_suffix(path.suffix)


def original(path: Path, *, folder: bool = False) -> Path:
    """Return the input of an output, judging by its name. Any other path is returned unchanged."""
    stem, suffix = (path.name, "") if folder else (path.stem, path.suffix)
    return (
        path.with_name(stem.removesuffix(RESTORED) + suffix)
        if stem != RESTORED and stem.endswith(RESTORED)
        else path
    )


def identity(path: Path) -> tuple[int, int] | None:
    """Return device and inode of a file or folder, the same for every path to it; None if unknown."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False  # for example a circular link; reading it reports the error


def _matches(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(_matches(parts[skipped:], pattern[1:]) for skipped in range(len(parts) + 1))
    return bool(parts) and fnmatch(parts[0], pattern[0]) and _matches(parts[1:], pattern[1:])


def _leads_on(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Return whether anything below a folder can match the pattern."""
    if not parts or not pattern:
        return bool(pattern)
    return pattern[0] == "**" or (fnmatch(parts[0], pattern[0]) and _leads_on(parts[1:], pattern[1:]))
