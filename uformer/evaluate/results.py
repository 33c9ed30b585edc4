"""The report of a run: a table for people and JSON for programs.

The table shows measured and published numbers together and labels each.
"""

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
from uformer.restore.options import Controls, RestoreOptions
from uformer.version import __version__
from uformer.words import counted

_LONGEST_LINE = 1000  # characters of a failure's line, which contains file names


@dataclass(frozen=True, kw_only=True)
class Setting:
    """The settings of a run, and its number of images."""

    weights: str
    """Name or file."""
    sha256: str
    backend: str
    precision: str
    margin: int
    """Pixels of padding on each side of an image."""
    multiple: int
    """The padded sides are multiples of this many pixels."""
    options: RestoreOptions
    channels: int
    """Number of channels of the network."""
    found: int
    """Number of images in the folder, per subset."""
    limit: int | None
    """Number of them that are used; None for all."""

    @property
    def padding(self) -> str:
        return (
            f"by reflection, {self.margin} pixels on each side, then at the bottom and right "
            f"up to multiples of {self.multiple}"
        )


def given(options: RestoreOptions) -> list[str]:
    """Return the given options that change the scores or a submission, as on the command line."""
    valued = {
        **changed_controls(options),
        "tile": options.tile,
        "overlap": options.overlap,
    }
    return [
        *(["--ensemble"] if options.ensemble else []),
        *(f"--{name} {_shown(value)}" for name, value in valued.items() if value is not None),
    ]


def changed_controls(options: RestoreOptions) -> dict[str, Any]:
    """Return the controls with which the output is not what the network returns."""
    chosen, usual = dataclasses.asdict(options.controls), dataclasses.asdict(Controls(tones="free"))
    return {name: value for name, value in chosen.items() if value not in (usual[name], "auto")}


def _shown(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def show(console: Console, protocol: Protocol, evaluation: Evaluation, setting: Setting) -> None:
    """Print the scores and how they were computed, the published numbers below, and warnings."""
    console.print(f"{protocol.name}: {protocol.summary}")
    console.print(_table(protocol, evaluation, setting, terminal=console.is_terminal))
    facts = {
        "weights": f"{setting.weights} (sha256 {setting.sha256[:12]}...), "
        f"{setting.backend}, {setting.precision}",
        "ssim": protocol.scoring.describe_ssim(),
        "padding": setting.padding,
        "tiles": _tiles(evaluation),
        **({"range": _peaks(evaluation)} if protocol.scoring.own_depth else {}),
        **({"differs": protocol.differs} if protocol.differs else {}),
    }
    for key, value in facts.items():
        console.print(f"{key:8} {value}")
    for warning in warnings_of(protocol, evaluation, setting):
        console.print(f"warning: {warning}", style="yellow")


def show_protocols(console: Console) -> None:
    """Print the list of protocols."""
    table = _plain_table(("protocol", "data and scoring"), terminal=console.is_terminal)
    for protocol in PROTOCOLS.values():
        table.add_row(
            protocol.name,
            f"{protocol.summary} ({protocol.scoring.describe()})" if protocol.scored else protocol.summary,
        )
    console.print(table)


def show_published(console: Console, protocol: Protocol) -> None:
    """Print a benchmark's published numbers, and how this program differs from the authors'."""
    for each in protocol.published:
        console.print(f"published: {each.method} {_numbers(each.psnr, each.ssim)} ({each.source})")
    if protocol.differs:
        console.print(f"differs: {protocol.differs}")


def count_warning(protocol: Protocol, found: int) -> str | None:
    """Return a warning if the number of images is not that of the dataset; None if it is."""
    if not protocol.count or found == protocol.count:
        return None
    return (
        f"found {counted(found, 'image')}; {protocol.dataset} has {protocol.count}: "
        "do not compare with the published numbers"
    )


def warnings_of(protocol: Protocol, evaluation: Evaluation, setting: Setting) -> list[str]:
    """Return the reasons why the scores are not comparable with others of the protocol."""
    found = []
    if other_count := count_warning(protocol, setting.found):
        found.append(other_count)
    if setting.limit is not None and setting.limit < setting.found:
        found.append(f"--limit {setting.limit}: only the first {setting.limit} of {setting.found} images")
    for name, value in changed_controls(setting.options).items():
        found.append(f"--{name} {_shown(value)}: not all of the change, or not only the change, was applied")
    if evaluation.failures:
        failed = _failed_images(evaluation.failures)
        found.append(
            f"{counted(failed, 'image')} {'has' if failed == 1 else 'have'} no scores "
            f"and {'is' if failed == 1 else 'are'} left out of the means"
        )
    return found


def as_json(protocol: Protocol, evaluation: Evaluation, setting: Setting) -> str:
    """Return the whole run as JSON; an infinite PSNR (identical images) is null."""
    values = {
        "uformer": __version__,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "protocol": dataclasses.asdict(protocol),
        "weights": {"name": setting.weights, "sha256": setting.sha256},
        "backend": setting.backend,
        "precision": setting.precision,
        "ensemble": setting.options.ensemble,
        **dataclasses.asdict(setting.options.controls),
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
    """Write the report, completely or not at all. Raises PictureError if it cannot be written."""
    try:
        with atomic_file(path) as file:
            file.write(text.encode())
    except OSError as error:
        raise PictureError(f"{path}: cannot be written: {error.strerror or error}") from None


def failure_line(failure: Failure) -> str:
    """Return the error line of an image without scores: 'uformer: error: sigma 15, 005: reason'."""
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


def _failed_images(failures: Sequence[Failure]) -> int:
    """Return the number of images that failed; an image that fails at three noise levels counts once."""
    times = Counter((failure.subset, failure.name) for failure in failures)
    images: Counter[str] = Counter()
    for (_, name), count in times.items():
        images[name] = max(images[name], count)
    return images.total()


def _tiles(evaluation: Evaluation) -> str:
    most = evaluation.tiles
    return "whole images" if most <= 1 else f"up to {most} tiles per image"


def _peaks(evaluation: Evaluation) -> str:
    """Return the peaks of PSNR in words, in the units of the files."""
    peaks = [each.data_range for each in evaluation.measured]
    least, most = min(peaks), max(peaks)
    if least == most:
        return f"PSNR for a peak of {most:g}"
    return f"PSNR for the range of each image, {least:g} to {most:g} wide"


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
                "data_range": each.data_range,
            }
            for each in scores
        ],
    }


def _plain(score: Score) -> dict[str, float | None]:
    return {"psnr": score.psnr if math.isfinite(score.psnr) else None, "ssim": score.ssim}
