"""Put trained weights into the package, as float16 and with notes.

    python training/publish.py runs/denoise/best.safetensors uformer_t.denoise "training data and duration"

Prints the SHA-256 that belongs in uformer/weights/registry.py and the model card. Publish only weights that
score better; benchmarks/quality.py can score the trained file directly.
"""

import argparse
import hashlib
from pathlib import Path

from uformer.weights import checkpoint, registry


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("trained", type=Path)
    parser.add_argument("name")
    parser.add_argument("recipe", help="a sentence about the training, kept in the file")
    args = parser.parse_args()

    out = registry.FILES / f"{args.name}.safetensors"
    checkpoint.write_half(args.trained, out, {"name": args.name, "recipe": args.recipe})
    print(f"{out}: {out.stat().st_size} bytes, sha256 {hashlib.sha256(out.read_bytes()).hexdigest()}")


if __name__ == "__main__":
    main()
