"""Finding the image pairs of a dataset in the folders as published."""

import itertools
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from uformer.data.eligible import none_in, pictures_below
from uformer.errors import OptionError, PictureError
from uformer.evaluate.protocols import Layout
from uformer.zarr_folder import is_meant


@dataclass(frozen=True)
class Pair:
    """A degraded image file and its clean one; if there is none, `clean` is the folder that was searched."""

    name: str
    degraded: Path
    clean: Path

    @property
    def is_alone(self) -> bool:
        """Whether there is no clean image. A Zarr is a folder, but an image."""
        return self.clean.is_dir() and not is_meant(self.clean)


def is_image(path: Path) -> bool:
    """Whether a path is a file or a Zarr, and not a folder of images."""
    return path.is_file() or is_meant(path)


def pictures_in(folder: Path, *, deep: bool = False) -> list[Path]:
    """Return the relative paths of a folder's images, sorted by name, without those that `uformer` made.

    `deep` includes subfolders. Raises PictureError if a folder cannot be read.
    """
    found = pictures_below(folder, enter=lambda _: deep)
    for below, why in found.unreadable:
        raise PictureError(f"{folder / below}: {why}")
    return found.pictures


def pairs_in(folder: Path, layouts: tuple[Layout, ...]) -> list[Pair]:
    """Return the pairs of the first layout that yields any, or an empty list.

    Raises OptionError if the pairs of a layout are inconsistent, and PictureError if a folder cannot be read.
    """
    for layout in layouts:
        if layout.listing:
            found = _listed(folder, layout) if (folder / layout.listing).is_file() else []
        else:
            found = list(
                itertools.chain.from_iterable(_in_folders(*each, layout) for each in _matches(folder, layout))
            )
        if found:
            return found
    return []


def pairs_of(degraded: Path, clean: Path) -> list[Pair]:
    """Return the pairs of two folders and their subfolders, matched by name; suffixes may differ.

    Two files, or two Zarr, are one pair. Raises OptionError if a folder is missing or holds no images, and
    PictureError if one cannot be read.
    """
    if is_image(degraded) and is_image(clean):
        return [Pair(degraded.stem, degraded, clean)]
    for path in (degraded, clean):
        if not pictures_in(path, deep=True):
            raise none_in(path)
    return _in_folders("", degraded, clean, Layout(degraded="", clean="", deep=True))


def _matches(folder: Path, layout: Layout) -> list[tuple[str, Path, Path]]:
    """Return (text that the `*` matches, degraded folder, clean folder) for all folders that exist."""
    before, star, after = layout.degraded.partition("*")
    names = sorted(path.name for path in (folder / before).glob("*") if path.is_dir()) if star else [""]
    folders = [
        (name, folder / f"{before}{name}{after}", folder / layout.clean.replace("*", name)) for name in names
    ]
    return [
        (name, degraded, clean) for name, degraded, clean in folders if degraded.is_dir() and clean.is_dir()
    ]


def _in_folders(prefix: str, degraded: Path, clean: Path, layout: Layout) -> list[Pair]:
    inputs, targets = (pictures_in(folder, deep=layout.deep) for folder in (degraded, clean))
    if layout.by_order:
        return _by_order(degraded, clean, inputs, targets)
    exact = set(targets)
    by_key = {_key(path, layout): path for path in targets}
    partners = [path if path in exact else by_key.get(_key(path, layout), Path()) for path in inputs]
    return [
        Pair(_name(prefix, path), degraded / path, clean / partner)
        for path, partner in zip(inputs, partners, strict=True)
    ]


def _key(path: Path, layout: Layout) -> str:
    """Return the key that the paths of a pair share.

    The key is in Unicode NFC, because file systems encode accents differently.
    """
    stem = re.sub(layout.differ, "", unicodedata.normalize("NFC", path.stem))
    return unicodedata.normalize("NFC", (path.parent / stem).as_posix())


def _by_order(degraded: Path, clean: Path, inputs: list[Path], targets: list[Path]) -> list[Pair]:
    if len(inputs) != len(targets):
        raise OptionError(
            f"{degraded} holds {len(inputs)} images, but {clean} holds {len(targets)}; "
            "they are paired by position, so the numbers must be equal"
        )
    return [
        Pair(_name("", left), degraded / left, clean / right)
        for left, right in zip(inputs, targets, strict=True)
    ]


def _listed(folder: Path, layout: Layout) -> list[Pair]:
    """Return the pairs that a listing file names; the two paths of a line may be in either order.

    Raises OptionError for an invalid line.
    """
    listing = folder / layout.listing
    found = []
    for number, line in enumerate(
        listing.read_text(encoding="utf-8", errors="replace").splitlines(), start=1
    ):
        paths = {PurePosixPath(path).parent.name: PurePosixPath(path) for path in line.split()}
        if not line.strip():
            continue
        if set(paths) != {layout.degraded, layout.clean} or any(
            path.is_absolute() or ".." in path.parts for path in paths.values()
        ):
            raise OptionError(
                f"{listing}, line {number}: expected two paths, .../{layout.clean}/NAME and "
                f".../{layout.degraded}/NAME"
            )
        degraded = paths[layout.degraded]
        name = "/".join((*degraded.parts[-3:-2], degraded.stem))
        found.append(Pair(name, folder / degraded, folder / paths[layout.clean]))
    return found


def _name(prefix: str, path: Path) -> str:
    """Return the name of a pair: the relative path of its degraded image without the suffix."""
    return (Path(prefix) / path.with_suffix("")).as_posix()
