"""The main program of the process that touches a device first: `python -m ... FOLDER`, see `elsewhere`."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from uformer.errors import PictureError, UformerError
from uformer.restore.backends.base import reason
from uformer.restore.backends.choose import choose, read_weights
from uformer.restore.backends.golden import golden_tile_for
from uformer.restore.backends.inventory import devices_of
from uformer.restore.options import NetworkOptions

_RUNS, _ENOUGH_SECONDS = 3, 5.0
"""A device is timed over this many runs, or fewer if they take this long."""


def work(folder: Path) -> dict[str, Any]:
    """Do the job in a folder and return the answer."""
    job = json.loads((folder / "job.json").read_bytes())
    if "list" in job:
        return {"devices": devices_of(job["list"])}
    options = NetworkOptions(**job["options"])
    weights = read_weights(options)
    tiles = golden_tile_for(weights.config, job["side"])[None]
    runner = choose(weights, options).make().for_size(*tiles.shape[2:])
    restored = runner(tiles)
    np.save(folder / "tile.npy", restored[0])
    seconds = None
    if job["timed"]:
        times: list[float] = []
        while len(times) < _RUNS and sum(times) < _ENOUGH_SECONDS:
            start = time.perf_counter()
            runner(tiles)
            times.append(time.perf_counter() - start)
        seconds = min(times) / (tiles[0, 0].size / 1e6)
    return {"precision": runner.precision, "seconds": seconds}


def main(folder: Path) -> None:
    """Write the answer to the job in a folder; an error becomes an answer, too."""
    try:
        answer = work(folder)
    except PictureError as error:
        answer = {"failed": reason(error.__cause__ or error)}
    except UformerError as error:  # the device, the precision or the weights are not there
        answer = {"refused": str(error)}
    (folder / "answer.json").write_text(json.dumps(answer), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
