"""Put pictures of one size side by side, as in the README and the model cards.

python benchmarks/strip.py OUT.jpg PICTURE PICTURE... [--crop LEFT,TOP,SIDE] [--columns N]

A gap of a few white pixels parts them; with --columns they fill several rows.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from uformer.image.image import Image
from uformer.image.read import read
from uformer.image.write import write

Pixels = NDArray[np.float32]
GAP = 4  # white pixels between two pictures


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("pictures", type=Path, nargs="+")
    parser.add_argument("--crop", help="left, top and side of a square, pixels")
    parser.add_argument("--columns", type=int, help="pictures in a row; all of them by default")
    args = parser.parse_args()

    parts = [read(path).pixels for path in args.pictures]
    if args.crop:
        left, top, side = map(int, args.crop.split(","))
        parts = [part[top : top + side, left : left + side] for part in parts]
    columns = args.columns or len(parts)
    rows = [join(parts[start : start + columns], axis=1) for start in range(0, len(parts), columns)]
    write(Image(pixels=join(rows, axis=0)), args.out)


def join(parts: list[Pixels], *, axis: int) -> Pixels:
    """Pictures beside (axis 1) or below (axis 0) one another, a gap between."""
    shape = list(parts[0].shape)
    shape[axis] = GAP
    gap = np.ones(shape, np.float32)
    return np.concatenate([part for picture in parts for part in (gap, picture)][1:], axis=axis)


if __name__ == "__main__":
    main()
