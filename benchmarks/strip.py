"""Put pictures of one size side by side, as in the README and the model cards.

python benchmarks/strip.py OUT.jpg PICTURE PICTURE... [--crop LEFT,TOP,SIDE]

A gap of a few white pixels parts them.
"""

import argparse
from pathlib import Path

import numpy as np

from uformer.image.image import Image
from uformer.image.read import read
from uformer.image.write import write

GAP = 4  # white pixels between two pictures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("pictures", type=Path, nargs="+")
    parser.add_argument("--crop", help="left, top and side of a square, pixels")
    args = parser.parse_args()

    parts = [read(path).pixels for path in args.pictures]
    if args.crop:
        left, top, side = map(int, args.crop.split(","))
        parts = [part[top : top + side, left : left + side] for part in parts]
    gap = np.ones((len(parts[0]), GAP, 3), np.float32)
    joined = [part for picture in parts for part in (gap, picture)][1:]
    write(Image(pixels=np.concatenate(joined, axis=1)), args.out)


if __name__ == "__main__":
    main()
