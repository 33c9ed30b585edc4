"""Find the pictures to learn from: pairs of files with matching names, or clean pictures alone."""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from uformer.errors import OptionError
from uformer.image.formats import SUFFIXES, picture_files, supports

DEGRADED, CLEAN = "degraded", "clean"
"""Names of the two folders of a data set of pairs."""


@dataclass(frozen=True)
class Source:
    """The files of one sample; `degraded` is None where a degradation will make it from the clean picture."""

    name: str
    """Of a pair, the path below its folder without the suffix; of a clean picture alone, with it. Slashes lean forward."""
    clean: Path
    degraded: Path | None = None


def has_pairs(folder: Path) -> bool:
    """Whether a folder holds pairs, in `degraded/` and `clean/`."""
    return (folder / DEGRADED).is_dir() and (folder / CLEAN).is_dir()


def find_pairs(degraded: Path, clean: Path) -> tuple[Source, ...]:
    """The pictures of two folders (any depth), matched by their path without the suffix, in the order of their names.

    In place of a folder, a pattern with `*`, of folders or of files ("SIDD/*/*_GT_SRGB_*.PNG"): what each `*` stands for (part of a
    name, never a slash) makes the name to match by, together with the path below.

    Raises OptionError for a folder that is missing or empty, a picture without partner, and two pictures of one name.
    """
    found_degraded, found_clean = _by_name(degraded), _by_name(clean)
    for found, other, folder in ((found_degraded, found_clean, clean), (found_clean, found_degraded, degraded)):
        if alone := [path for name, path in found.items() if name not in other]:
            raise OptionError(f"{_some(alone)}: no picture of the same name in {folder}")
    return tuple(Source(name, found_clean[name], path) for name, path in found_degraded.items())


def find_clean(folder: Path) -> tuple[Source, ...]:
    """All pictures below a folder but those in folders named `degraded`, in the order of their names. Errors as of `find_pairs`."""
    return tuple(Source(path.relative_to(folder).as_posix(), path) for path in _pictures(folder, without=DEGRADED))


def find(folder: Path) -> tuple[Source, ...]:
    """Pairs where the folder has them, else its clean pictures. Errors as of `find_pairs`."""
    return find_pairs(folder / DEGRADED, folder / CLEAN) if has_pairs(folder) else find_clean(folder)


def _by_name(folder: Path) -> Mapping[str, Path]:
    found: dict[str, Path] = {}
    for name, path in _matching(folder) if "*" in str(folder) else _below(folder):
        if name in found:
            raise OptionError(f"{found[name]} and {path}: two pictures of one name; which one is meant?")
        found[name] = path
    return found


def _below(folder: Path) -> Iterator[tuple[str, Path]]:
    for path in _pictures(folder):
        yield _name(path.relative_to(folder).as_posix()), path


def _matching(pattern: Path) -> Iterator[tuple[str, Path]]:
    """Pictures that a pattern names, or that lie in folders that it names."""
    fixed = next(index for index, part in enumerate(pattern.parts) if "*" in part)
    root, rest = Path(*pattern.parts[:fixed]), "/".join(pattern.parts[fixed:])
    form = re.compile("([^/]*)".join(map(re.escape, rest.split("*"))) + "(?:/(.+))?")
    count = 0
    for path in _pictures(root):
        if match := form.fullmatch(path.relative_to(root).as_posix()):
            count += 1
            yield _name("/".join(filter(None, match.groups()))), path
    if not count:
        raise OptionError(f"{pattern}: no pictures that match")


def _name(path: str) -> str:
    """A path without the suffix of a picture, its accents written in one way only."""
    stem, dot, suffix = path.rpartition(".")
    return unicodedata.normalize("NFC", stem if supports(dot + suffix) else path)


def _pictures(folder: Path, *, without: str | None = None) -> list[Path]:
    if not folder.is_dir():
        raise OptionError(f"{folder}: no such folder")
    found = [path for path in picture_files(folder, below=True) if without not in path.relative_to(folder).parts[:-1]]
    if not found:
        raise OptionError(f"{folder}: no pictures in it ({', '.join(SUFFIXES)})")
    return found


def _some(paths: Sequence[Path]) -> str:
    """The first of some paths, and how many more there are."""
    return f"{paths[0]}" + (f" and {len(paths) - 1} more" if len(paths) > 1 else "")
