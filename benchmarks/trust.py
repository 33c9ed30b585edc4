"""Measure whether the trust map of a report shows where a restoration is wrong.

    python benchmarks/trust.py DATA [--images 4] [--crop 176]

DATA holds nam/, sidd/, rain100l/ and gopro/ (each with degraded/ and clean/) and cbsd68/ (clean images, to
which noise of sigma 25 is added). The script restores the centre of a few images of each with eight views,
without averaging them. For each set it prints Spearman's rank correlation, averaged over the images, between
the true error (the absolute difference from the clean image, averaged over the channels) and

- the spread over 2, 4 and 8 views of the network's answers, as the report has it for 4 and 8;
- the local contrast of the output (standard deviation over 5 x 5 pixels), which needs no further view.

Each is given for single pixels and for the means of blocks of 8 x 8 pixels. It needs the extra [eval].
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy.ndimage import uniform_filter
from scipy.stats import spearmanr

import uformer
from uformer.degradations.noise import gaussian_noise
from uformer.image.image import Pixels
from uformer.image.read import read
from uformer.notices import ignore
from uformer.restore.views import VIEWS

SETS = {"nam": "denoise", "sidd": "denoise", "cbsd68": "denoise", "rain100l": "derain", "gopro": "deblur"}
COUNTS = (2, 4, 8)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--images", type=int, default=4)
    parser.add_argument("--crop", type=int, default=176)
    args = parser.parse_args()
    names = [*(f"{count} views" for count in COUNTS), "contrast"]
    print(f"{'set':10}" + "".join(f"{name:>18}" for name in names) + "   (pixels, blocks)")
    for folder, task in SETS.items():
        restorer = uformer.Restorer.from_pretrained(task=task)
        figures = [
            correlations(restorer, degraded, clean)
            for degraded, clean in pairs(args.data / folder, args.images, args.crop)
        ]
        means = np.mean(figures, axis=0)
        print(
            f"{folder:10}" + "".join(f"{pixels:10.2f}{blocks:8.2f}" for pixels, blocks in means), flush=True
        )


def pairs(folder: Path, count: int, side: int) -> Iterator[tuple[Pixels, Pixels]]:
    """Yield the centres of a few degraded and clean images (H, W, C)."""
    clean_folder = folder / "clean" if (folder / "clean").is_dir() else folder
    paths = sorted(clean_folder.iterdir())
    for number, path in enumerate(paths[:: max(len(paths) // count, 1)][:count]):
        clean = centre(read(path).pixels, side)
        if clean_folder == folder:
            degraded = np.clip(gaussian_noise(clean, np.random.default_rng(number), sigma=25), 0, 1)
        else:
            degraded = centre(read(folder / "degraded" / path.name).pixels, side)
        yield degraded.astype(np.float32), clean


def centre(pixels: Pixels, side: int) -> Pixels:
    top, left = ((length - min(side, length)) // 2 for length in pixels.shape[:2])
    return pixels[top : top + side, left : left + side]


def correlations(restorer: uformer.Restorer, degraded: Pixels, clean: Pixels) -> list[tuple[float, float]]:
    """Return the rank correlation with the true error of each measure, for pixels and for blocks."""
    answers = []
    for view in VIEWS:
        turned = np.ascontiguousarray(view.of(degraded.transpose(2, 0, 1)).transpose(1, 2, 0))
        restored = restorer.restore_pixels(turned, notify=ignore)
        answers.append(view.undo(restored.transpose(2, 0, 1)))
    error = np.abs(answers[0] - clean.transpose(2, 0, 1)).mean(axis=0)
    measures = [np.sqrt(np.var(answers[:count], axis=0).mean(axis=0)) for count in COUNTS]
    luma = answers[0].mean(axis=0)
    measures.append(uniform_filter(luma**2, 5) - uniform_filter(luma, 5) ** 2)
    return [(rank(measure, error), rank(blocks(measure), blocks(error))) for measure in measures]


def rank(measure: Pixels, error: Pixels) -> float:
    return float(spearmanr(measure.ravel(), error.ravel()).statistic)


def blocks(plane: Pixels) -> Pixels:
    height, width = (length // 8 * 8 for length in plane.shape)
    means: Pixels = plane[:height, :width].reshape(height // 8, 8, width // 8, 8).mean(axis=(1, 3))
    return means


if __name__ == "__main__":
    main()
