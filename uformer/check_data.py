"""`uformer data check`: check a dataset before a network learns from it."""

import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from rich.console import Console

from uformer.bars import Bars
from uformer.data import pairs
from uformer.data.contact import lay_out, thumbnail
from uformer.data.eligible import SHEET
from uformer.data.pairs import Search, Source
from uformer.data.pictures import range_of_pair
from uformer.data.stretch import NOTE, stretched
from uformer.errors import OptionError, PictureError
from uformer.files import one_line
from uformer.image.image import Image, Pixels
from uformer.image.page_reader import PageReader
from uformer.image.samples import depth_of, values_of
from uformer.image.value_range import check as check_range
from uformer.image.write import supports, write
from uformer.metrics import psnr
from uformer.output import check_output
from uformer.restore.unread import summary
from uformer.words import counted

_SHIFTS = [(down, right) for down in range(-2, 3) for right in range(-2, 3) if (down, right) != (0, 0)]
_MARGIN = 2  # the largest shift
_GAIN = 1.0  # dB by which a pair must fit better when shifted to count as misaligned
_COLUMNS = 4  # of the contact sheet
_SEEN = 512  # pixels; shifts are tried on a square of this side in the middle of the image


@dataclass
class Findings:
    """The results of a check so far."""

    sizes: list[tuple[int, int]] = field(default_factory=list)
    channels: dict[str, int] = field(default_factory=dict)
    """Number of images by their channels: "3" or, if a pair differs, "4 to 3"."""
    scores: list[tuple[float, str]] = field(default_factory=list)
    """PSNR in dB of each pair's degraded image, and the pair's name."""
    shifted: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    rows: list[list[Pixels]] = field(default_factory=list)
    """Thumbnails for the contact sheet: of each pair, the degraded and the clean image."""
    shown: list[str] = field(default_factory=list)
    """Names of the rows."""


def data(
    action: Literal["check"],
    folder: Path | None = None,
    /,
    *,
    degraded: Path | None = None,
    clean: Path | None = None,
    sheet: Annotated[Path | None, Parameter(name=["--sheet", "-o"])] = None,
    samples: int = 12,
    value_range: Annotated[str, Parameter(name="--range")] = "auto",
    overwrite: bool = False,
) -> int:
    """Check a dataset: count and read its images, compare pairs, and draw a contact sheet.

    Parameters
    ----------
    action
        check
    folder
        A folder with matching names in degraded/ and clean/ (or input/ and target/), or a folder of clean
        images.
    degraded
        Instead of FOLDER: the folder of degraded images, or a pattern ("GoPro/train/*/blur").
    clean
        Instead of FOLDER: the folder of clean images, or a pattern ("GoPro/train/*/sharp").
    sheet
        The contact sheet to write, with degraded beside clean images. Default: FOLDER.check.png (or
        pairs.check.png) in the current folder.
    samples
        Number of images or pairs on the contact sheet.
    value_range
        Range of values that becomes black to white: auto, full or LOW:HIGH, as for `uformer train --range`.
    overwrite
        Replace the contact sheet if it exists.
    """
    if action != "check":  # only in a call from Python; the command line checks this
        raise OptionError(f"unknown action {action!r}; use 'check'")
    asked = check_range(value_range)
    search, name = chosen(folder, degraded, clean)
    path = sheet or Path(f"{name}{SHEET}")
    if not supports(path.suffix):
        raise OptionError(f"{path}: unknown format {path.suffix!r}; use .png")
    if samples < 0:
        raise OptionError(f"--samples {samples}: must not be negative")
    check_output(path, overwrite=overwrite)
    found = check(search.sources, shown=samples, asked=asked)
    found.problems = [f"{problem.where}: {problem.why}" for problem in search.problems] + found.problems
    console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
    for line in report(search, found):
        console.print(line)
    for problem in found.problems:
        print(f"uformer: error: {problem}", file=sys.stderr)
    if found.rows:
        _write_sheet(found, path)
        console.print(f"contact sheet: {path}, with {counted(len(found.rows), kind_of(search))}")
    return 1 if found.problems else 0


def chosen(folder: Path | None, degraded: Path | None, clean: Path | None) -> tuple[Search, str]:
    """The images that the options select, and a name for them.

    Raises OptionError if the options contradict.
    """
    if folder is not None and degraded is None and clean is None:
        return pairs.search(folder), folder.resolve().name or "data"
    if folder is None and degraded is not None and clean is not None:
        return pairs.search_pairs(degraded, clean), "pairs"
    raise OptionError("give one folder, or both --degraded and --clean")


def check(sources: Sequence[Source], *, shown: int, asked: str = "auto") -> Findings:
    """Read every image and compare every pair; keep thumbnails of `shown` of them, evenly spread.

    `asked`: the range of values that becomes [0, 1].
    """
    found = Findings()
    step = max(len(sources) / max(shown, 1), 1)
    kept = {int(index * step) for index in range(min(shown, len(sources)))}
    shown_bars = Bars(len(sources), shown=sys.stderr.isatty(), title="reading", tiles=False)
    with shown_bars as bars, PageReader() as reader:
        for index, source in enumerate(sources):
            bars.file_done()
            try:
                paths = [path for path in (source.degraded, source.clean) if path is not None]
                samples = [reader.read(path, source.page) for path in paths]
                used = range_of_pair(source.name, samples, asked)
            except PictureError as error:
                found.problems.append(str(error))
                continue
            depth = depth_of(samples[-1].dtype)
            images = [used.to_unit(values_of(each)) for each in samples]
            _look(source, images, depth, found)
            if index in kept:
                found.rows.append([thumbnail(image, 256) for image in images])
                found.shown.append(source.name)
    return found


def kind_of(search: Search) -> str:
    """What the dataset consists of: "pair" or "image"."""
    return "pair" if any(source.degraded is not None for source in search.sources) else "image"


def report(search: Search, found: Findings) -> list[str]:
    """The results as lines to print."""
    lines = [f"{counted(len(search.sources), kind_of(search))}, {counted(len(found.problems), 'problem')}"]
    if search.unread:
        lines.append(summary(search.unread))
    if search.left_out:
        first = ", ".join(one_line(path) for path in search.left_out[:3])
        lines.append(
            f"left out, made by uformer: {len(search.left_out)} "
            f"({first}{', ...' if len(search.left_out) > 3 else ''})"
        )
    if found.sizes:
        heights, widths = zip(*found.sizes, strict=True)
        pixels = sum(height * width for height, width in found.sizes) / 1e6
        lines.append(f"sizes: {_range(widths)} wide, {_range(heights)} high, {pixels:,.1f} Mpixels in all")
        lines.append(
            "channels: "
            + ", ".join(f"{channels} ({count})" for channels, count in sorted(found.channels.items()))
        )
    if found.scores:
        scores = sorted(found.scores)
        middle = statistics.median(score for score, _ in scores)
        lines.append(
            f"PSNR of the degraded images: {scores[0][0]:.2f} to {scores[-1][0]:.2f} dB, median {middle:.2f}"
        )
        lines.append("lowest: " + ", ".join(f"{one_line(name)} ({score:.2f})" for score, name in scores[:3]))
    if found.shifted:
        lines.append(f"probably misaligned: {counted(len(found.shifted), 'pair')}")
        lines += [f"  {line}" for line in found.shifted[:10]]
    return lines


def _range(numbers: Sequence[int]) -> str:
    least, most = min(numbers), max(numbers)
    return str(least) if least == most else f"{least}-{most}"


def _look(source: Source, images: list[Pixels], depth: int, found: Findings) -> None:
    """Record size, channels and fit of one image or pair. Images of 8 bits are scored as such."""
    clean = images[-1]
    if images[0].shape[:2] != clean.shape[:2]:
        sizes = " and ".join(f"{image.shape[1]} x {image.shape[0]}" for image in images)
        found.problems.append(f"{source.name}: the sizes differ, {sizes}")
        return
    channels = " to ".join(dict.fromkeys(str(image.shape[2]) for image in images))
    found.sizes.append((clean.shape[0], clean.shape[1]))
    found.channels[channels] = found.channels.get(channels, 0) + 1
    if len(images) == 1 or images[0].shape != clean.shape:
        return
    found.scores.append((psnr(images[0], clean, rounded=depth == 8), source.name))
    if shift := best_shift(images[0], clean):
        found.shifted.append(
            f"{source.name}: {shift[2]:.1f} dB closer if moved by {shift[0]} down, {shift[1]} right"
        )


def best_shift(degraded: Pixels, clean: Pixels) -> tuple[int, int, float] | None:
    """The shift (down, right) in pixels that best aligns the degraded image with the clean one, and the gain.

    The gain is in dB. None if no shift helps, or if the image is too small to tell. Shifts of up to two
    pixels are tried on the middle of the image.
    """
    top, left = (max((length - _SEEN) // 2, 0) for length in clean.shape[:2])
    degraded, clean = (image[top : top + _SEEN, left : left + _SEEN] for image in (degraded, clean))
    if min(clean.shape[:2]) < 8 * _MARGIN:
        return None
    target = clean[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN]

    def score(down: int, right: int) -> float:
        rows = slice(_MARGIN - down, degraded.shape[0] - _MARGIN - down)
        columns = slice(_MARGIN - right, degraded.shape[1] - _MARGIN - right)
        return psnr(degraded[rows, columns], target, rounded=False)

    here = score(0, 0)
    best, down, right = max((score(down, right), down, right) for down, right in _SHIFTS)
    return (down, right, best - here) if best > here + _GAIN else None


def _write_sheet(found: Findings, path: Path) -> None:
    """Write the contact sheet: two pairs or four images in a row, with their names."""
    cells: list[Pixels] = []
    labels: list[str] = []
    for name, images in zip(found.shown, found.rows, strict=True):
        shown, changed = stretched(images)
        note = NOTE if changed else ""
        cells += shown
        labels += [name + note] if len(shown) == 1 else [f"{name}: degraded{note}", "clean"]
    starts = range(0, len(cells), _COLUMNS)
    grid = [cells[start : start + _COLUMNS] for start in starts]
    names = [labels[start : start + _COLUMNS] for start in starts]
    write(Image(pixels=lay_out(grid, names)), path)
