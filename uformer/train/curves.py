"""Plots of a run's loss, score and learning rate, drawn from its log."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from uformer.files import atomic_file
from uformer.train.outcome import logged_baselines

_BASELINES = (("input", "the input itself"), ("start", "weights at the start"))


def draw_curves(log: Sequence[dict[str, Any]], path: Path, *, by_minutes: bool = False) -> None:
    """Write curves.png, unless the log has no figures yet. Raises OSError if the file cannot be written.

    Dashed lines show the scores of the input and of the weights that the run started from. `by_minutes`:
    whether the curves run over minutes instead of steps.
    """
    panels = [
        ("loss", "loss"),
        ("psnr", "PSNR of held-out images, dB"),
        ("held_out_loss", "loss on held-out images"),
        ("lr", "learning rate"),
    ]
    shown = [(key, label) for key, label in panels if any(key in line for line in log)]
    if not shown:
        return
    along, baselines = "minutes" if by_minutes else "step", logged_baselines(log)
    figure = Figure(figsize=(8, 2.6 * len(shown)), layout="constrained")
    FigureCanvasAgg(figure)
    for place, (key, label) in enumerate(shown, start=1):
        axes = figure.add_subplot(len(shown), 1, place)
        found = [(line[along], line[key]) for line in log if key in line and along in line]
        axes.plot(
            [step for step, _ in found], [value for _, value in found], marker="." if len(found) < 40 else ""
        )
        if key == "loss" and all(value > 0 for _, value in found):
            axes.set_yscale("log")
        _draw_baselines(axes, baselines, key)
        axes.set_ylabel(label)
        axes.grid(visible=True, alpha=0.3)
    axes.set_xlabel(along)
    with atomic_file(path) as file:
        figure.savefig(file, format="png", dpi=100)


def _draw_baselines(axes: Any, baselines: Mapping[str, float], key: str) -> None:
    """Draw the baselines of a score as dashed lines with a legend."""
    for place, (prefix, label) in enumerate(_BASELINES):
        value = baselines.get(f"{prefix}_{key}")
        if value is not None:
            axes.axhline(value, color=f"C{place + 1}", linestyle="--", label=f"{label}: {value:.4g}")
            axes.legend(fontsize="small")
