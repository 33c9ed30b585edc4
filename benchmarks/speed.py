"""Measure how fast a picture is restored: seconds a megapixel, with the shipped weights.

    python benchmarks/speed.py [--size 512x768] [--runs 5] [--backend auto] [--precision auto] [--weights NAME|FILE]

The first run, which loads and compiles, is timed apart; of the others the fastest and the median are given.
"""

import argparse
import datetime
import platform
import statistics
import time

import numpy as np

import uformer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="512x768", help="height x width, pixels")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--tile", type=int)
    parser.add_argument("--weights", default="uformer_t.denoise")
    args = parser.parse_args()

    height, width = map(int, args.size.split("x"))
    picture = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    seconds = []
    restorer = uformer.Restorer.from_pretrained(args.weights, backend=args.backend, precision=args.precision, tile=args.tile)
    for _ in range(args.runs + 1):
        start = time.perf_counter()
        restorer(picture)
        seconds.append(time.perf_counter() - start)
    first, *rest = seconds
    megapixels = height * width / 1e6
    print(f"{args.weights} on {height} x {width}, {datetime.date.today()}, {platform.machine()}, uformer {uformer.__version__}")
    print(f"first {first:.2f} s; then {min(rest):.2f} s at best, {statistics.median(rest):.2f} s median")
    print(f"{min(rest) / megapixels:.2f} s a megapixel at best")


if __name__ == "__main__":
    main()
