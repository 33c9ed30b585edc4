"""What a run is reported as: a table for people, JSON for programs. Measured and published numbers stand together, and never mixed up."""

import dataclasses
import datetime
import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from uformer.errors import PictureError
from uformer.evaluate.evaluation import Evaluation, Failure, mean
from uformer.evaluate.protocols import PROTOCOLS, Protocol
from uformer.evaluate.score import Score
from uformer.files import atomic_file, one_line
from uformer.restore.options import RestoreOptions
from uformer.version import __version__
from uformer.words import counted

_LONGEST_LINE = 1000  # characters of a failure's line; the names of files are in it


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What restored the pictures, and how many there were."""

    weights: str
    """Name or file."""
    sha256: str
    backend: str
    precision: str
    margin: int
    """Pixels by which a picture is padded on each side."""
    multiple: int
    """Of how many pixels the sides are, once they are padded."""
    options: RestoreOptions
    channels: int
    """Of the network."""
    found: int
    """Pictures of each subset that the folder holds."""
    limit: int | None
    """How many of them were taken; None for all."""

    @property
    def padding(self) -> str:
        return f"by reflection, {self.margin} pixels on each side, and below and to the right on to multiples of {self.multiple}"


def given(options: RestoreOptions) -> list[str]:
    """The options that make the numbers, or a submission, other ones than usual, as they are given."""
    valued = {
        "strength": None if options.strength == 1 else options.strength,
        "tile": options.tile,
        "overlap": options.overlap,
    }
    return [
        *(["--ensemble"] if options.ensemble else []),
        *(f"--{name} {value:g}" for name, value in valued.items() if value is not None),
    ]


def show(console: Console, protocol: Protocol, evaluation: Evaluation, setting: Setting) -> None:
    """Print the numbers, each with how it was computed, the published ones below, and what must be known of them."""
    console.print(f"{protocol.name}: {protocol.summary}")
    console.print(_table(protocol, evaluation, setting, terminal=console.is_terminal))
    facts = {
        "weights": f"{setting.weights} (sha256 {setting.sha256[:12]}...), {setting.backend}, {setting.precision}",
        "ssim": protocol.scoring.describe_ssim(),
        "padding": setting.padding,
        "tiles": _tiles(evaluation),
        **({"differs": protocol.differs} if protocol.differs else {}),
    }
    for key, value in facts.items():
        console.print(f"{key:8} {value}")
    for warning in warnings_of(protocol, evaluation, setting):
        console.print(f"warning: {warning}", style="yellow")


def show_protocols(console: Console) -> None:
    """Print what there is to choose from."""
    table = _plain_table(("protocol", "what, and what it is scored on"), terminal=console.is_terminal)
    for protocol in PROTOCOLS.values():
        table.add_row(
            protocol.name,
            f"{protocol.summary} ({protocol.scoring.describe()})" if protocol.scored else protocol.summary,
        )
    console.print(table)


def show_published(console: Console, protocol: Protocol) -> None:
    """Print the published numbers of a benchmark that only its server can add to, and what is done otherwise here."""
    for each in protocol.published:
        console.print(f"published: {each.method} {_numbers(each.psnr, each.ssim)} ({each.source})")
    if protocol.differs:
        console.print(f"differs: {protocol.differs}")


def count_warning(protocol: Protocol, found: int) -> str | None:
    """What is to be said of a folder of so many pictures that is not the whole data set; known before anything is computed."""
    if not protocol.count or found == protocol.count:
        return None
    return f"{counted(found, 'picture')}; {protocol.dataset} has {protocol.count}: do not compare with the published numbers"


def warnings_of(protocol: Protocol, evaluation: Evaluation, setting: Setting) -> list[str]:
    """Why the numbers are not what the protocol's name promises."""
    found = []
    if other_count := count_warning(protocol, setting.found):
        found.append(other_count)
    if setting.limit is not None and setting.limit < setting.found:
        found.append(f"--limit {setting.limit}: only the first {setting.limit} of {setting.found} pictures")
    if setting.options.strength != 1:
        found.append(f"--strength {setting.options.strength:g}: only a part of the change was applied")
    if evaluation.failures:
        failed = _failed_pictures(evaluation.failures)
        found.append(
            f"{counted(failed, 'picture')} {'has' if failed == 1 else 'have'} no numbers "
            f"and {'is' if failed == 1 else 'are'} left out of the means"
        )
    return found


def as_json(protocol: Protocol, evaluation: Evaluation, setting: Setting) -> str:
    """The whole run; an infinite PSNR (equal pictures) is null."""
    values = {
        "uformer": __version__,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "protocol": dataclasses.asdict(protocol),
        "weights": {"name": setting.weights, "sha256": setting.sha256},
        "backend": setting.backend,
        "precision": setting.precision,
        "ensemble": setting.options.ensemble,
        "strength": setting.options.strength,
        "tile": setting.options.tile,
        "overlap": setting.options.overlap,
        "channels": setting.channels,
        "padding": setting.padding,
        "tiles": _tiles(evaluation),
        "limit": setting.limit,
        "warnings": warnings_of(protocol, evaluation, setting),
        "results": [_result(evaluation, subset) for subset in evaluation.subsets],
        "failures": [dataclasses.asdict(failure) for failure in evaluation.failures],
    }
    return json.dumps(values, indent=1, allow_nan=False) + "\n"


def write_json(text: str, path: Path) -> None:
    """Write the report, whole or not at all. Raises PictureError where it cannot be written."""
    try:
        with atomic_file(path) as file:
            file.write(text.encode())
    except OSError as error:
        raise PictureError(f"{path}: cannot be written: {error.strerror or error}") from None


def failure_line(failure: Failure) -> str:
    """A picture without numbers, for standard error: 'uformer: error: sigma 15, 005: reason'."""
    return one_line(
        f"uformer: error: {failure.subset + ', ' if failure.subset else ''}{failure.name}: {failure.reason}",
        _LONGEST_LINE,
    )


def _table(protocol: Protocol, evaluation: Evaluation, setting: Setting, *, terminal: bool) -> Table:
    table = _plain_table(
        ("", "n", "input dB", "SSIM", "restored dB", "SSIM", "computed on / published by"), terminal=terminal
    )
    for column in table.columns[1:6]:
        column.justify = "right"
    how = ", ".join(
        [
            protocol.scoring.describe(setting.channels),
            _tiles(evaluation),
            "padded by reflection",
            *given(setting.options),
        ]
    )
    for subset in evaluation.subsets:
        scores = evaluation.of(subset)
        before, after = mean([each.degraded for each in scores]), mean([each.restored for each in scores])
        row = (f"measured {subset}".strip(), str(len(scores)), *_cells(before), *_cells(after), how)
        table.add_row(*row, style="bold" if terminal else "")
        for published in (each for each in protocol.published if each.subset in ("", subset)):
            number = (f"{published.psnr:.2f}", "" if published.ssim is None else f"{published.ssim:g}")
            table.add_row(
                "published",
                "",
                "",
                "",
                *number,
                f"{published.method} ({published.source})",
                style="dim" if terminal else "",
            )
    return table


def _plain_table(columns: tuple[str, ...], *, terminal: bool) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD if terminal else None,
        pad_edge=False,
        padding=(0, 1, 0, 0) if terminal else (0, 1),
    )
    for column in columns[:-1]:
        table.add_column(column, no_wrap=True)
    table.add_column(columns[-1], overflow="fold")
    return table


def _cells(score: Score) -> tuple[str, str]:
    return f"{score.psnr:.2f}", f"{score.ssim:.4f}"


def _numbers(psnr: float, ssim: float | None) -> str:
    return f"{psnr:.2f} dB" + ("" if ssim is None else f", SSIM {ssim:g}")


def _failed_pictures(failures: Sequence[Failure]) -> int:
    """How many pictures they are of: one that fails at three levels of noise is one."""
    times = Counter((failure.subset, failure.name) for failure in failures)
    pictures: Counter[str] = Counter()
    for (_, name), count in times.items():
        pictures[name] = max(pictures[name], count)
    return pictures.total()


def _tiles(evaluation: Evaluation) -> str:
    most = evaluation.tiles
    return "whole pictures" if most <= 1 else f"in tiles, up to {most} a picture"


def _result(evaluation: Evaluation, subset: str) -> dict[str, Any]:
    scores = evaluation.of(subset)
    return {
        "subset": subset,
        "pictures": len(scores),
        "input": _plain(mean([each.degraded for each in scores])),
        "restored": _plain(mean([each.restored for each in scores])),
        "scores": [
            {
                "picture": each.name,
                "input": _plain(each.degraded),
                "restored": _plain(each.restored),
                "tiles": each.tiles,
            }
            for each in scores
        ],
    }


def _plain(score: Score) -> dict[str, float | None]:
    return {"psnr": score.psnr if math.isfinite(score.psnr) else None, "ssim": score.ssim}
