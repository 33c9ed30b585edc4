"""Measure the CPU time that restoring one image takes outside the network.

    python benchmarks/outside.py photo.nef out.tif

The network is replaced by one that only scales its tiles, so the figures are those of reading (with LibRaw in
a child process), of cutting and blending tiles with the tone lock, and of writing. Other programs change CPU
time less than elapsed time.
"""

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from uformer.image.image import Pixels
from uformer.image.read import header, read
from uformer.image.write import write
from uformer.notices import Notify, ignore
from uformer.restore.network import Network
from uformer.restore.options import RestoreOptions
from uformer.restore.restorer import Restorer

T = TypeVar("T")


class Idle(Network):
    """A network that scales its tiles and does nothing else."""

    def run(self, tile: Pixels, notify: Notify) -> Pixels:
        del notify
        changed: Pixels = tile * np.float32(0.98)
        return changed


def seconds() -> NDArray[np.float64]:
    """Return the CPU time of this process, and that of its children that have ended."""
    times = os.times()
    return np.array([times.user + times.system, times.children_user + times.children_system])


def measured(name: str, work: Callable[[], T]) -> T:
    """Do some work and print its CPU time."""
    before = seconds()
    result = work()
    own, children = seconds() - before
    print(f"{name:8} {own + children:5.2f} CPU s, {children:.2f} of them in child processes", flush=True)
    return result


def main() -> None:
    """Print a line for each step, then their sum."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("image", type=Path)
    parser.add_argument("output", type=Path)
    given = parser.parse_args()
    options = RestoreOptions(backend="openvino")
    restorer = Restorer(Idle.load(options.network), options)
    before = seconds()
    measured("header", lambda: header(given.image))
    image = measured("read", lambda: read(given.image, notify=ignore))
    restored = measured("restore", lambda: restorer.restore_image(image, notify=ignore))
    measured("write", lambda: write(restored, given.output, notify=ignore))
    print(f"{'all':8} {sum(seconds() - before):5.2f} CPU s, {image.width} x {image.height} pixels")


if __name__ == "__main__":
    main()
