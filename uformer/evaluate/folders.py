"""Finding the pairs of a data set in its owners' folders."""

import itertools
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from uformer.errors import OptionError
from uformer.evaluate.protocols import Layout
from uformer.image.formats import SUFFIXES, picture_files


@dataclass(frozen=True)
class Pair:
    """Two picture files that belong together; `clean` is the folder that was searched where there is none."""

    name: str
    degraded: Path
    clean: Path


def pairs_in(folder: Path, layouts: tuple[Layout, ...]) -> list[Pair]:
    """The pairs of the first layout that the folder has any of; none where it has none. Raises OptionError as `_by_order`, `_listed` do."""
    for layout in layouts:
        if layout.listing:
            found = _listed(folder, layout) if (folder / layout.listing).is_file() else []
        else:
            found = list(itertools.chain.from_iterable(_in_folders(*each, layout) for each in _matches(folder, layout)))
        if found:
            return found
    return []


def pairs_of(degraded: Path, clean: Path) -> list[Pair]:
    """The pairs of two folders, by name; a name with another suffix will do. Raises OptionError where one is no folder, or empty."""
    for path in (degraded, clean):
        if not path.is_dir():
            raise OptionError(f"{path}: no such folder")
        if not picture_files(path):
            raise OptionError(f"{path}: no pictures in it ({', '.join(SUFFIXES)})")
    return _in_folders("", degraded, clean, Layout(degraded="", clean=""))


def _matches(folder: Path, layout: Layout) -> list[tuple[str, Path, Path]]:
    """(what the `*` stands for, degraded folder, clean folder) of each that is there."""
    before, star, after = layout.degraded.partition("*")
    names = sorted(path.name for path in (folder / before).glob("*") if path.is_dir()) if star else [""]
    folders = [(name, folder / f"{before}{name}{after}", folder / layout.clean.replace("*", name)) for name in names]
    return [(name, degraded, clean) for name, degraded, clean in folders if degraded.is_dir() and clean.is_dir()]


def _in_folders(prefix: str, degraded: Path, clean: Path, layout: Layout) -> list[Pair]:
    inputs, targets = (picture_files(folder) for folder in (degraded, clean))
    if layout.by_order:
        return _by_order(degraded, clean, inputs, targets)
    exact = {path.name: path for path in targets}
    by_key = {_key(path, layout): path for path in targets}
    return [Pair(_name(prefix, path), path, exact.get(path.name) or by_key.get(_key(path, layout)) or clean) for path in inputs]


def _key(path: Path, layout: Layout) -> str:
    """What the names of a pair have in common; file systems differ in how they write an accent."""
    return re.sub(layout.differ, "", unicodedata.normalize("NFC", path.stem))


def _by_order(degraded: Path, clean: Path, inputs: list[Path], targets: list[Path]) -> list[Pair]:
    if len(inputs) != len(targets):
        raise OptionError(f"{degraded} holds {len(inputs)} pictures and {clean} {len(targets)}; they belong together by their order")
    return [Pair(_name("", left), left, right) for left, right in zip(inputs, targets, strict=True)]


def _listed(folder: Path, layout: Layout) -> list[Pair]:
    """The pairs that a list names, whichever of its two paths is the degraded one. Raises OptionError for a line that is none."""
    listing = folder / layout.listing
    found = []
    for number, line in enumerate(listing.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        paths = {PurePosixPath(path).parent.name: PurePosixPath(path) for path in line.split()}
        if not line.strip():
            continue
        if set(paths) != {layout.degraded, layout.clean} or any(path.is_absolute() or ".." in path.parts for path in paths.values()):
            raise OptionError(f"{listing}, line {number}: expected two paths, .../{layout.clean}/NAME and .../{layout.degraded}/NAME")
        degraded = paths[layout.degraded]
        name = "/".join((*degraded.parts[-3:-2], degraded.stem))
        found.append(Pair(name, folder / degraded, folder / paths[layout.clean]))
    return found


def _name(prefix: str, path: Path) -> str:
    return f"{prefix}/{path.stem}" if prefix else path.stem
