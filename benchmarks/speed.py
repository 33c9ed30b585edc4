"""Measure how fast a picture is restored, against plain torch at the same size in the same run.

    python benchmarks/speed.py [--size 512x768] [--networks uformer_t,uformer_b] [--runs 5] [--precision auto] [--json FILE]

For each network (random weights: values do not change the time), on one picture of noise:

- restorer: `Restorer` from array to array on the CPU, as it comes, after a first run that compiles;
- eager: the same network in torch in float32 on the whole picture, without gradients, with as many threads;
- share of the peak: the multiply-adds that the picture needs, in the restorer's seconds, over those of a large product of
  matrices in the same numbers, both at their best, as OpenVINO computes it here.

Runs of the two take turns, and medians are given. Needs torch. Results say the machine and the day; benchmarks/README.md keeps some.
"""

import argparse
import datetime
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import uformer
from uformer.complexity import multiply_adds
from uformer.config import VARIANTS
from uformer.restore.backends.base import Weights
from uformer.restore.backends.quiet import ov
from uformer.restore.network import Network
from uformer.restore.options import RestoreOptions
from uformer.restore.restorer import Restorer

_HINTS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}


def peak(precision: str, *, side: int = 2048, runs: int = 5) -> float:
    """Multiply-adds a second of a product of two side x side matrices, one of them constant."""
    rng = np.random.default_rng(0)
    ops = ov.opset13
    left = ops.parameter([side, side], np.float32)
    right = ops.constant(rng.standard_normal((side, side), dtype=np.float32))
    hints = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": _HINTS[precision]}
    product = (
        ov.Core()
        .compile_model(ov.Model([ops.matmul(left, right, False, True)], [left]), "CPU", hints)
        .create_infer_request()
    )
    values = rng.standard_normal((side, side), dtype=np.float32)
    return side**3 / min(seconds(lambda: product.infer([values])) for _ in range(runs + 1))


def seconds(work: Callable[[], object]) -> float:
    """How long something takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measure(name: str, height: int, width: int, *, runs: int, precision: str) -> dict[str, Any]:
    torch.manual_seed(0)
    model = uformer.create_model(name).eval()
    state = {key: value.numpy() for key, value in model.state_dict().items()}
    options = RestoreOptions(backend="openvino", precision=precision)  # type: ignore[arg-type]
    restorer = Restorer(Network(Weights(model.config, state), options.network), options)
    picture = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    tensor = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255

    def eager() -> None:
        with torch.inference_mode():
            model(tensor)

    first = seconds(lambda: restorer(picture))
    eager()
    ours, theirs = zip(
        *((seconds(lambda: restorer(picture)), seconds(eager)) for _ in range(runs)), strict=True
    )
    needed = multiply_adds(VARIANTS[name], height, width).total
    return {
        "network": name,
        "size": f"{height} x {width}",
        "precision": restorer.precision,
        "tile": " x ".join(map(str, restorer.tile_for(height, width))),
        "first_s": first,
        "restorer_s": statistics.median(ours),
        "eager_fp32_s": statistics.median(theirs),
        "ratio": statistics.median(theirs) / statistics.median(ours),
        "megapixels_per_s": height * width / 1e6 / statistics.median(ours),
        "share_of_peak": needed / min(ours) / peak(restorer.precision),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", default="512x768", help="height x width, pixels")
    parser.add_argument("--networks", default="uformer_t,uformer_b")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--json", help="file for the results")
    args = parser.parse_args()

    height, width = map(int, args.size.split("x"))
    rows = [
        measure(name, height, width, runs=args.runs, precision=args.precision)
        for name in args.networks.split(",")
    ]
    about = {
        "date": str(datetime.date.today()),
        "machine": platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "uformer": uformer.__version__,
        "openvino": ov.__version__.split("-")[0],
        "torch": torch.__version__,
    }
    print(", ".join(f"{key} {value}" for key, value in about.items()))
    print(
        "| network | size | numbers | first run | restorer | torch eager fp32 | ratio | Mpx/s | share of peak |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for row in rows:
        print(
            f"| {row['network']} | {row['size']} | {row['precision']} | {row['first_s']:.2f} s | {row['restorer_s']:.2f} s "
            f"| {row['eager_fp32_s']:.2f} s | {row['ratio']:.2f} x | {row['megapixels_per_s']:.2f} | {100 * row['share_of_peak']:.0f}% |"
        )
    if args.json:
        with open(args.json, "w") as file:
            json.dump({**about, "rows": rows}, file, indent=1)


if __name__ == "__main__":
    main()
