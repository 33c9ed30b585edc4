"""The comparisons of the paper's section 4.6, in small: one budget for each network, the same patches, one table.

    python benchmarks/ablations.py DATA [--steps 600] [--out FOLDER] [--json OUT.json]

DATA is a folder of clean pictures. Each row is one `uformer train` command, which is printed first, and the PSNR of its newest weights on
the pictures held out. Networks are narrow (embed_dim 8, one block a level) so that a CPU is enough: what helps at this size and in so few
steps need not be what helps in the end.
"""

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from uformer.complexity import multiply_adds
from uformer.layout import parameter_count
from uformer.weights import checkpoint

SMALL = ["network.embed_dim=8", "network.depths=1,1,1,1,1,1,1,1,1", "patch=64", "batch=8", "held_out=16", "validation_side=256"]
ROWS = {
    "skip: concat": ["network=uformer_16"],
    "skip: cross": ["network=uformer_16_cross"],
    "skip: concat_cross": ["network=uformer_16_concat_cross"],
    "feed-forward: mlp": ["network=uformer_16", "network.feed_forward=mlp"],
    "window: 4 x 4": ["network=uformer_16", "network.window_size=4"],
    "modulators": ["network=uformer_16", "network.modulator=true"],
    "window: 16 x 16": ["network=uformer_16", "network.window_size=16"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seeds", type=int, default=1, help="runs of each network")
    parser.add_argument("--out", type=Path, help="folder for the runs; by default they are thrown away")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    args = parser.parse_args()

    figures: dict[str, dict[str, object]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name, network in ROWS.items():
            scores = []
            begun = time.monotonic()
            for seed in range(args.seeds):
                out = (args.out or Path(scratch)) / f"{len(figures)}-{seed}"
                settings = [*network, *SMALL, f"steps={args.steps}", f"seed={seed}", f"validate_every={args.steps}"]
                words = ["train", "denoise", "--data", str(args.data), "--out", str(out), "--quiet"]
                words += [word for setting in settings for word in ("--set", setting)]
                print("uformer " + shlex.join(words), flush=True)
                subprocess.run([sys.executable, "-m", "uformer", *words], check=True)
                lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
                scores.append(next(line["psnr"] for line in reversed(lines) if "psnr" in line))
            config, _ = checkpoint.read(out / "last.safetensors")
            parameters, products = parameter_count(config), multiply_adds(config, 256, 256).total
            seconds = round(time.monotonic() - begun)
            figures[name] = {"psnr": scores, "parameters": parameters, "multiply_adds_at_256": products, "seconds": seconds}
            shown = " ".join(f"{score:.2f}" for score in scores)
            print(
                f"{name:20} {shown} dB, {parameters / 1e6:.3f} M parameters, {products / 1e9:.2f} G multiply-adds, {seconds} s", flush=True
            )
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
