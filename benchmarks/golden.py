"""Measure the check of devices: what it costs, and what networks and precisions change in the golden tile.

    python benchmarks/golden.py [--device cpu]

The script takes the time of a first check of `uformer_t.denoise` by each backend that runs on the device,
with an empty cache. For onnxruntime, the weights are exported before. With `--device cpu`, this is the time
of everything but the device's own driver. Then it prints how far each network that ships changes the tile,
and how far torch on the device in half precision differs from the CPU in fp32: the root of the mean squared
difference and the largest one, in levels of 255. It needs the extra [export].
"""

import argparse
import os
import tempfile
import time

from uformer.restore.backends import elsewhere
from uformer.restore.backends.accelerators import KINDS, parse_device
from uformer.restore.backends.choose import read_weights
from uformer.restore.backends.exported import with_exported
from uformer.restore.backends.golden import Tile, differences, golden_tile_for
from uformer.restore.backends.trust import check, reference
from uformer.restore.options import BackendName, NetworkOptions, Precision
from uformer.weights.registry import TASKS

BACKENDS: tuple[BackendName, ...] = ("openvino", "torch", "onnx")
HALF: tuple[Precision, ...] = ("bf16", "fp16")


def levels(tile: Tile, expected: Tile) -> str:
    mean, largest = differences(tile, expected)
    return f"{mean:.2f} levels ({largest:.1f} at most)"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cpu")
    device = parser.parse_args().device
    weights = read_weights(NetworkOptions())
    kind = parse_device(device).kind
    exported = with_exported(weights, "auto", print) if kind in KINDS["onnx"] else weights
    for backend in BACKENDS:
        if kind in KINDS[backend]:
            with tempfile.TemporaryDirectory() as cache:
                os.environ["UFORMER_CACHE"] = cache
                start = time.perf_counter()
                wrong = check(
                    exported if backend == "onnx" else weights, NetworkOptions(backend=backend, device=device)
                )
                seconds = time.perf_counter() - start
            print(f"check of {device} by {backend}: {wrong or 'passed'}, {seconds:.1f} s", flush=True)

    for task in TASKS:
        network = read_weights(NetworkOptions(task=task))
        change = levels(reference(network, NetworkOptions()), golden_tile_for(network.config))
        print(f"{task}: changes the tile by {change}", flush=True)

    expected = reference(weights, NetworkOptions())
    for precision in HALF if kind in KINDS["torch"] else ():
        options = NetworkOptions(backend="torch", device=device, precision=precision)
        run = elsewhere.restore_golden(weights, options)
        print(f"denoise by torch on {device} in {precision}: {levels(run.tile, expected)}", flush=True)


if __name__ == "__main__":
    main()
