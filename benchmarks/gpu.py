"""Time the networks on one accelerator: inference and training, eager and compiled, fp32 and bf16.

    python benchmarks/gpu.py [--device cuda] [--networks uformer_t uformer_s] [--minutes 4] [--json OUT.json]

Inference restores batches of 512 x 512 images. Training takes steps on batches of 128 x 128 patches
(Charbonnier loss, AdamW). Each figure is the best of several runs after a warm-up. With --minutes, the script
stops measuring when the time is up and prints "not measured" for the rest. On a CPU, it measures only eager
fp32 and single images, which is enough to see that the script works.
"""

import argparse
import datetime
import itertools
import json
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

import uformer
from uformer.train.losses import charbonnier

NETWORKS = ("uformer_t", "uformer_s", "uformer_b")
LEAST_SECONDS = 2.0
"""The least time that each figure is measured over."""


@dataclass(frozen=True)
class Case:
    """One figure of the table."""

    network: str
    mode: str
    """`inference` or `training`."""
    precision: str
    compiled: bool
    batch: int
    side: int
    """Side of an image or a patch, in pixels."""

    def __str__(self) -> str:
        kind = "compiled" if self.compiled else "eager"
        sizes = f"{self.batch:3} x {self.side} x {self.side}"
        return f"{self.network:10} {self.mode:9} {self.precision:5} {kind:9} {sizes}"


def cases(device: torch.device, networks: list[str]) -> list[Case]:
    """Return what to measure, the most useful first: uformer_t before the larger ones, bf16 before fp32."""
    on_gpu = device.type != "cpu"
    precisions = ("bf16", "fp32") if on_gpu else ("fp32",)
    compiles = (False, True) if on_gpu else (False,)
    return [
        Case(network, mode, precision, compiled, batch if on_gpu else 1, side)
        for network, precision, compiled, (mode, batch, side) in itertools.product(
            networks, precisions, compiles, (("training", 64, 128), ("inference", 8, 512))
        )
    ]


def measure(case: Case, device: torch.device) -> dict[str, float]:
    """Return images or patches per second, megapixels per second, and peak memory in MB (0 if unknown)."""
    torch.manual_seed(0)
    model = uformer.create_model(case.network).to(device)
    network = torch.compile(model) if case.compiled else model
    images = torch.rand(case.batch, 3, case.side, case.side, device=device)
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=case.precision == "bf16")
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)

    def train() -> None:
        with autocast:
            loss = charbonnier(network(images), images)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    def infer() -> None:
        with autocast, torch.inference_mode():
            network(images)

    model.train(case.mode == "training")
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    seconds = best_seconds(train if case.mode == "training" else infer, device)
    peak = torch.cuda.max_memory_allocated(device) / 1e6 if device.type == "cuda" else 0.0
    return {
        "per_second": round(case.batch / seconds, 2),
        "megapixels_per_second": round(case.batch * case.side**2 / 1e6 / seconds, 3),
        "peak_mb": round(peak),
    }


def best_seconds(work: Callable[[], None], device: torch.device) -> float:
    """Return the shortest of several runs (LEAST_SECONDS in total), after one that compiles and warms up."""

    def finish() -> None:
        if device.type != "cpu":
            torch.accelerator.synchronize()

    work()
    finish()
    runs: list[float] = []
    while sum(runs) < LEAST_SECONDS:
        begin = time.perf_counter()
        work()
        finish()
        runs.append(time.perf_counter() - begin)
    return min(runs)


def device_name(device: torch.device) -> str:
    """Return the name of the accelerator, or the architecture of the processor."""
    return (
        torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else f"{device.type} of {platform.machine()}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=NETWORKS)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop measuring after this time")
    parser.add_argument("--json", type=Path, help="also write the figures here, after each row")
    args = parser.parse_args()

    device = torch.device(args.device)
    end = time.monotonic() + 60 * args.minutes
    versions = f"torch {torch.__version__}, uformer {uformer.__version__}"
    print(f"{device_name(device)}, {versions}, {datetime.date.today()}", flush=True)
    figures: list[dict[str, object]] = []
    for case in cases(device, args.networks):
        if time.monotonic() >= end:
            print(f"{case}: not measured, the time is up", flush=True)
            continue
        try:
            found = measure(case, device)
        except torch.OutOfMemoryError:
            print(f"{case}: not measured, out of memory", flush=True)
            continue
        figures.append({**asdict(case), **found})
        unit = "patches/s" if case.mode == "training" else "images/s"
        speed = f"{found['per_second']:8.2f} {unit}, {found['megapixels_per_second']:7.3f} Mpx/s"
        print(f"{case}: {speed}, {found['peak_mb']:6.0f} MB", flush=True)
        if args.json:
            args.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
