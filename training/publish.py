"""Put trained weights into the package, as float16 and with notes.

    python training/publish.py runs/denoise/best.safetensors uformer_t.denoise "training data and duration"
    python training/publish.py new.safetensors uformer_t.derain "..." --mean old.safetensors 0.5

With --mean, the result is a weighted mean: the given share of each other file, and the rest of the first.
Prints the SHA-256 that belongs in uformer/weights/registry.py and the model card. Publish only weights that
score better; benchmarks/quality.py can score the trained file directly.
"""

import argparse
from pathlib import Path

from uformer.files import sha256_of
from uformer.weights import checkpoint, registry


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("trained", type=Path)
    parser.add_argument("name")
    parser.add_argument("recipe", help="a sentence about the training, kept in the file")
    parser.add_argument("--mean", nargs=2, action="append", default=[], metavar=("FILE", "SHARE"))
    args = parser.parse_args()

    others = {Path(file): float(share) for file, share in args.mean}
    shares = {args.trained: 1 - sum(others.values()), **others}
    out = registry.FILES / f"{args.name}.safetensors"
    checkpoint.write_half(shares, out, {"name": args.name, "recipe": args.recipe})
    print(f"{out}: {out.stat().st_size} bytes, sha256 {sha256_of(out)}")


if __name__ == "__main__":
    main()
