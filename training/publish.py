"""Put trained weights into the package: float16, with notes of what they are.

    python training/publish.py runs/denoise/best.safetensors uformer_t.denoise "what they were trained on, how long"

Prints the sha256 that uformer/weights/registry.py and the model card must hold. Publish only what scores better:
benchmarks/quality.py takes the trained file as it is.
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
    parser.add_argument("recipe", help="a sentence, kept in the file")
    args = parser.parse_args()

    out = registry.FILES / f"{args.name}.safetensors"
    checkpoint.write_half(args.trained, out, {"name": args.name, "recipe": args.recipe})
    print(f"{out}: {out.stat().st_size} bytes, sha256 {hashlib.sha256(out.read_bytes()).hexdigest()}")


if __name__ == "__main__":
    main()
