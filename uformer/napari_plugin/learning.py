"""Trains noise2void on the planes of a layer, in a process of its own. Nothing here imports napari.

The folder of a training holds all it needs and all it makes, so that `uformer train --resume` continues it:

images/    the planes as TIFF files
run/       the run folder of `uformer train`; run/best.safetensors are the weights
train.log  what the run printed
"""

import contextlib
import json
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from uformer import child
from uformer.errors import OptionError, TrainingError
from uformer.files import one_line
from uformer.image.value_range import ValueRange, evenly
from uformer.napari_plugin.layers import RUN, Index, Monitor, Planes, find_range, restore_planes
from uformer.notices import Notify
from uformer.restore.options import RestoreOptions
from uformer.restore.restorer import Restorer

MOST_IMAGES = 64
"""Planes that are learned from, evenly spread over the layer."""
_LOG = "train.log"
_STEPS = 1_000_000  # more than fit in any time, so that the minutes end the run
_PATIENCE = 20.0  # seconds in which a run that is asked to stop saves its state
_EVERY = 0.2  # seconds between two looks at the run


def train_and_restore(
    planes: Planes, folder: Path, minutes: float, monitor: Monitor, notify: Notify
) -> NDArray[Any]:
    """Train on the planes of a layer for some minutes, and return all of them restored.

    Raises PictureError, OptionError, TrainingError, and Stopped.
    """
    monitor.show(0, "finding the range of values")
    used = find_range(planes, "auto", notify)
    write_images(planes, used, folder / "images", monitor)
    weights = train(folder, minutes, monitor)
    monitor.show(0, "loading the trained network")
    restorer = Restorer.from_options(RestoreOptions(weights=str(weights)))
    restored = restore_planes(restorer, planes, planes.indices, monitor, notify, used)
    return restored.reshape(planes.data.shape)


def new_folder(parent: Path, layer: str) -> Path:
    """Return a folder that does not exist, named after a layer: cells-noise2void, or cells-noise2void-2."""
    name = re.sub(r"[^\w.-]+", "-", layer).strip("-.")[:60] or "layer"
    number = 1
    while True:
        folder = parent / (f"{name}-noise2void" + (f"-{number}" if number > 1 else ""))
        if not folder.exists():
            return folder
        number += 1


def write_images(planes: Planes, used: ValueRange, folder: Path, monitor: Monitor) -> None:
    """Write planes as TIFF files, as many as are learned from. Raises OptionError if they cannot be written.

    8-bit values stay. Others become 16-bit values that fill the range which restoring uses.
    """
    chosen = evenly(planes.indices, MOST_IMAGES)
    try:
        folder.mkdir(parents=True)
        for number, index in enumerate(chosen):
            monitor.show(0, f"writing plane {number + 1} of {len(chosen)}")
            tifffile.imwrite(folder / f"{number:04}.tif", _samples(planes, index, used))
    except OSError as error:
        raise OptionError(f"{folder}: {error.strerror or error}; choose another folder") from None


def _samples(planes: Planes, index: Index, used: ValueRange) -> NDArray[Any]:
    kind: type[np.unsignedinteger[Any]] = np.uint8 if planes.depth == 8 else np.uint16
    samples = np.rint(used.to_unit(planes.values(index)) * np.float32(np.iinfo(kind).max)).astype(kind)
    return samples if planes.rgb else samples[..., 0]


def command(folder: Path, minutes: float) -> list[str]:
    """Return the command that trains for some minutes in a folder that `write_images` filled."""
    return child.command(
        *("uformer", "train", "noise2void"),
        *("--data", str(folder / "images"), "--out", str(folder / RUN)),
        *("--start", "uformer_t.denoise", "--set", f"minutes={minutes:g}", "--set", f"steps={_STEPS}"),
    )


def train(folder: Path, minutes: float, monitor: Monitor) -> Path:
    """Train for some minutes and return the weights. If the user stops it, the run saves its state first.

    Raises TrainingError with the last line that the run printed, and Stopped.
    """
    log = folder / _LOG
    start = time.monotonic()
    with open(log, "wb") as output, _process(command(folder, minutes), output) as process:
        while process.poll() is None:
            spent = (time.monotonic() - start) / 60
            what = (
                f"training: {spent:.1f} of {minutes:g} min" if spent < minutes else "finishing the training"
            )
            monitor.show(min(spent / minutes, 1), what + _figures(folder))
            time.sleep(_EVERY)
    if process.returncode:
        raise TrainingError(
            _last_line(log) or f"the training ended with code {process.returncode}; see {log}"
        )
    return folder / RUN / "best.safetensors"


def summary(folder: Path) -> str:
    """Return where the weights of a finished training are, and how good they are if the run said so."""
    results = [line for line in _lines(folder / _LOG) if line.startswith("result: ")]
    weights = f"trained weights: {folder / RUN / 'best.safetensors'}"
    return "; ".join([weights, *(one_line(line, 400) for line in results[-1:])])


@contextlib.contextmanager
def _process(arguments: list[str], output: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Start a process that ends with the block, after it has saved its state if there is time."""
    process = subprocess.Popen(  # noqa: S603 - our own command
        arguments,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        env=child.environment() | {"COLUMNS": "4096"},
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _figures(folder: Path) -> str:
    """Return the last figures of a run: ", step 120, loss 0.0123"; nothing before the first ones."""
    lines = _lines(folder / RUN / "log.jsonl")
    for line in reversed(lines):
        with contextlib.suppress(ValueError):  # the run is writing this line
            found = json.loads(line)
            if "loss" in found:
                return f", step {found['step']}, loss {found['loss']:.4g}"
    return ""


def _last_line(log: Path) -> str:
    lines = [line for line in _lines(log) if line.strip()]
    return one_line(lines[-1].removeprefix("uformer: ").removeprefix("error: "), 400) if lines else ""


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
