"""Compare the speed of `Restorer` with that of plain torch, for the same image in the same run.

    python benchmarks/speed.py [--size 512x768] [--networks uformer_t,uformer_b] [--runs 5] [--json FILE]

Each network (with random weights, which do not change the time) restores one image of noise:

- restorer: `Restorer` from array to array on the CPU, with default settings, after a first run that compiles;
- eager: the same network in torch in fp32, on the whole image, without gradients, with as many threads;
- share of peak: multiply-adds per second of the restorer, divided by those of a large matrix product in the
  same precision by the same OpenVINO. Both are the best of their runs.

The two take turns, and their medians are printed. Needs torch. benchmarks/README.md holds results with
machine and date.
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
    """Return the multiply-adds per second of a product of two side x side matrices, one of them constant."""
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
    """Return how long a call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measure(name: str, height: int, width: int, *, runs: int, precision: str) -> dict[str, Any]:
    torch.manual_seed(0)
    model = uformer.create_model(name).eval()
    state = {key: value.numpy() for key, value in model.state_dict().items()}
    options = RestoreOptions(backend="openvino", precision=precision)  # type: ignore[arg-type]
    restorer = Restorer(Network(Weights(model.config, state), options.network), options)
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    tensor = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255

    def eager() -> None:
        with torch.inference_mode():
            model(tensor)

    first = seconds(lambda: restorer(image))
    eager()
    ours, theirs = zip(
        *((seconds(lambda: restorer(image)), seconds(eager)) for _ in range(runs)), strict=True
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
    parser.add_argument("--json", help="also write the figures here")
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
    titles = ["Network", "Size", "Precision", "First run", "Restorer", "torch eager fp32", "Speedup", "Mpx/s"]
    print(f"| {' | '.join(titles)} | Share of peak |\n|---|---|---|---|---|---|---|---|---|")
    for row in rows:
        times = [f"{row[key]:.2f} s" for key in ("first_s", "restorer_s", "eager_fp32_s")]
        speeds = [
            f"{row['ratio']:.2f} x",
            f"{row['megapixels_per_s']:.2f}",
            f"{100 * row['share_of_peak']:.0f}%",
        ]
        print(f"| {' | '.join([row['network'], row['size'], row['precision'], *times, *speeds])} |")
    if args.json:
        with open(args.json, "w") as file:
            json.dump({**about, "rows": rows}, file, indent=1)


if __name__ == "__main__":
    main()
