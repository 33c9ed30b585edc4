"""Compare training without clean images with training on pairs, on a microscopy-like set made here.

The set: 16-bit gray images of blurred spots and filaments on a dark background, with Poisson noise of a few
photons. Each row trains the same small network from random weights, for the same number of steps.

    python benchmarks/self_supervised.py [--steps 2000] [--folder FOLDER] [--device cuda]
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import tifffile
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from uformer.cli import main
from uformer.data import pairs, pictures
from uformer.train.folder import RunFolder
from uformer.train.recipe import override
from uformer.train.recipes import find
from uformer.train.setup import HeldOut
from uformer.train.validate import input_score

TRAINING, SCORED = 16, 4  # images
SIDE = 192  # pixels
PHOTONS = 30.0  # at full brightness
GAIN = 1000  # counts per photon
SETTINGS = (
    *("network.embed_dim=8", "network.depths=1,1,1", "network.num_heads=1,1,1", "network.window_size=4"),
    *("patch=32", "batch=4", "lr=0.005", "warmup=20", "ema=0.95", "mirrored=0", "loss=squares", "workers=0"),
    *("validation_side=192", "log_every=50"),
)
ROWS = {
    "pairs": ("one", "clean"),
    "noise2noise": ("one", "other"),
    "neighbor2neighbor": ("one", None),
    "noise2void": ("one", None),
}


def draw_scene(rng: Generator) -> NDArray[np.float64]:
    """Return an image (SIDE, SIDE) in [0, 1]: spots and filaments on a dark background."""
    scene = np.zeros((SIDE, SIDE))
    rows, columns = rng.integers(0, SIDE, (2, 60))
    scene[rows, columns] = rng.uniform(20, 100, 60)
    for _ in range(12):
        at, direction = rng.uniform(0, SIDE, 2), rng.uniform(0, 2 * np.pi)
        for _ in range(3 * SIDE):
            direction += 0.05 * rng.standard_normal()
            at += (0.5 * np.sin(direction), 0.5 * np.cos(direction))
            scene[tuple(at.astype(int) % SIDE)] += 3
    return 0.05 + 0.95 * np.clip(gaussian_filter(scene, 1.5) / 4, 0, 1)


def expose(scene: NDArray[np.float64], rng: Generator) -> NDArray[np.uint16]:
    """Return one noisy take of a scene, in counts."""
    return np.clip(GAIN * rng.poisson(PHOTONS * scene), 0, 65535).astype(np.uint16)


def make_set(folder: Path, count: int, rng: Generator) -> None:
    """Write two noisy takes and the clean image of `count` scenes."""
    for name in ("one", "other", "clean"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for index in range(count):
        scene = draw_scene(rng)
        clean = np.rint(GAIN * PHOTONS * scene).astype(np.uint16)
        for name, image in (("one", expose(scene, rng)), ("other", expose(scene, rng)), ("clean", clean)):
            tifffile.imwrite(folder / name / f"{index:02}.tif", image)


def train(recipe: str, folder: Path, steps: int, device: str) -> float:
    """Train a recipe, and return the PSNR of the last weights on the images to score with, in dB."""
    first, second = ROWS[recipe]
    data = (
        ["--degraded", f"{folder}/set/{first}", "--clean", f"{folder}/set/{second}"]
        if second
        else ["--data", f"{folder}/set/{first}"]
    )
    settings = [*SETTINGS, f"steps={steps}", f"validate_every={steps}"]
    options = [word for setting in settings for word in ("--set", setting)]
    run = folder / "runs" / recipe
    words = ["train", recipe, *data, "--validation", f"{folder}/scored", "--out", str(run), *options]
    if main([*words, "--device", device, "--quiet"]):
        raise SystemExit(1)
    return float(next(line["psnr"] for line in RunFolder(run).read_log() if "psnr" in line))


def compare(folder: Path, steps: int, device: str) -> None:
    """Print the table."""
    rng = np.random.default_rng(0)
    make_set(folder / "set", TRAINING, rng)
    make_set(folder / "scored", SCORED, rng)
    (folder / "scored" / "one").rename(folder / "scored" / "degraded")
    scored, _ = pictures.load(pairs.find(folder / "scored"), smallest=1, memory=2**30)
    held = HeldOut(scored, None, override(find("pairs"), SETTINGS))
    print(f"{steps} steps of 4 patches of 32 x 32; PSNR of {SCORED} other images", flush=True)
    print(f"{'noisy input':20} {input_score(held, range(SCORED)) / SCORED:.2f} dB", flush=True)
    for recipe in ROWS:
        print(f"{recipe:20} {train(recipe, folder, steps, device):.2f} dB", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--device", default="cpu")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        compare(chosen.folder or Path(temporary), chosen.steps, chosen.device)
