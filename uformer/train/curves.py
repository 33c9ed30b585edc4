"""Plots of a run's loss, score and learning rate, drawn from its log."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from uformer.files import atomic_file

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
    figure = Figure(figsize=(8, 2.6 * len(shown)), layout="constrained")
    FigureCanvasAgg(figure)
    for place, (key, label) in enumerate(shown, start=1):
        axes = figure.add_subplot(len(shown), 1, place)
        along = "minutes" if by_minutes else "step"
        found = [(line[along], line[key]) for line in log if key in line and along in line]
        axes.plot(
            [step for step, _ in found], [value for _, value in found], marker="." if len(found) < 40 else ""
        )
        if key == "loss" and all(value > 0 for _, value in found):
            axes.set_yscale("log")
        _draw_baselines(axes, log, key)
        axes.set_ylabel(label)
        axes.grid(visible=True, alpha=0.3)
    axes.set_xlabel("minutes" if by_minutes else "step")
    with atomic_file(path) as file:
        figure.savefig(file, format="png", dpi=100)


def _draw_baselines(axes: Any, log: Sequence[dict[str, Any]], key: str) -> None:
    """Draw the last baselines of the log as dashed lines with a legend."""
    drawn = False
    for place, (prefix, label) in enumerate(_BASELINES):
        values = [line[f"{prefix}_{key}"] for line in log if f"{prefix}_{key}" in line]
        if values:
            axes.axhline(
                values[-1], color=f"C{place + 1}", linestyle="--", label=f"{label}: {values[-1]:.4g}"
            )
            drawn = True
    if drawn:
        axes.legend(fontsize="small")
