"""Compare the time that `uformer batch` and `uformer restore` take for the same folder of images.

    python benchmarks/batch.py [--count 24] [--size 512x512] [--task denoise] [--rounds 1]

Each command runs in its own process, into an empty folder, with the compiled network already cached. "Total"
is the time from start to end of the process, "start" the time until the first output is written, and "Mpx/s"
the throughput after that. The outputs are compared byte for byte.
"""

import argparse
import datetime
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from uformer.image.image import Image
from uformer.image.write import write

CORES = os.cpu_count() or 1
WAYS = {
    "uformer restore": ["restore", "{source}", "-o", "{out}", "--quiet"],
    "uformer batch": ["batch", "{source}", "{out}", "--quiet"],
    f"--engine ray, 1 worker of {CORES} cores": [
        *("batch", "{source}", "{out}", "--quiet", "--engine", "ray"),
        *("--workers", "1", "--num-cpus", str(CORES)),
    ],
    f"--engine ray, {CORES} workers of 1 core": [
        *("batch", "{source}", "{out}", "--quiet", "--engine", "ray"),
        *("--workers", str(CORES), "--num-cpus", "1"),
    ],
}


def draw(folder: Path, *, count: int, height: int, width: int) -> None:
    y, x = np.mgrid[:height, :width] / 60
    for number in range(count):
        rng = np.random.default_rng(number)
        shapes = np.stack([np.sin(y * a + x * b) for a, b in rng.uniform(-3, 3, (3, 2))], axis=2)
        noisy = 0.5 + 0.3 * shapes + rng.normal(0, 25 / 255, (height, width, 3))
        write(
            Image(pixels=np.clip(noisy, 0, 1).astype(np.float32), lossless=False), folder / f"{number:03}.jpg"
        )


def measure(arguments: list[str], source: Path, out: Path, task: str) -> tuple[float, float, float]:
    """Return (total seconds, seconds until the first output, images per second after that)."""
    command = [part.format(source=source, out=out) for part in arguments]
    began, clock = time.perf_counter(), time.time()
    subprocess.run([sys.executable, "-m", "uformer", *command, "--task", task], check=True)
    whole = time.perf_counter() - began
    times = sorted(path.stat().st_mtime for path in out.glob("*.jpg"))
    return whole, times[0] - clock, (len(times) - 1) / (times[-1] - times[0])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=24)
    parser.add_argument("--size", default="512x512", help="height x width, pixels")
    parser.add_argument("--task", default="denoise")
    parser.add_argument("--rounds", type=int, default=1)
    args = parser.parse_args()
    height, width = map(int, args.size.split("x"))
    print(f"{datetime.date.today()}, {CORES} cores, {args.count} images of {height} x {width}, {args.task}\n")
    print("| Command | Total | Start | Mpx/s | Same bytes |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch) / "in"
        source.mkdir()
        draw(source, count=args.count, height=height, width=width)
        plain: dict[str, bytes] = {}
        for number, (name, arguments) in enumerate(WAYS.items()):
            measured = []
            for turn in range(args.rounds):
                out = Path(scratch) / f"out-{number}-{turn}"
                measured.append(measure(arguments, source, out, args.task))
                found = {path.name: path.read_bytes() for path in out.glob("*.jpg")}
                plain = plain or found
            whole, start, rate = (statistics.median(column) for column in zip(*measured, strict=True))
            speed = rate * height * width / 1e6
            same = "yes" if found == plain else "no"
            print(f"| {name} | {whole:.1f} s | {start:.1f} s | {speed:.3f} | {same} |", flush=True)


if __name__ == "__main__":
    main()
