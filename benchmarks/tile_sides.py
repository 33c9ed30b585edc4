"""Compare tiles with sides in steps of 32 pixels with those in steps of 128, on this CPU.

    python benchmarks/tile_sides.py [--size 2160x3840] [--runs 2]

Only images of more than 4 megapixels get the finer steps (`plan_freely` in `uformer/restore/tiles.py`). The
script restores noise of the given size with either, in turn, and prints the tiles, the pixels that they
compute for each pixel of the image, and the least time of a run.
"""

import argparse
import time

import numpy as np

from uformer.restore import tiles
from uformer.restore.memory import LARGEST_TILE
from uformer.restore.options import RestoreOptions
from uformer.restore.restorer import Restorer
from uformer.restore.tile_size import MARGIN, OVERLAP

NEVER, ALWAYS = 10**12, 0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", default="2160x3840", help="height x width, pixels")
    parser.add_argument("--runs", type=int, default=2)
    args = parser.parse_args()

    height, width = map(int, args.size.split("x"))
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    restorers = {step: Restorer.from_options(RestoreOptions(precision="fp32")) for step in (128, 32)}
    seconds = dict.fromkeys(restorers, float("inf"))
    plans = {}
    for _ in range(args.runs + 1):  # the first compiles
        for step, restorer in restorers.items():
            tiles.LARGE = ALWAYS if step == 32 else NEVER
            start = time.perf_counter()
            restorer(image)
            seconds[step] = min(seconds[step], time.perf_counter() - start)
            plans[step] = tiles.plan_freely(
                height, width, largest=LARGEST_TILE, overlap=OVERLAP, multiple=32, align=32, margin=MARGIN
            )
    for step, plan in plans.items():
        computed = plan.count * plan.tile[0] * plan.tile[1] / (height * width)
        sides = f"{plan.count} tiles of {plan.tile[0]} x {plan.tile[1]}, {computed:.2f} pixels for each pixel"
        print(f"steps of {step:3}: {sides}, {seconds[step]:.1f} s")


if __name__ == "__main__":
    main()
