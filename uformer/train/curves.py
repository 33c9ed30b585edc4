"""Plots of a run's loss, score and learning rate, drawn from its log."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from uformer.files import atomic_file


def draw_curves(log: Sequence[dict[str, Any]], path: Path) -> None:
    """Write curves.png, unless the log has no figures yet. Raises OSError if the file cannot be written."""
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
        found = [(line["step"], line[key]) for line in log if key in line]
        axes.plot(
            [step for step, _ in found], [value for _, value in found], marker="." if len(found) < 40 else ""
        )
        if key == "loss" and all(value > 0 for _, value in found):
            axes.set_yscale("log")
        axes.set_ylabel(label)
        axes.grid(visible=True, alpha=0.3)
    axes.set_xlabel("step")
    with atomic_file(path) as file:
        figure.savefig(file, format="png", dpi=100)
