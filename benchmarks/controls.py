"""Measure how long `Restoration.blend` takes for an image of 24 megapixels, without running a network.

    python benchmarks/controls.py [--megapixels 24] [--repeats 3] [--threads 2]

The image and the residual are random. For each control, and for what `infer` computes once for the tone lock,
the script prints the least elapsed time and the least processor time of the repeats, in seconds, and the load
of the machine: the elapsed time is that of the work only if no other process needs the processors.
"""

import argparse
import functools
import os
import time
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from uformer.image.image import Pixels
from uformer.image.samples import values_of
from uformer.image.value_range import FULL
from uformer.restore.controls import tone_shifts
from uformer.restore.options import Controls
from uformer.restore.remix import reader
from uformer.restore.restoration import Held, Restoration

T = TypeVar("T")

CASES: tuple[dict[str, Any], ...] = (
    {},
    {"strength": 0.5},
    {"chroma": 0.5},
    {"luma": 0.5},
    {"shadows": 0.5},
    {"tones": "lock"},
    {"grain": 0.5},
    {"detail": 0.5},
    {"mask": "whole"},
    {"mask": "quarter"},
    {"luma": 0.8, "detail": 0.5, "grain": 0.2, "shadows": 0.5, "tones": "lock", "mask": "whole"},
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--megapixels", type=float, default=24)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int)
    args = parser.parse_args()
    width = round((args.megapixels * 1.5e6) ** 0.5)
    height = width * 2 // 3
    rng = np.random.default_rng(0)
    image = rng.normal(128, 30, (height, width, 3)).clip(0, 255).astype(np.uint8)
    residual = (rng.standard_normal((3, height, width), np.float32) * np.float32(0.05)).astype(np.float16)
    print(f"{width} x {height} pixels, numpy {np.__version__}, {args.threads or 'default'} threads")
    np.empty(2**23, np.uint8)  # once freed, glibc keeps freed memory, as it does after a network
    read = reader(values_of(image), residual, FULL, 32)
    of_tones = functools.partial(tone_shifts, read, residual.shape)
    shifts = measured("what `infer` computes for the tone lock", args.repeats, of_tones)
    restoration = Restoration(Held.of(image), [residual], [shifts], [FULL], Controls(tones="free"))
    restoration.threads = args.threads
    masks = {"whole": slope(height, width), "quarter": slope(height // 2, width // 2)}
    for case in CASES:
        controls = {**case, "mask": masks[case["mask"]]} if "mask" in case else case
        name = ", ".join(f"{key} {value}" for key, value in case.items()) or "defaults"
        measured(name, args.repeats, functools.partial(restoration.blend, **controls))


def measured(name: str, repeats: int, action: Callable[[], T]) -> T:
    """Print how long an action takes, and return its result."""
    elapsed, processor = [], []
    for _ in range(repeats):
        start = time.perf_counter(), time.process_time()
        result = action()
        elapsed.append(time.perf_counter() - start[0])
        processor.append(time.process_time() - start[1])
    print(
        f"{min(elapsed):5.2f} s elapsed, {min(processor):5.2f} s of processor time, "
        f"load {os.getloadavg()[0]:4.1f}: {name}",
        flush=True,
    )
    return result


def slope(height: int, width: int) -> Pixels:
    """Return a mask that goes from black at the left to white at the right."""
    return np.tile(np.linspace(0, 1, width, dtype=np.float32), (height, 1))


if __name__ == "__main__":
    main()
