"""Measure which task `--task auto` chooses, and what the choice costs in PSNR.

    python benchmarks/auto.py DATA [--images N] [--crop SIDE] [--rows TEXT ...]

DATA holds any of these folders: nam/, sidd/, rain100l/ and gopro/ (each with degraded/ and clean/), cbsd68/
(clean images) and real_noise/, real_rain/ and real_blur/ (without ground truth). The script adds noise to
cbsd68 and draws structures that look like rain over it. For each row it prints

- how often each task was chosen;
- how strong (in levels of 255) and how smooth the colour is that denoising takes from the flattest parts,
  each from the least to the most;
- the mean PSNR of the inputs, with auto, and with the weights for that kind of damage (the specialist);
- the worst gain of an image with auto. A clean image that is changed at all has no PSNR to lose, so its PSNR
  after the change is printed instead.

The choice is made from the whole image. --crop restores and scores only a square in its centre, and --images
limits the images of each row, to save time. The last line gives the mean processor time of a choice.
"""

import argparse
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from uformer import Restorer
from uformer.data.lookalikes import draw_structure
from uformer.degradations.noise import gaussian_noise
from uformer.image.image import Pixels
from uformer.image.read import read
from uformer.image.value_range import FULL
from uformer.metrics import psnr
from uformer.notices import ignore
from uformer.restore.auto import Auto
from uformer.restore.chain import make_restorer
from uformer.restore.diagnosis import Diagnosis, NoiseFigures, find_crops, noise_figures
from uformer.restore.options import Controls, RestoreOptions
from uformer.restore.restorer import rows_of

Pairs = Iterator[tuple[Pixels, Pixels | None]]
LUMA = np.array([[0.299], [0.587], [0.114]], np.float32)


@dataclass(frozen=True)
class Row:
    """Images of one kind."""

    title: str
    right: str
    """The task that is right for them; nothing for clean images."""
    pairs: Callable[[Path], Pairs]
    """Returns the degraded and the clean images below DATA."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--crop", type=int, default=100_000)
    parser.add_argument("--rows", nargs="*", default=[""])
    args = parser.parse_args()
    auto = make_restorer(RestoreOptions(task="auto"))
    assert isinstance(auto, Auto)
    seconds: list[float] = []
    chosen_right = images = 0
    for row in ROWS:
        if any(text in row.title for text in args.rows):
            right, count = measure(row, auto, args.data, args.images, args.crop, seconds)
            chosen_right, images = chosen_right + right, images + count
    print(f"right in {chosen_right} of {images}; a choice took {np.mean(seconds):.2f} s of processor time")


def measure(row: Row, auto: Auto, data: Path, most: int, side: int, seconds: list[float]) -> tuple[int, int]:
    """Print a row. Returns how many choices were right, and the number of images."""
    choices: Counter[str] = Counter()
    scores: list[tuple[float, float, float]] = []
    changed: list[float] = []
    figures: list[NoiseFigures] = []
    specialist = None if row.right == "nothing" else Restorer.from_pretrained(task=row.right)
    for number, (degraded, clean) in enumerate(row.pairs(data)):
        if number == most:
            break
        found: list[Diagnosis] = []
        start = time.process_time()
        suited = auto.telling(found.append).suited(rows_of(degraded, FULL), degraded.shape)
        seconds.append(time.process_time() - start)
        choices[found[0].finding] += 1
        figures.append(figures_of(auto.choices[0], degraded))
        if clean is None:
            continue
        before, truth = centre(degraded, side), centre(clean, side)
        if specialist is None:
            if found[0].finding != "nothing":
                changed.append(psnr(suited.restore_pixels(before, notify=ignore), truth))
            continue
        best = specialist.restore_pixels(before, notify=ignore)
        same = found[0].finding == row.right
        after = best if same else suited.restore_pixels(before, notify=ignore)
        scores.append((psnr(before, truth), psnr(after, truth), psnr(best, truth)))
    counts = ", ".join(f"{name} {count}" for name, count in choices.most_common())
    colour, smooth = [each.colour for each in figures], [each.smooth for each in figures]
    line = f"{row.title:26} {counts:32} colour {min(colour):.2f} to {max(colour):.2f}"
    line += f", smooth {min(smooth):.2f} to {max(smooth):.2f}"
    if scores:
        given, auto_mean, best_mean = np.mean(scores, axis=0)
        worst = min(after - before for before, after, _ in scores)
        line += f" {given:6.2f} -> {auto_mean:6.2f} dB, specialist {best_mean:6.2f}, worst gain {worst:+.2f}"
    elif row.right == "nothing":
        line += f" changed {len(changed)}" + "".join(f", {score:.1f} dB" for score in changed)
    print(line, flush=True)
    return choices[row.right], choices.total()


def figures_of(denoise: Restorer, pixels: Pixels) -> NoiseFigures:
    """Return what denoising takes from the flattest parts, as the rule sees it."""
    plain = denoise.with_options(denoise.options.with_controls(Controls(tones="free")))
    crops, _ = find_crops(rows_of(pixels, FULL), pixels.shape)
    restored = (plain.restore_pixels(crop.transpose(1, 2, 0), notify=ignore) for crop in crops)
    changes = [image.transpose(2, 0, 1) - crop for image, crop in zip(restored, crops, strict=True)]
    return noise_figures(crops, changes)


def centre(pixels: Pixels, side: int) -> Pixels:
    top, left = ((length - min(side, length)) // 2 for length in pixels.shape[:2])
    return np.ascontiguousarray(pixels[top : top + side, left : left + side])


def rounded(pixels: Pixels) -> Pixels:
    """Return the image as an 8-bit file holds it."""
    return (np.rint(np.clip(pixels, 0, 1) * 255) / 255).astype(np.float32)


def paired(name: str) -> Callable[[Path], Pairs]:
    def pairs(data: Path) -> Pairs:
        for path in sorted((data / name / "clean").iterdir()):
            yield read(data / name / "degraded" / path.name).pixels, read(path).pixels

    return pairs


def clean_of(name: str) -> Callable[[Path], Pairs]:
    def pairs(data: Path) -> Pairs:
        folder = data / name / "clean"
        for path in sorted((folder if folder.is_dir() else data / name).iterdir()):
            clean = read(path).pixels
            yield clean, clean

    return pairs


def alone(name: str) -> Callable[[Path], Pairs]:
    def pairs(data: Path) -> Pairs:
        for path in sorted((data / name).iterdir()):
            yield read(path).pixels, None

    return pairs


def made(
    degrade: Callable[[Pixels, int], Pixels], *, gray: bool = False, every: int = 1
) -> Callable[[Path], Pairs]:
    """Return pairs from cbsd68, with every `every`th image degraded by `degrade(clean image, number)`."""

    def pairs(data: Path) -> Pairs:
        for number, path in enumerate(sorted((data / "cbsd68").iterdir())[::every]):
            clean = read(path).pixels
            clean = rounded(clean @ LUMA) if gray else clean
            yield rounded(degrade(clean, number)), clean

    return pairs


def noisy(sigma: float, *, gray: bool = False) -> Callable[[Path], Pairs]:
    def degrade(clean: Pixels, number: int) -> Pixels:
        return gaussian_noise(clean, np.random.default_rng(number), sigma=sigma)

    return made(degrade, gray=gray, every=4)


def with_structures(data: Path) -> Pairs:
    for number, path in enumerate(sorted((data / "cbsd68").iterdir())[::4]):
        drawn = rounded(draw_structure(read(path).pixels, np.random.default_rng(number)))
        yield drawn, drawn


ROWS = (
    Row("nam", "denoise", paired("nam")),
    Row("sidd", "denoise", paired("sidd")),
    *(Row(f"cbsd68* sigma {sigma}", "denoise", noisy(sigma)) for sigma in (5, 15, 25, 50)),
    *(Row(f"gray cbsd68* sigma {sigma}", "denoise", noisy(sigma, gray=True)) for sigma in (10, 25)),
    Row("rain100l", "derain", paired("rain100l")),
    Row("gopro", "deblur", paired("gopro")),
    *(Row(f"clean {name}", "nothing", clean_of(name)) for name in ("nam", "sidd", "gopro", "rain100l")),
    Row("structures on cbsd68*", "nothing", with_structures),
    *(Row(name, task, alone(name)) for name, task in (("real_rain", "derain"), ("real_noise", "denoise"))),
    Row("real_blur", "deblur", alone("real_blur")),
    Row("clean cbsd68", "nothing", clean_of("cbsd68")),
)
"""Rows marked with * use every fourth image."""


if __name__ == "__main__":
    main()
