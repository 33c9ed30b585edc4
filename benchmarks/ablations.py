"""Repeat the comparisons of the paper's section 4.6 in small: the same budget and patches for each network.

    python benchmarks/ablations.py CLEAN [--steps 600] [--out FOLDER] [--json OUT.json]

CLEAN is a folder of clean images. The script degrades them once with Gaussian noise of sigma 50 (`uformer
degrade`). For each row it prints one `uformer train` command and the PSNR of the newest weights on the
held-out images. To make a CPU sufficient, the networks are narrow and shallow (embed_dim 8, one block per
stage, two levels, because a third would pad patches of 64 to 128) and train for a few minutes. What helps
here need not help in a full training.
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

SMALL = [
    "network.embed_dim=8",
    "network.depths=1,1,1,1,1",
    "network.num_heads=1,2,4,4,2",
    "patch=64",
    "batch=8",
    "held_out=16",
    "validation_side=256",
    "lr=8e-3",
    "ema=0.9",
    "mirrored=0",
]
ROWS = {
    "skip: concat": ["network=uformer_16"],
    "skip: cross": ["network=uformer_16_cross"],
    "skip: concat_cross": ["network=uformer_16_concat_cross"],
    "feed-forward: mlp": ["network=uformer_16", "network.feed_forward=mlp"],
    "window: 4 x 4": ["network=uformer_16", "network.window_size=4"],
    "window: 16 x 16": ["network=uformer_16", "network.window_size=16"],
    "modulators": ["network=uformer_16", "network.modulator=true"],
}
"""The first row is the baseline: concat, LeFF, windows of 8 x 8, no modulators."""


def uformer(words: list[str]) -> None:
    print("uformer " + shlex.join(words), flush=True)
    subprocess.run([sys.executable, "-m", "uformer", *words], check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clean", type=Path)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument(
        "--out", type=Path, help="folder for the noisy images and the runs (default: a temporary one)"
    )
    parser.add_argument("--json", type=Path, help="also write the figures here")
    args = parser.parse_args()

    figures: dict[str, dict[str, object]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.out or Path(scratch)
        noisy = folder / "noisy"
        uformer(["degrade", str(args.clean), str(noisy), "--function", "gaussian_noise", "--set", "sigma=50"])
        for name, network in ROWS.items():
            out = folder / f"run-{len(figures)}"
            settings = [
                word for setting in (*network, *SMALL, f"steps={args.steps}") for word in ("--set", setting)
            ]
            begun = time.monotonic()
            uformer(
                [
                    "train",
                    "pairs",
                    "--degraded",
                    str(noisy),
                    "--clean",
                    str(args.clean),
                    "--out",
                    str(out),
                    "--quiet",
                    *settings,
                ]
            )
            seconds = round(time.monotonic() - begun)
            scores = [
                line["psnr"]
                for line in map(json.loads, (out / "log.jsonl").read_text().splitlines())
                if "psnr" in line
            ]
            config, _ = checkpoint.read(out / "last.safetensors")
            parameters, products = parameter_count(config), multiply_adds(config, 256, 256).total
            figures[name] = {
                "psnr": scores[-1],
                "parameters": parameters,
                "multiply_adds_at_256": products,
                "seconds": seconds,
            }
            cost = f"{parameters / 1e6:.3f} M parameters, {products / 1e9:.2f} G multiply-adds"
            print(f"{name:20} {scores[-1]:.2f} dB, {cost}, {seconds} s", flush=True)
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
