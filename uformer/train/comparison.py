"""The results of runs that are compared: rows, a table, and curves."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from uformer.complexity import multiply_adds
from uformer.errors import OptionError
from uformer.files import atomic_file, one_line
from uformer.layout import parameter_count
from uformer.train.outcome import KINDS, logged_baselines
from uformer.train.recipe import Recipe

_LABELS = {"psnr": "PSNR, dB", "held_out_loss": "loss on held-out images"}


@dataclass(frozen=True, kw_only=True)
class ComparedRun:
    """One finished run: its newest score, what it cost, and its scores over time."""

    name: str
    kind: str
    """`psnr` in dB, or `held_out_loss`."""
    score: float
    input: float | None
    """The score of the held-out images as they came."""
    steps: int
    minutes: float
    parameters: int
    multiply_adds: int
    """At 256 x 256."""
    curve: list[tuple[float, float]]
    """(minutes, score) at each scoring."""

    @classmethod
    def of(cls, name: str, recipe: Recipe, log: Sequence[dict[str, Any]]) -> Self:
        """Return the row of a finished run. Raises OptionError if it was never scored."""
        kind = next((kind for kind in KINDS if any(kind in line for line in log)), None)
        if kind is None:
            raise OptionError(
                f"{name}: no images were held out, so there are no scores; give --validation, or more images"
            )
        scored = [line for line in log if kind in line]
        return cls(
            name=name,
            kind=kind,
            score=scored[-1][kind],
            input=logged_baselines(log).get(f"input_{kind}"),
            steps=scored[-1]["step"],
            minutes=scored[-1]["minutes"],
            parameters=parameter_count(recipe.network),
            multiply_adds=multiply_adds(recipe.network, 256, 256).total,
            curve=[(line["minutes"], line[kind]) for line in scored],
        )


def markdown(runs: Sequence[ComparedRun]) -> str:
    """Return the table. Differences are from the first run."""
    kind = runs[0].kind
    lines = [
        (
            f"| Network | {_LABELS[kind]} | Difference | Steps | Minutes | Parameters "
            "| Multiply-adds at 256 x 256 |"
        ),
        "|---|---|---|---|---|---|---|",
    ]
    digits = ".2f" if kind == "psnr" else ".4g"
    for run in runs:
        difference = "" if run is runs[0] else f"{run.score - runs[0].score:+{digits}}"
        lines.append(
            f"| {run.name} | {run.score:{digits}} | {difference} | {run.steps:,} | {run.minutes:.1f} "
            f"| {run.parameters / 1e6:.3f} M | {run.multiply_adds / 1e9:.2f} G |"
        )
    if runs[0].input is not None:
        lines += ["", f"The held-out images as they came: {runs[0].input:{digits}}."]
    return "\n".join(lines) + "\n"


def write_results(folder: Path, request: Mapping[str, Any], runs: Sequence[ComparedRun]) -> None:
    """Write table.md, table.json and curves.png, each completely or not at all."""
    if runs:
        _draw(runs, folder / "curves.png")
        _write(folder / "table.md", markdown(runs))
    found = {"request": dict(request), "runs": [asdict(run) for run in runs]}
    _write(folder / "table.json", json.dumps(found, indent=1) + "\n")


def read_results(folder: Path, request: Mapping[str, Any]) -> list[ComparedRun]:
    """Return the finished runs of a folder; none if it has no table.json yet.

    Raises OptionError if the folder holds another comparison, or if its table.json cannot be read.
    """
    path = folder / "table.json"
    if not path.exists():
        return []
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        before = found["request"]
        runs = [ComparedRun(**{**run, "curve": [tuple(at) for at in run["curve"]]}) for run in found["runs"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OptionError(
            f"{path}: cannot be read ({one_line(error)}); give another folder with -o"
        ) from None
    changed = [
        f"{key}: {before.get(key)}, now {value}" for key, value in request.items() if before.get(key) != value
    ]
    if changed:
        raise OptionError(
            f"{folder}: holds another comparison ({one_line('; '.join(changed))}); "
            "give another folder with -o"
        )
    return runs


def _write(path: Path, text: str) -> None:
    with atomic_file(path) as file:
        file.write(text.encode())


def _draw(runs: Sequence[ComparedRun], path: Path) -> None:
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for run in runs:
        minutes, scores = zip(*run.curve, strict=True)
        axes.plot(minutes, scores, marker=".", label=f"{run.name}: {run.score:.4g}")
    if runs[0].input is not None:
        axes.axhline(
            runs[0].input, color="gray", linestyle="--", label=f"the input itself: {runs[0].input:.4g}"
        )
    axes.set_xlabel("minutes")
    axes.set_ylabel(_LABELS[runs[0].kind])
    axes.grid(visible=True, alpha=0.3)
    axes.legend(fontsize="small")
    with atomic_file(path) as file:
        figure.savefig(file, format="png", dpi=100)
