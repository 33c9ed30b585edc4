"""Put images of the same size side by side, as in the README and the model cards.

python benchmarks/strip.py OUT.jpg IMAGE IMAGE... [--crop LEFT,TOP,SIDE] [--columns N]

A white gap separates them. With --columns, they fill several rows.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from uformer.image.image import Image
from uformer.image.read import read
from uformer.image.write import write

Pixels = NDArray[np.float32]
GAP = 4  # white pixels between two images


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("images", type=Path, nargs="+")
    parser.add_argument("--crop", help="left, top and side of a square, in pixels")
    parser.add_argument("--columns", type=int, help="images in a row (default: all)")
    args = parser.parse_args()

    parts = [read(path).pixels for path in args.images]
    if args.crop:
        left, top, side = map(int, args.crop.split(","))
        parts = [part[top : top + side, left : left + side] for part in parts]
    columns = args.columns or len(parts)
    rows = [join(parts[start : start + columns], axis=1) for start in range(0, len(parts), columns)]
    write(Image(pixels=join(rows, axis=0)), args.out)


def join(parts: list[Pixels], *, axis: int) -> Pixels:
    """Join images beside (axis 1) or below (axis 0) each other, with a gap between them."""
    shape = list(parts[0].shape)
    shape[axis] = GAP
    gap = np.ones(shape, np.float32)
    return np.concatenate([part for image in parts for part in (gap, image)][1:], axis=axis)


if __name__ == "__main__":
    main()
