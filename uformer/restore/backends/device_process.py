"""The main program of the process that touches a device first: `python -m ... FOLDER`, see `elsewhere`."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from uformer.errors import UformerError
from uformer.restore.backends.choose import choose, read_weights
from uformer.restore.backends.golden import golden_tile
from uformer.restore.backends.inventory import devices_of
from uformer.restore.options import NetworkOptions

_RUNS = 3


def work(folder: Path) -> dict[str, Any]:
    """Do the job in a folder and return the answer."""
    job = json.loads((folder / "job.json").read_bytes())
    if "list" in job:
        return {"devices": devices_of(job["list"])}
    options = NetworkOptions(**job["options"])
    weights = read_weights(options)
    side, multiple = job["side"], weights.config.multiple
    side = -(-side // multiple) * multiple
    runner = choose(weights, options).make().for_size(side, side)
    tiles = golden_tile(weights.config.in_channels, side)[None]
    restored = runner(tiles)
    np.save(folder / "tile.npy", restored[0])
    seconds = None
    if job["timed"]:
        times = []
        for _ in range(_RUNS):
            start = time.perf_counter()
            runner(tiles)
            times.append(time.perf_counter() - start)
        seconds = min(times) / (side * side / 1e6)
    return {"precision": runner.precision, "seconds": seconds}


def main(folder: Path) -> None:
    """Write the answer to the job in a folder; an error of the user's becomes an answer, too."""
    try:
        answer = work(folder)
    except UformerError as error:
        answer = {"refused": str(error)}
    (folder / "answer.json").write_text(json.dumps(answer), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
