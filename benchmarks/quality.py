"""Measure how well weights restore: PSNR on pictures with ground truth.

    python benchmarks/quality.py DATA [--weights NAME|FILE] [--json OUT.json]

DATA holds any of these folders: cbsd68/ (clean pictures), sidd/ and nam/ (each with degraded/ and clean/, matching names).
Protocol, all in sRGB over the three channels, 8-bit pictures, whole pictures, no border left out: Gaussian noise of sigma 15, 25
and 50 is drawn by numpy's default_rng(index of the picture in name order), and the noisy picture is clipped and rounded to
8 bits, as a picture file is (published tables add noise without clipping: their inputs hold a little more information);
restored pictures are rounded to 8 bits. The mean of the pictures' PSNR is given.
"""

import argparse
import datetime
import json
import platform
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import uformer
from uformer.degradations.noise import gaussian_noise
from uformer.image.read import read
from uformer.metrics import psnr

Pixels = NDArray[np.float32]
SIGMAS = (15, 25, 50)


def gaussian_pairs(folder: Path, sigma: float) -> Iterator[tuple[Pixels, Pixels]]:
    """(degraded, clean) of every picture in a folder of clean ones."""
    for index, path in enumerate(sorted(folder.iterdir())):
        clean = read(path).pixels
        noisy = gaussian_noise(clean, np.random.default_rng(index), sigma=sigma)
        yield np.rint(np.clip(noisy, 0, 1) * 255).astype(np.float32) / np.float32(255), clean


def file_pairs(folder: Path) -> Iterator[tuple[Pixels, Pixels]]:
    """(degraded, clean) of the files with the same name in two folders."""
    for path in sorted((folder / "degraded").iterdir()):
        yield read(path).pixels, read(folder / "clean" / path.name).pixels


def score(restorer: uformer.Restorer, pairs: Iterator[tuple[Pixels, Pixels]]) -> tuple[float, float, int]:
    """Mean PSNR of the degraded and of the restored pictures, and their number."""
    scores = [(psnr(degraded, clean), psnr(restorer.restore_pixels(degraded), clean)) for degraded, clean in pairs]
    before, after = (statistics.mean(values) for values in zip(*scores, strict=True))
    return before, after, len(scores)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--weights", default="uformer_t.denoise")
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    args = parser.parse_args()

    restorer = uformer.Restorer.from_pretrained(args.weights, backend=args.backend, precision=args.precision)
    sets = {f"CBSD68 sigma {sigma}": gaussian_pairs(args.data / "cbsd68", sigma) for sigma in SIGMAS if (args.data / "cbsd68").is_dir()}
    sets |= {name: file_pairs(args.data / name) for name in ("sidd", "nam") if (args.data / name).is_dir()}
    if not sets:
        sys.exit(f"{args.data}: no folder cbsd68, sidd or nam in it")
    print(f"{args.weights}, {datetime.date.today()}, {platform.machine()}, uformer {uformer.__version__}")
    figures = {}
    for name, pairs in sets.items():
        before, after, count = score(restorer, pairs)
        figures[name] = {"input": round(before, 2), "restored": round(after, 2), "pictures": count}
        print(f"{name:16} {count:3} pictures: {before:6.2f} -> {after:6.2f} dB ({after - before:+.2f})", flush=True)
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
