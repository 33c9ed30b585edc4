"""`uformer data check`: look at a data set before a network learns from it."""

import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from cyclopts import Parameter
from numpy.typing import NDArray
from rich.console import Console

from uformer.bars import Bars
from uformer.data import pairs
from uformer.data.contact import lay_out, thumbnail
from uformer.data.eligible import SHEET
from uformer.data.pairs import Search, Source
from uformer.errors import OptionError, PictureError
from uformer.files import one_line
from uformer.image.image import Image, Pixels
from uformer.image.read import read_samples
from uformer.image.write import supports, write
from uformer.metrics import psnr
from uformer.output import check_output
from uformer.words import counted

_SHIFTS = [(down, right) for down in range(-2, 3) for right in range(-2, 3) if (down, right) != (0, 0)]
_MARGIN = 2  # the largest shift
_GAIN = 1.0  # dB by which a shifted pair must fit better, to be called misaligned
_SEEN = 512  # pixels: the side of the middle that shifts are tried on


@dataclass
class Findings:
    """What was found so far."""

    sizes: list[tuple[int, int]] = field(default_factory=list)
    channels: dict[str, int] = field(default_factory=dict)
    """How many pictures have which channels: "3" or, where a pair differs, "4 to 3"."""
    scores: list[tuple[float, str]] = field(default_factory=list)
    """PSNR in dB of each pair's degraded picture, and its name."""
    shifted: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    rows: list[list[Pixels]] = field(default_factory=list)
    """The samples: of a pair the degraded and the clean picture, small."""
    shown: list[str] = field(default_factory=list)
    """Their names."""


def data(
    action: Literal["check"],
    folder: Path | None = None,
    /,
    *,
    degraded: Path | None = None,
    clean: Path | None = None,
    sheet: Annotated[Path | None, Parameter(name=["--sheet", "-o"])] = None,
    samples: int = 12,
    overwrite: bool = False,
) -> int:
    """Check a data set: count it, read every picture, compare pairs, and draw some of them.

    Parameters
    ----------
    action
        check
    folder
        With degraded/ and clean/ (or input/ and target/) in it, whose names match; or with clean pictures alone.
    degraded
        Instead of FOLDER: the folder of degraded pictures, or a pattern ("GoPro/train/*/blur").
    clean
        Instead of FOLDER: the folder of clean pictures, or a pattern ("GoPro/train/*/sharp").
    sheet
        The contact sheet to write (.png), degraded beside clean; by default FOLDER's name (or pairs) and .check.png, here.
    samples
        Pictures, or pairs, on the sheet.
    overwrite
        Replace the sheet if it exists.
    """
    if action != "check":  # from Python; the command line has refused it
        raise OptionError(f"{action!r} is not check")
    search, name = chosen(folder, degraded, clean)
    path = sheet or Path(f"{name}{SHEET}")
    if not supports(path.suffix):
        raise OptionError(f"{path}: unknown format {path.suffix!r}; use .png")
    if samples < 0:
        raise OptionError(f"--samples: {samples} must not be negative")
    check_output(path, overwrite=overwrite)
    found = check(search.sources, samples=samples)
    found.problems = [f"{problem.where}: {problem.why}" for problem in search.problems] + found.problems
    console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
    for line in report(search, found):
        console.print(line)
    for problem in found.problems:
        print(f"uformer: error: {problem}", file=sys.stderr)
    if found.rows:
        _write_sheet(found.rows, path)
        console.print(f"contact sheet: {path}, row by row: {', '.join(map(one_line, found.shown))}")
    return 1 if found.problems else 0


def chosen(folder: Path | None, degraded: Path | None, clean: Path | None) -> tuple[Search, str]:
    """What the options name, and a name for it. Raises OptionError where the options do not go together."""
    if folder is not None and degraded is None and clean is None:
        return pairs.search(folder), folder.resolve().name or "data"
    if folder is None and degraded is not None and clean is not None:
        return pairs.search_pairs(degraded, clean), "pairs"
    raise OptionError("give one folder, or both --degraded and --clean")


def check(sources: Sequence[Source], *, samples: int) -> Findings:
    """Read every picture and compare every pair; `samples` of them, evenly spread, are kept small for the sheet."""
    found = Findings()
    step = max(len(sources) / max(samples, 1), 1)
    shown = {int(index * step) for index in range(min(samples, len(sources)))}
    with Bars(len(sources), shown=sys.stderr.isatty(), title="reading", tiles=False) as bars:
        for index, source in enumerate(sources):
            bars.file_done()
            try:
                pictures = [
                    _unit(read_samples(path)) for path in (source.degraded, source.clean) if path is not None
                ]
            except PictureError as error:
                found.problems.append(str(error))
                continue
            _look(source, pictures, found)
            if index in shown:
                found.rows.append([thumbnail(picture, 256) for picture in pictures])
                found.shown.append(source.name)
    return found


def report(search: Search, found: Findings) -> list[str]:
    """What was found, in lines fit to be shown."""
    kind = "pair" if any(source.degraded is not None for source in search.sources) else "picture"
    lines = [f"{counted(len(search.sources), kind)}, {counted(len(found.problems), 'problem')}"]
    if search.left_out:
        first = ", ".join(one_line(path) for path in search.left_out[:3])
        lines.append(
            f"left out, made by uformer: {len(search.left_out)} ({first}{', ...' if len(search.left_out) > 3 else ''})"
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
            f"PSNR of the degraded pictures: {scores[0][0]:.2f} to {scores[-1][0]:.2f} dB, median {middle:.2f}"
        )
        lines.append("lowest: " + ", ".join(f"{one_line(name)} ({score:.2f})" for score, name in scores[:3]))
    if found.shifted:
        lines.append(f"misaligned, it seems: {counted(len(found.shifted), 'pair')}")
        lines += [f"  {line}" for line in found.shifted[:10]]
    return lines


def _range(numbers: Sequence[int]) -> str:
    least, most = min(numbers), max(numbers)
    return str(least) if least == most else f"{least}-{most}"


def _look(source: Source, pictures: list[Pixels], found: Findings) -> None:
    """Note what one picture, or one pair, is like."""
    clean = pictures[-1]
    if pictures[0].shape[:2] != clean.shape[:2]:
        sizes = " and ".join(f"{picture.shape[1]} x {picture.shape[0]}" for picture in pictures)
        found.problems.append(f"{source.name}: sizes differ, {sizes}")
        return
    channels = " to ".join(dict.fromkeys(str(picture.shape[2]) for picture in pictures))
    found.sizes.append((clean.shape[0], clean.shape[1]))
    found.channels[channels] = found.channels.get(channels, 0) + 1
    if len(pictures) == 1 or pictures[0].shape != clean.shape:
        return
    found.scores.append((psnr(pictures[0], clean), source.name))
    if shift := best_shift(pictures[0], clean):
        found.shifted.append(
            f"{source.name}: {shift[2]:.1f} dB closer when moved by {shift[0]} down, {shift[1]} right"
        )


def best_shift(degraded: Pixels, clean: Pixels) -> tuple[int, int, float] | None:
    """By how many pixels (down, right) the degraded picture should move to fit the clean one, and the gain in dB.

    None where it lies well, or the picture is too small to tell. Up to two pixels are tried, on the middle of the picture.
    """
    top, left = (max((length - _SEEN) // 2, 0) for length in clean.shape[:2])
    degraded, clean = (picture[top : top + _SEEN, left : left + _SEEN] for picture in (degraded, clean))
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


def _unit(samples: NDArray[np.uint8] | NDArray[np.uint16]) -> Pixels:
    return samples.astype(np.float32) / np.float32(np.iinfo(samples.dtype).max)


def _write_sheet(rows: list[list[Pixels]], path: Path) -> None:
    if len(rows[0]) == 1:  # clean pictures alone: four in a row
        pictures = [row[0] for row in rows]
        rows = [pictures[start : start + 4] for start in range(0, len(pictures), 4)]
    write(Image(pixels=lay_out(rows)), path)
