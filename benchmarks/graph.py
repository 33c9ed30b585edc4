"""Compare the OpenVINO graph for CPUs with AVX2 only with that for other devices, on this CPU in float32.

    python benchmarks/graph.py [--size 544x800] [--runs 8] [--weights uformer_t.denoise]

Both graphs restore the same image (`examples/night.png`, repeated to the size) in turn, on one thread. The
script prints the processor time that each takes to compile, and the least that a run takes; other work on the
machine changes it less than elapsed time. Then it prints how much the outputs differ.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from PIL import Image

from uformer.restore.backends import openvino_graph
from uformer.restore.backends.quiet import ov
from uformer.weights import checkpoint, registry

PHOTO = Path(__file__).parent.parent / "examples" / "night.png"
OPTIONS = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", default="544x800", help="height x width, pixels")
    parser.add_argument("--runs", type=int, default=8)
    parser.add_argument("--weights", default="uformer_t.denoise")
    args = parser.parse_args()

    height, width = map(int, args.size.split("x"))
    config, state = checkpoint.read(registry.find(args.weights).path)
    photo = np.asarray(Image.open(PHOTO).convert("RGB"), np.float32) / 255
    rows, columns = -(-height // photo.shape[0]), -(-width // photo.shape[1])
    tile = np.tile(photo, (rows, columns, 1))[None, :height, :width].transpose(0, 3, 1, 2).copy()

    requests = {}
    for name, for_avx2 in (("for other devices", False), ("for AVX2", True)):
        start = time.process_time()
        graph = openvino_graph.build(config, state, height=height, width=width, for_avx2=for_avx2)
        requests[name] = ov.Core().compile_model(graph, "CPU", OPTIONS).create_infer_request()
        print(f"{name}: compiled in {time.process_time() - start:.2f} s")
    seconds = dict.fromkeys(requests, float("inf"))
    restored = {}
    for _ in range(args.runs):
        for name, request in requests.items():
            start = time.process_time()
            request.infer([tile])
            seconds[name] = min(seconds[name], time.process_time() - start)
            restored[name] = 255 * request.get_output_tensor().data.astype(np.float64)
    for name, least in seconds.items():
        print(f"{name}: {least:.3f} s")
    one, other = restored.values()
    print(f"largest difference: {np.abs(one - other).max():.4f} 8-bit levels")
    print(f"root mean square of the difference: {np.sqrt(np.square(one - other).mean()):.5f} 8-bit levels")


if __name__ == "__main__":
    main()
