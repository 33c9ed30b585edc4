"""Measure how long `Restoration.blend` takes for an image of 24 megapixels, without running a network.

    python benchmarks/controls.py [--megapixels 24] [--repeats 3]

The image and the residual are random. For each control the script prints the least elapsed time and the least
processor time of the repeats, in seconds. One thread does the work.
"""

import argparse
import time
from typing import Any

import numpy as np

from uformer.image.value_range import FULL
from uformer.restore.controls import tone_shifts
from uformer.restore.options import Controls
from uformer.restore.restoration import Held, Restoration, reader

CASES: tuple[dict[str, Any], ...] = (
    {},
    {"strength": 0.5},
    {"chroma": 0.5},
    {"luma": 0.5},
    {"shadows": 0.5},
    {"tones": "lock"},
    {"grain": 0.5},
    {"detail": 0.5},
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--megapixels", type=float, default=24)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    width = round((args.megapixels * 1.5e6) ** 0.5)
    height = width * 2 // 3
    rng = np.random.default_rng(0)
    image = rng.normal(128, 30, (height, width, 3)).clip(0, 255).astype(np.uint8)
    residual = (rng.standard_normal((3, height, width), np.float32) * np.float32(0.05)).astype(np.float16)
    shifts = tone_shifts(reader(image, residual, FULL), residual.shape)
    restoration = Restoration(Held.of(image), [residual], [shifts], [FULL], Controls(tones="free"))
    print(f"{width} x {height} pixels, numpy {np.__version__}")
    for controls in CASES:
        elapsed, processor = [], []
        for _ in range(args.repeats):
            start = time.perf_counter(), time.process_time()
            restoration.blend(**controls)
            elapsed.append(time.perf_counter() - start[0])
            processor.append(time.process_time() - start[1])
        name = ", ".join(f"{key} {value}" for key, value in controls.items()) or "defaults"
        print(
            f"{name:16} {min(elapsed):6.2f} s elapsed, {min(processor):5.2f} s of processor time", flush=True
        )


if __name__ == "__main__":
    main()
