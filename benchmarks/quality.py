"""Measure how well weights restore: PSNR on images with ground truth, the worst image, and tone shifts.

    python benchmarks/quality.py DATA [--weights NAME|FILE [--task denoise]] [--rows TEXT ...] [--tones
    auto|lock|free] [--json OUT.json]

DATA holds any of these folders: cbsd68/ (clean images), sidd/, nam/, rain100l/ and gopro/ (each with
degraded/ and clean/, with matching names). Each row is scored by a protocol of `uformer eval`. For each row
the script prints the mean PSNR of the inputs and of the restored images, the worst gain of a single image,
and the bias: the difference in mean brightness from the ground truth in 8-bit levels, as absolute value,
averaged over the images.

Rows marked with * use every fourth image of cbsd68. "clean in", "dry in" and "sharp in" rows restore clean
images, so their PSNR says how much of a clean image survives. The script draws "bars" and "text" itself.

Without --weights, the script measures the weights that ship for each task on the rows of that task. Named
weights are measured on the rows of their task, and a file on the rows of --task. --rows selects the rows
whose titles contain one of the texts.
"""

import argparse
import datetime
import functools
import json
import math
import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyvips
from numpy.typing import NDArray

import uformer
from uformer.degradations.noise import gaussian_noise
from uformer.evaluate.cases import Case, LoadedPair, find_cases, read_rgb
from uformer.evaluate.evaluation import evaluate, mean
from uformer.evaluate.pairing import pictures_in
from uformer.evaluate.protocols import PROTOCOLS, Scoring
from uformer.evaluate.results import failure_line
from uformer.image.image import Image
from uformer.image.samples import Samples
from uformer.notices import Notify, warn
from uformer.weights import registry

Pixels = NDArray[np.float32]
TASKS = ("denoise", "derain", "deblur")
LUMA = np.array([[0.299], [0.587], [0.114]], np.float32)


@dataclass(frozen=True)
class Row:
    """One kind of images, and how to score them."""

    task: str
    folder: str
    """Folder below DATA; "" for drawings, which need no data."""
    find: Callable[[Path], list[Case]]
    """Returns the images of the folder. The `subset` of an image is appended to the row's title."""
    scoring: Scoring = field(default_factory=Scoring)
    title: str = ""
    """Title of the row. Default: the name of the folder."""


def protocol_row(task: str, folder: str, protocol: str, *, title: str = "", every: int = 1) -> Row:
    """Return a row with the images of a protocol, or with every `every`th of them."""
    chosen = PROTOCOLS[protocol]

    def find(path: Path) -> list[Case]:
        samples = find_cases(chosen, path)
        subsets = dict.fromkeys(sample.subset for sample in samples)
        return [
            sample
            for subset in subsets
            for sample in [each for each in samples if each.subset == subset][::every]
        ]

    return Row(task, folder, find, chosen.scoring, title)


def made_row(task: str, title: str, degrade: Callable[[Pixels, int], Pixels]) -> Row:
    """Return a row with every fourth image of cbsd68, degraded by `degrade(clean image, number)`."""

    def load(path: Path, index: int, _channels: int = 3, notify: Notify = warn, /) -> LoadedPair:
        clean = read_rgb(path, notify)
        return LoadedPair(degraded=degrade(clean, index), clean=clean)

    def find(folder: Path) -> list[Case]:
        paths = list(enumerate(pictures_in(folder)))[::4]
        return [
            Case("", path.stem, (folder,), functools.partial(load, folder / path, index))
            for index, path in paths
        ]

    return Row(task, "cbsd68", find, title=title)


def drawn_row(task: str, title: str, draw: Callable[[int], Pixels]) -> Row:
    """Return a row with eight drawings, which are restored without being degraded."""

    def load(index: int, _channels: int = 3, _notify: Notify = warn, /) -> LoadedPair:
        drawing = draw(index)
        return LoadedPair(degraded=drawing, clean=drawing)

    samples = [Case("", f"{title} {index}", (), functools.partial(load, index)) for index in range(8)]
    return Row(task, "", lambda _: samples, title=title)


def same_in_all_channels(clean: Pixels, index: int) -> Pixels:
    return as_file(gaussian_noise(clean, np.random.default_rng(index), sigma=25, shared=1))


def chroma_only(clean: Pixels, index: int) -> Pixels:
    noise = gaussian_noise(clean, np.random.default_rng(index), sigma=25) - clean
    return as_file(clean + noise - noise @ LUMA)


def as_file(pixels: NDArray[np.floating]) -> Pixels:
    """Return the image as an 8-bit file holds it."""
    return np.rint(np.clip(pixels, 0, 1) * 255).astype(np.float32) / np.float32(255)


def draw_bars(index: int) -> Pixels:
    """Return bright or dark bars, from wires to fence posts, over a smooth background, (256, 256, 3)."""
    rng = np.random.default_rng(index)
    rows, columns = np.mgrid[0:256, 0:256].astype(np.float32) / 256
    background = 0.35 + 0.3 * rows + 0.1 * columns
    angle = math.radians(rng.uniform(-25, 25))
    across = (columns * math.cos(angle) + rows * math.sin(angle)) * 256
    period, width = rng.uniform(8, 48), rng.uniform(1, 6)
    bars = np.clip(width / 2 + 0.5 - np.abs(across % period - period / 2), 0, 1)
    drawing = background + bars * rng.choice([-0.3, 0.3])
    return as_file(np.repeat(drawing[..., None], 3, axis=2).astype(np.float32))


def draw_text(index: int) -> Pixels:
    """Return black text on white, 10 to 24 pixels high, (256, 256, 3)."""
    words = "Uformer restores noisy, rainy and blurred images. 0123456789 " * 12
    mask = pyvips.Image.text(words, font=f"sans {10 + 2 * index}px", width=256, wrap="word", dpi=72)
    page = mask.crop(0, 0, min(mask.width, 256), min(mask.height, 256)).embed(0, 0, 256, 256).numpy()
    return as_file(np.repeat(1 - page[..., None].astype(np.float32) / 255, 3, axis=2))


ROWS = (
    protocol_row("denoise", "cbsd68", "gaussian", title="CBSD68"),
    protocol_row("denoise", "cbsd68", "gaussian-float", title="CBSD68* not clipped,", every=4),
    protocol_row("denoise", "cbsd68", "gaussian-gray", title="CBSD68* gray, not clipped,", every=4),
    made_row("denoise", "CBSD68* same noise in all channels, sigma 25", same_in_all_channels),
    made_row("denoise", "CBSD68* chroma noise only, sigma 25", chroma_only),
    made_row("denoise", "CBSD68* clean in", lambda clean, _: clean),
    drawn_row("denoise", "text, clean in", draw_text),
    protocol_row("denoise", "sidd", "pairs"),
    protocol_row("denoise", "nam", "pairs"),
    protocol_row("derain", "rain100l", "rain", title="rain100l, on Y"),
    made_row("derain", "CBSD68* dry in", lambda clean, _: clean),
    drawn_row("derain", "bars, dry in", draw_bars),
    drawn_row("derain", "text, dry in", draw_text),
    protocol_row("deblur", "gopro", "gopro"),
    made_row("deblur", "CBSD68* sharp in", lambda clean, _: clean),
)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--weights")
    parser.add_argument("--task", choices=TASKS, help="task of a weights file (default: denoise)")
    parser.add_argument(
        "--rows", nargs="+", default=[""], help="only rows whose titles contain one of these texts"
    )
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--tones", choices=("auto", "lock", "free"), default="auto")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    args = parser.parse_args()

    if args.weights is None:
        weights = {task: registry.for_task(task).name for task in registry.TASKS if args.task in (None, task)}
    else:
        shipped = registry.WEIGHTS.get(args.weights)
        weights = {args.task or (shipped.task if shipped else "denoise"): args.weights}
    rows = [row for row in ROWS if row.task in weights and (args.data / row.folder).is_dir()]
    if not any(row.folder for row in rows):
        wanted = ", ".join(dict.fromkeys(row.folder for row in ROWS if row.task in weights and row.folder))
        sys.exit(
            f"{args.data}: contains none of the folders {wanted}"
            if weights
            else f"--task {args.task}: no weights ship for this task; give some with --weights"
        )
    where = f"{platform.machine()}, uformer {uformer.__version__}"
    print(f"{', '.join(weights.values())}, {datetime.date.today()}, {where}")
    names = dict.fromkeys(weights[row.task] for row in rows)
    restorers = {
        name: uformer.Restorer.from_pretrained(
            name, backend=args.backend, precision=args.precision, tones=args.tones
        )
        for name in names
    }
    figures: dict[str, dict[str, float]] = {}
    failed = False
    for row in rows:
        samples = row.find(args.data / row.folder)
        for subset in dict.fromkeys(sample.subset for sample in samples):
            title = " ".join(filter(None, (row.title or row.folder, subset)))
            if any(text in title for text in args.rows):
                chosen = [sample for sample in samples if sample.subset == subset]
                failed |= not measure(restorers[weights[row.task]], chosen, row.scoring, title, figures)
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1) + "\n")
    return 1 if failed else 0


def measure(
    restorer: uformer.Restorer,
    samples: list[Case],
    scoring: Scoring,
    title: str,
    figures: dict[str, dict[str, float]],
) -> bool:
    """Print a row and add it to the figures. Returns False if an image failed, and names it on stderr."""
    biases: list[float] = []

    def note_bias(sample: Case, restored: Image | Samples) -> None:
        if isinstance(restored, Image):  # as all images of the rows are
            biases.append(abs(float(np.mean(restored.pixels - sample.load().clean))) * 255)

    found = evaluate(restorer, samples, scoring, keep=note_bias)
    for failure in found.failures:
        print(failure_line(failure), file=sys.stderr)
    if found.measured:
        before, after = (
            mean(scores).psnr
            for scores in zip(*((each.degraded, each.restored) for each in found.measured), strict=True)
        )
        row = {
            "restored": round(after, 2),
            "bias": round(float(np.mean(biases)), 2),
            "pictures": len(found.measured),
        }
        if math.isfinite(before):
            worst = min(each.restored.psnr - each.degraded.psnr for each in found.measured)
            figures[title] = {"input": round(before, 2), **row, "worst_gain": round(worst, 2)}
            text = f"{before:6.2f} -> {after:6.2f} dB ({after - before:+.2f}, worst {worst:+.2f})"
        else:  # the inputs are clean, so their PSNR is infinite
            worst = min(each.restored.psnr for each in found.measured)
            figures[title] = {**row, "worst": round(worst, 2)}
            text = f"          {after:6.2f} dB (worst {worst:.2f})"
        print(f"{title:46} {len(found.measured):3} images: {text}, bias {np.mean(biases):.2f}", flush=True)
    return not found.failures


if __name__ == "__main__":
    sys.exit(main())
