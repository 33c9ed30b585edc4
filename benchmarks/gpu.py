"""Time the networks on one accelerator: tiles alone and in batches, and training, in several precisions.

    python benchmarks/gpu.py [--device cuda] [--networks uformer_t uformer_s] [--minutes 4] [--json OUT.json]

Inference restores batches of tiles: 8 and 1 of 544 x 544 (`uformer restore` takes 8 if they fit the memory),
1 of 832 x 832, and 16 and 1 of 256 x 256. The kinds are:

- eager: as `uformer restore` runs the network, with attention in one kernel and channels-last convolutions
- plain: attention as on a CPU, which stores the scores
- compiled: eager with torch.compile
- graphs: compiled, and replayed as a CUDA graph (torch.compile's mode reduce-overhead)

Training takes steps on batches of 128 x 128 patches (Charbonnier loss, AdamW). Each figure is the best of
several runs after a warm-up. With --minutes, the script stops measuring when the time is up and prints "not
measured" for the rest. On a CPU, it measures only fp32, without compiling, and one tile or patch, which is
enough to see that the script works. `--device xpu` and `mps` work too.
"""

import argparse
import contextlib
import datetime
import json
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from unittest import mock

import torch

import uformer
from uformer.model import attention
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
    kind: str
    """eager, plain, compiled or graphs."""
    batch: int
    side: int
    """Side of a tile or a patch, in pixels."""

    def __str__(self) -> str:
        sizes = f"{self.batch:3} x {self.side} x {self.side}"
        return f"{self.network:10} {self.mode:9} {self.precision:5} {self.kind:9} {sizes}"


def cases(device: torch.device, networks: list[str]) -> list[Case]:
    """Return what to measure, the most useful first: small networks and half precision before others."""
    if device.type == "cpu":
        inference = [("fp32", kind, 1, 256) for kind in ("eager", "plain")]
        training = [("fp32", "eager", 1, 128)]
    else:
        batch, single = (8, 544), (1, 544)
        inference = [("fp16", "eager", *tiles) for tiles in (batch, single, (1, 832), (16, 256), (1, 256))]
        inference += [
            ("fp16", kind, *tiles) for kind in ("plain", "compiled", "graphs") for tiles in (batch, single)
        ]
        inference += [(precision, "eager", *batch) for precision in ("bf16", "fp32")]
        training = [
            (precision, kind, 64, 128) for precision in ("bf16", "fp32") for kind in ("eager", "compiled")
        ]
    return [
        Case(network, mode, *setting)
        for network in networks
        for mode, settings in (("training", training), ("inference", inference))
        for setting in settings
    ]


def measure(case: Case, device: torch.device) -> dict[str, float]:
    """Return tiles or patches per second, megapixels per second, and peak memory in MB (0 if unknown)."""
    torch.manual_seed(0)
    model = uformer.create_model(case.network).to(device)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    mode = "reduce-overhead" if case.kind == "graphs" else "default"
    network = torch.compile(model, mode=mode) if case.kind in ("compiled", "graphs") else model
    images = torch.rand(case.batch, 3, case.side, case.side, device=device)
    half = {"fp16": torch.float16, "bf16": torch.bfloat16}.get(case.precision)
    autocast = torch.autocast(device.type, half, enabled=half is not None)
    plain = mock.patch.object(attention, "fuses", return_value=False)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)

    def train() -> None:
        with autocast:
            loss = charbonnier(network(images), images)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    def infer() -> None:
        with autocast, torch.inference_mode(), plain if case.kind == "plain" else contextlib.nullcontext():
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
        unit = "patches/s" if case.mode == "training" else "tiles/s"
        speed = f"{found['per_second']:8.2f} {unit}, {found['megapixels_per_second']:7.3f} Mpx/s"
        print(f"{case}: {speed}, {found['peak_mb']:6.0f} MB", flush=True)
        if args.json:
            args.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
