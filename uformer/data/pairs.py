"""Find the images to learn from: pairs of files with matching names, or clean images alone."""

import dataclasses
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from uformer.data.eligible import PAIRED, none_in, paired, pictures_below
from uformer.errors import OptionError, PictureError
from uformer.image.extras import with_extra
from uformer.image.formats import is_known
from uformer.image.page_reader import page_count

DEGRADED, CLEAN = PAIRED[0]
"""Default names of the two folders of a dataset of pairs. `PAIRED` lists all names."""


@dataclass(frozen=True)
class Source:
    """The files of one sample. `degraded` is None if a degradation will make it from the clean image."""

    name: str
    """Path below the folder, with forward slashes; only clean images alone keep the suffix.

    Pages of a stack are named "NAME, page 3".
    """
    clean: Path
    degraded: Path | None = None
    page: int | None = None
    """Position of the page, from 0, if the files are TIFF stacks; None otherwise."""


@dataclass(frozen=True)
class SearchProblem:
    """A problem that prevents training on a dataset."""

    where: str
    """The path concerned, or two paths."""
    why: str
    unreadable: bool = False
    """Whether the problem is a folder that cannot be read."""


@dataclass
class Search:
    """The result of a search: the sources, and every problem with them."""

    sources: tuple[Source, ...] = ()
    problems: list[SearchProblem] = field(default_factory=list)
    left_out: list[Path] = field(default_factory=list)
    """Images that `uformer` made, and folders of such images."""
    unread: list[Path] = field(default_factory=list)
    """HEIC, camera raw and Zarr that cannot be read without an extra."""

    def strict(self) -> tuple[Source, ...]:
        """Return the sources.

        Raises PictureError if a folder cannot be read, and OptionError if there is any other problem.
        """
        if self.problems:
            first = min(self.problems, key=lambda problem: not problem.unreadable)
            alike = sum(problem.why == first.why for problem in self.problems)
            more = f" and {alike - 1} more" if alike > 1 else ""
            raise (PictureError if first.unreadable else OptionError)(f"{first.where}{more}: {first.why}")
        return self.sources


def find_pairs(degraded: Path, clean: Path) -> tuple[Source, ...]:
    """Return the pairs in two folders (at any depth), matched by path without the suffix, sorted by name.

    Instead of a folder, each may be a pattern with `*` that matches folders or files
    ("SIDD/*/*_GT_SRGB_*.PNG"). Each `*` stands for a part of a name, never for a slash. Pairs are matched by
    what each `*` stands for, together with the path below the matched folder.

    Raises OptionError for a folder that is missing or empty, an image without a partner, and two images with
    the same name. Raises PictureError for a folder that cannot be read.
    """
    return search_pairs(degraded, clean).strict()


def find_clean(folder: Path) -> tuple[Source, ...]:
    """Return all images below a folder, sorted by name, as clean images.

    Folders named `degraded`, and folders named `input` beside a folder `target`, are left out. Errors are
    those of `find_pairs`.
    """
    return search_clean(folder).strict()


def find(folder: Path) -> tuple[Source, ...]:
    """Return a folder's pairs if it has any, otherwise its clean images. Errors are those of `find_pairs`."""
    return search(folder).strict()


def find_noisy(folder: Path) -> tuple[Source, ...]:
    """Return a folder's pairs if it has any, otherwise all its images. Errors are those of `find_pairs`."""
    both = paired(folder)
    return find_pairs(*both) if both else search_clean(folder, every=True).strict()


def search(folder: Path) -> Search:
    """Like `find`, but return problems together with the sources.

    Raises OptionError only for a missing or empty folder.
    """
    both = paired(folder)
    return search_pairs(*both) if both else search_clean(folder)


def search_pairs(degraded: Path, clean: Path) -> Search:
    """Like `find_pairs`, but return problems together with the sources. Errors are those of `search`."""
    result = Search()
    found_degraded, found_clean = _by_name(degraded, result), _by_name(clean, result)
    for found, other, folder in (
        (found_degraded, found_clean, clean),
        (found_clean, found_degraded, degraded),
    ):
        result.problems += [
            SearchProblem(str(path), f"no image with the same name in {folder}")
            for name, path in found.items()
            if name not in other
        ]
    sources = [
        Source(name, found_clean[name], path) for name, path in found_degraded.items() if name in found_clean
    ]
    result.sources = _paged(sources, result)
    return result


def search_clean(folder: Path, *, every: bool = False) -> Search:
    """Like `find_clean`, but return problems together with the sources. Errors are those of `search`.

    With `every`, no folder is left out because of its name.
    """

    def is_clean(below: Path) -> bool:
        if every:
            return True
        named = [clean for degraded, clean in PAIRED if degraded == below.name]
        return below.name != DEGRADED and not any((folder / below.parent / clean).is_dir() for clean in named)

    result = Search()
    found = pictures_below(folder, enter=is_clean)
    result.problems += _unreadable(folder, found.unreadable)
    result.left_out = [folder / path for path in found.left_out]
    result.unread = [folder / path for path in found.others if with_extra(path.suffix)]
    result.sources = _paged([Source(path.as_posix(), folder / path) for path in found.pictures], result)
    if not found.pictures and not result.problems:
        raise none_in(folder)
    return result


def _paged(sources: list[Source], result: Search) -> tuple[Source, ...]:
    """Return the sources with one for each page of a stack. Pairs of unequal stacks become problems."""
    found: list[Source] = []
    for source in sources:
        count = page_count(source.clean)
        if source.degraded is not None and (other := page_count(source.degraded)) != count:
            where = f"{source.degraded} and {source.clean}"
            result.problems.append(
                SearchProblem(where, f"{other} and {count} pages; both need the same number")
            )
        elif count == 1:
            found.append(source)
        else:
            found += [
                dataclasses.replace(source, name=f"{source.name}, page {page + 1}", page=page)
                for page in range(count)
            ]
    return tuple(found)


def _by_name(folder: Path, result: Search) -> Mapping[str, Path]:
    """Return the images of a folder or a pattern by the name that pairs are matched by.

    Problems and left-out files are added to `result`.
    """
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
    result.unread += [root / path for path in found.others if with_extra(path.suffix)]
    by_name: dict[str, Path] = {}
    for name, below in _matching(found.pictures, rest):
        if name in by_name:
            result.problems.append(
                SearchProblem(
                    f"{by_name[name]} and {root / below}",
                    "two images with the same name; move or rename one of them",
                )
            )
        by_name.setdefault(name, root / below)
    if not by_name and not found.unreadable:
        raise OptionError(f"{folder}: no images match this pattern") if rest else none_in(folder)
    return by_name


def _split(pattern: Path) -> tuple[Path, str]:
    """Split a pattern into its fixed parent folder and the part with `*` (empty for a plain folder)."""
    fixed = next((index for index, part in enumerate(pattern.parts) if "*" in part), len(pattern.parts))
    return Path(*pattern.parts[:fixed]), "/".join(pattern.parts[fixed:])


def _matching(pictures: list[Path], pattern: str) -> Iterator[tuple[str, Path]]:
    """Yield (name, path) of the images that a pattern matches, or whose folder it matches.

    An empty pattern matches all images.
    """
    form = re.compile(
        "([^/]*)".join(map(re.escape, pattern.split("*"))) + "(?:/(.+))?" if pattern else "(.+)"
    )
    for path in pictures:
        if match := form.fullmatch(path.as_posix()):
            yield _name("/".join(filter(None, match.groups()))), path


def _name(path: str) -> str:
    """Return a path without its image suffix, Unicode-normalized (NFC) so that accents match."""
    stem, dot, suffix = path.rpartition(".")
    return unicodedata.normalize("NFC", stem if is_known(dot + suffix) else path)


def _unreadable(root: Path, folders: list[tuple[Path, str]]) -> list[SearchProblem]:
    return [
        SearchProblem(
            str(root / below), f"{why}; make it readable, or use a folder without it", unreadable=True
        )
        for below, why in folders
    ]
