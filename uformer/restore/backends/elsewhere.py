"""Runs work on a device in a separate process, because a driver may crash or hang.

The two processes share a folder: the caller writes job.json (and a file of weights), the other process
(`device_process`) writes answer.json and tile.npy. Whatever a driver prints cannot disturb them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from uformer import child
from uformer.errors import OptionError
from uformer.files import one_line
from uformer.restore.backends.base import Weights
from uformer.restore.backends.golden import SIDE, Tile
from uformer.restore.options import NetworkOptions
from uformer.weights import checkpoint

PROGRAM = "uformer.restore.backends.device_process"
CHECK_SECONDS = 300.0
"""Time limit for the golden tile: the driver may compile the network for minutes."""
LIST_SECONDS = 60.0


class DeviceError(Exception):
    """The other process crashed, hung or failed. The message continues the sentence "The device ..."."""


@dataclass(frozen=True)
class Run:
    """What a device did with the golden tile."""

    tile: Tile
    """The restored tile (C, h, w), not clipped."""
    precision: str
    seconds: float | None
    """Seconds per megapixel, if the time was asked for."""


def restore_golden(
    weights: Weights, options: NetworkOptions, *, side: int = SIDE, timed: bool = False
) -> Run:
    """Restore the golden tile on the device that the options name, in a separate process.

    Raises DeviceError if that fails, OptionError if the device or precision is not available.
    """
    with tempfile.TemporaryDirectory(prefix="uformer-check-") as name:
        folder = Path(name)
        path = weights.file
        if weights.exported is not None:
            path = folder / "weights.onnx"
            path.write_bytes(weights.exported)
        elif path is None:
            path = folder / "weights.safetensors"
            checkpoint.write(path, weights.config, weights.state)
        named = dataclasses.replace(options, weights=str(path.resolve()))
        job = {"options": dataclasses.asdict(named), "side": side, "timed": timed}
        answer = _run(job, folder, CHECK_SECONDS)
        with _readable():
            tile = np.load(folder / "tile.npy", allow_pickle=False)
            return Run(tile, str(answer["precision"]), answer["seconds"])


def list_devices(backend: str) -> list[dict[str, Any]]:
    """Return the devices of a backend (see `inventory`), found in a separate process. Errors: see above."""
    with tempfile.TemporaryDirectory(prefix="uformer-devices-") as name:
        answer = _run({"list": backend}, Path(name), LIST_SECONDS)
        with _readable():
            return list(answer["devices"])


def _run(job: dict[str, Any], folder: Path, seconds: float) -> dict[str, Any]:
    """Run the other process on a job and return its answer."""
    (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
    printed = folder / "printed.txt"
    with open(printed, "wb") as output:
        try:
            code = child.run(child.command(PROGRAM, str(folder)), output, seconds=seconds)
        except OSError as error:
            raise DeviceError(f"could not be checked in a separate process ({error.strerror})") from None
        except subprocess.TimeoutExpired:
            raise DeviceError(f"did not answer within {seconds:g} s") from None
    if code < 0:
        raise DeviceError(f"crashed ({signal.Signals(-code).name})")
    if code:
        lines = printed.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        raise DeviceError(f"failed ({one_line(lines[-1] if lines else f'exit code {code}')})")
    with _readable():
        answer: dict[str, Any] = json.loads((folder / "answer.json").read_bytes())
    if "failed" in answer:
        raise DeviceError(f"failed ({one_line(answer['failed'])})")
    if "refused" in answer:
        raise OptionError(str(answer["refused"]))
    return answer


@contextlib.contextmanager
def _readable() -> Any:
    """Turn an answer that is missing or damaged into a DeviceError."""
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, EOFError):
        raise DeviceError("ended without an answer") from None
