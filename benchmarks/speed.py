"""Compare the speed of `Restorer` with that of plain torch, for the same image in the same run.

    python benchmarks/speed.py [--size 512x768] [--networks uformer_t,uformer_b] [--runs 5] [--peers NAME ...]

Each network (with random weights, which do not change the time) restores one image of noise:

- restorer: `Restorer` from array to array on the CPU, with default settings, after a first run that compiles;
- eager: the same network in torch in fp32, on the whole image, without gradients, with as many threads;
- share of peak: multiply-adds per second of the restorer, divided by those of a large matrix product in the
  same precision by the same OpenVINO. Both are the best of their runs.

They take turns, and their medians are printed. `--peers` also measures NAFNet-32 (as for SIDD), DRUNet and
SCUNet (or those named) with random weights, through the same OpenVINO in the same precision, in turn with the
restorer of the first network. SCUNet at 512 x 768 needs more than 12 GB of memory. CPU time is the least of
all runs; other work on the machine changes it less than the median. Multiply-adds are those of the image
itself, without the margin that the restorer adds.

Needs torch, and for `--peers` spandrel, which defines these networks. benchmarks/README.md holds results with
machine and date.
"""

import argparse
import datetime
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.flop_counter import FlopCounterMode

import uformer
from uformer.complexity import multiply_adds
from uformer.config import VARIANTS
from uformer.model.uformer import Uformer
from uformer.restore.backends.base import Weights
from uformer.restore.backends.quiet import ov
from uformer.restore.network import Network
from uformer.restore.options import RestoreOptions
from uformer.restore.restorer import Restorer

PEERS = ("NAFNet-32", "DRUNet", "SCUNet")
_HINTS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}


def make_request(model: ov.Model, precision: str) -> ov.InferRequest:
    """Return a request that runs a model on the CPU."""
    hints = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": _HINTS[precision]}
    return ov.Core().compile_model(model, "CPU", hints).create_infer_request()


def peak(precision: str, *, side: int = 2048, runs: int = 5) -> float:
    """Return the multiply-adds per second of a product of two side x side matrices, one of them constant."""
    rng = np.random.default_rng(0)
    ops = ov.opset13
    left = ops.parameter([side, side], np.float32)
    right = ops.constant(rng.standard_normal((side, side), dtype=np.float32))
    product = make_request(ov.Model([ops.matmul(left, right, False, True)], [left]), precision)
    values = rng.standard_normal((side, side), dtype=np.float32)
    return side**3 / min(seconds(lambda: product.infer([values])) for _ in range(runs + 1))


def seconds(work: Callable[[], object]) -> float:
    """Return how long a call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def both_seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Return how long a call takes, and how much time of all cores together."""
    start = time.process_time()
    return seconds(work), time.process_time() - start


def make_peer(name: str) -> torch.nn.Module:
    """Return a published network for colour noise, one of PEERS."""
    try:
        from spandrel.architectures.DRUNet import DRUNet  # noqa: PLC0415 - optional
        from spandrel.architectures.NAFNet import NAFNet  # noqa: PLC0415 - optional
        from spandrel.architectures.SCUNet import SCUNet  # noqa: PLC0415 - optional
    except ImportError as error:
        sys.exit(f"--peers: {error}; run: pip install spandrel")
    if name == "NAFNet-32":
        blocks = {"enc_blk_nums": [2, 2, 4, 8], "dec_blk_nums": [2, 2, 2, 2]}
        return NAFNet(width=32, middle_blk_num=12, **blocks).eval()
    # DRUNet has a fourth input channel for the noise level.
    return DRUNet(in_nc=4, out_nc=3).eval() if name == "DRUNet" else SCUNet().eval()


def measure_peers(
    name: str, peers: Sequence[str], height: int, width: int, *, runs: int, precision: str
) -> list[dict[str, Any]]:
    """Return a row for the restorer with a network, and one for each peer."""
    restorer, image = make_restorer(make_model(name), precision), draw_image(height, width)
    works: dict[str, Callable[[], object]] = {name: lambda: restorer(image)}
    needed = {name: multiply_adds(VARIANTS[name], height, width).total}
    for peer in peers:
        network = make_peer(peer)
        example = torch.rand(1, next(network.parameters()).shape[1], height, width)
        works[peer] = compiled(network, example, restorer.precision)
        needed[peer] = counted_multiply_adds(network, example)
    for work in works.values():
        work()
    rounds = [{key: both_seconds(work) for key, work in works.items()} for _ in range(runs)]
    return [
        {
            "network": key,
            "precision": restorer.precision,
            "multiply_adds": needed[key],
            "median_s": statistics.median(each[key][0] for each in rounds),
            "cpu_s": min(each[key][1] for each in rounds),
        }
        for key in works
    ]


def compiled(network: torch.nn.Module, example: torch.Tensor, precision: str) -> Callable[[], object]:
    """Return a function that runs a network through OpenVINO on an example."""
    from openvino.tools.ovc import convert_model  # noqa: PLC0415 - only peers need it

    model = convert_model(network, example_input=example)
    model.reshape(list(example.shape))
    request = make_request(model, precision)
    return lambda: request.infer([example.numpy()])


def counted_multiply_adds(network: torch.nn.Module, example: torch.Tensor) -> int:
    """Return the multiply-adds of the products and convolutions that a network does, without doing them."""
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network.to("meta")(example.to("meta"))
    return counter.get_total_flops() // 2


def make_model(name: str) -> Uformer:
    """Return a network with random weights."""
    torch.manual_seed(0)
    return uformer.create_model(name).eval()


def make_restorer(model: Uformer, precision: str) -> Restorer:
    """Return a restorer that runs a network through OpenVINO on the CPU."""
    state = {key: value.numpy() for key, value in model.state_dict().items()}
    options = RestoreOptions(backend="openvino", precision=precision)  # type: ignore[arg-type]
    return Restorer(Network(Weights(model.config, state), options.network), options)


def draw_image(height: int, width: int) -> NDArray[np.uint8]:
    """Return an image of noise."""
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def measure(name: str, height: int, width: int, *, runs: int, precision: str) -> dict[str, Any]:
    """Return a row for the restorer with a network, beside torch."""
    model, image = make_model(name), draw_image(height, width)
    restorer = make_restorer(model, precision)
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
    parser.add_argument("--peers", nargs="*", choices=PEERS, help="also measure these networks; default: all")
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
    peers = []
    if args.peers is not None:
        first, *_ = args.networks.split(",")
        peers = measure_peers(
            first, args.peers or PEERS, height, width, runs=args.runs, precision=args.precision
        )
        titles = ["Network", "Precision", "Multiply-adds", "Time", "CPU time", "Its time / ours"]
        print(f"\n| {' | '.join(titles)} |\n|---|---|---|---|---|---|")
        for row in peers:
            ratio = row["median_s"] / peers[0]["median_s"]
            measured = f"{row['median_s']:.2f} s | {row['cpu_s']:.2f} s | {ratio:.2f}"
            products = f"{row['multiply_adds'] / 1e9:.1f} G"
            print(f"| {row['network']} | {row['precision']} | {products} | {measured} |")
    if args.json:
        with open(args.json, "w") as file:
            json.dump({**about, "rows": rows, "peers": peers}, file, indent=1)


if __name__ == "__main__":
    main()
