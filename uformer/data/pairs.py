"""Find the pictures to learn from: pairs of files with matching names, or clean pictures alone."""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from uformer.data.eligible import PAIRED, none_in, paired, pictures_below
from uformer.errors import OptionError, PictureError
from uformer.image.formats import supports

DEGRADED, CLEAN = PAIRED[0]
"""Names of the two folders of a data set of pairs; others are in `PAIRED`."""


@dataclass(frozen=True)
class Source:
    """The files of one sample; `degraded` is None where a degradation will make it from the clean picture."""

    name: str
    """Of a pair, the path below its folder without the suffix; of a clean picture alone, with it. Slashes lean forward."""
    clean: Path
    degraded: Path | None = None


@dataclass(frozen=True)
class SearchProblem:
    """What keeps a data set from being learned from."""

    where: str
    """A path, or two."""
    why: str
    unreadable: bool = False
    """Whether something is there that cannot be read."""


@dataclass
class Search:
    """What was found, and all that is wrong with it."""

    sources: tuple[Source, ...] = ()
    problems: list[SearchProblem] = field(default_factory=list)
    left_out: list[Path] = field(default_factory=list)
    """Pictures that `uformer` made, and folders of them."""

    def strict(self) -> tuple[Source, ...]:
        """The sources. Raises PictureError where a folder cannot be read, else OptionError, where anything is wrong."""
        if self.problems:
            first = min(self.problems, key=lambda problem: not problem.unreadable)
            alike = sum(problem.why == first.why for problem in self.problems)
            more = f" and {alike - 1} more" if alike > 1 else ""
            raise (PictureError if first.unreadable else OptionError)(f"{first.where}{more}: {first.why}")
        return self.sources


def find_pairs(degraded: Path, clean: Path) -> tuple[Source, ...]:
    """The pictures of two folders (any depth), matched by their path without the suffix, in the order of their names.

    In place of a folder, a pattern with `*`, of folders or of files ("SIDD/*/*_GT_SRGB_*.PNG"): what each `*` stands for (part of a
    name, never a slash) makes the name to match by, together with the path below.

    Raises OptionError for a folder that is missing or empty, a picture without partner, and two pictures of one name; PictureError
    for a folder that cannot be read.
    """
    return search_pairs(degraded, clean).strict()


def find_clean(folder: Path) -> tuple[Source, ...]:
    """All pictures below a folder, in the order of their names, but those in folders named `degraded`, or `input` beside `target`.

    Errors as of `find_pairs`.
    """
    return search_clean(folder).strict()


def find(folder: Path) -> tuple[Source, ...]:
    """Pairs where the folder has them, else its clean pictures. Errors as of `find_pairs`."""
    return search(folder).strict()


def search(folder: Path) -> Search:
    """As `find`, but what is wrong is in the answer, beside all that is not; OptionError is for a folder that is missing or empty."""
    both = paired(folder)
    return search_pairs(*both) if both else search_clean(folder)


def search_pairs(degraded: Path, clean: Path) -> Search:
    """As `find_pairs`, likewise."""
    result = Search()
    found_degraded, found_clean = _by_name(degraded, result), _by_name(clean, result)
    for found, other, folder in (
        (found_degraded, found_clean, clean),
        (found_clean, found_degraded, degraded),
    ):
        result.problems += [
            SearchProblem(str(path), f"no picture of the same name in {folder}")
            for name, path in found.items()
            if name not in other
        ]
    result.sources = tuple(
        Source(name, found_clean[name], path) for name, path in found_degraded.items() if name in found_clean
    )
    return result


def search_clean(folder: Path) -> Search:
    """As `find_clean`, likewise."""

    def is_clean(below: Path) -> bool:
        named = [clean for degraded, clean in PAIRED if degraded == below.name]
        return below.name != DEGRADED and not any((folder / below.parent / clean).is_dir() for clean in named)

    result = Search()
    found = pictures_below(folder, enter=is_clean)
    result.problems += _unreadable(folder, found.unreadable)
    result.left_out = [folder / path for path in found.left_out]
    result.sources = tuple(Source(path.as_posix(), folder / path) for path in found.pictures)
    if not found.pictures and not result.problems:
        raise none_in(folder)
    return result


def _by_name(folder: Path, result: Search) -> Mapping[str, Path]:
    """The pictures of a folder or a pattern, by the name to match by; what is wrong, or left out, goes into `result`."""
    root, rest = _split(folder)
    parts = (
        [re.compile("[^/]*".join(map(re.escape, part.split("*")))) for part in rest.split("/")]
        if rest
        else []
    )
    found = pictures_below(
        root,
        enter=lambda below: all(form.fullmatch(part) for form, part in zip(parts, below.parts, strict=False)),
    )
    result.problems += _unreadable(root, found.unreadable)
    result.left_out += [root / path for path in found.left_out]
    by_name: dict[str, Path] = {}
    for name, below in _matching(found.pictures, rest):
        if name in by_name:
            result.problems.append(
                SearchProblem(
                    f"{by_name[name]} and {root / below}", "two pictures of one name; which one is meant?"
                )
            )
        by_name.setdefault(name, root / below)
    if not by_name and not found.unreadable:
        raise OptionError(f"{folder}: no pictures that match") if rest else none_in(folder)
    return by_name


def _split(pattern: Path) -> tuple[Path, str]:
    """The folder where a pattern begins to be one, and the rest: nothing where it is none."""
    fixed = next((index for index, part in enumerate(pattern.parts) if "*" in part), len(pattern.parts))
    return Path(*pattern.parts[:fixed]), "/".join(pattern.parts[fixed:])


def _matching(pictures: list[Path], pattern: str) -> Iterator[tuple[str, Path]]:
    """Those of some pictures that a pattern names, or that lie in folders that it names; of no pattern, all. Each with its name."""
    form = re.compile(
        "([^/]*)".join(map(re.escape, pattern.split("*"))) + "(?:/(.+))?" if pattern else "(.+)"
    )
    for path in pictures:
        if match := form.fullmatch(path.as_posix()):
            yield _name("/".join(filter(None, match.groups()))), path


def _name(path: str) -> str:
    """A path without the suffix of a picture, its accents written in one way only."""
    stem, dot, suffix = path.rpartition(".")
    return unicodedata.normalize("NFC", stem if supports(dot + suffix) else path)


def _unreadable(root: Path, folders: list[tuple[Path, str]]) -> list[SearchProblem]:
    return [
        SearchProblem(
            str(root / below), f"{why}; make it readable, or give a folder without it", unreadable=True
        )
        for below, why in folders
    ]
