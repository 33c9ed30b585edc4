"""Decides whether a device is trusted with a network: it has to restore the golden tile as the CPU does.

Some drivers return wrong values without an error, crash or hang. So before a device, driver, library,
precision and network are used together for the first time, another process restores the golden tile there.
The result is remembered.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from pathlib import Path

import numpy as np

from uformer.files import sha256_of
from uformer.restore.backends import cache, drivers, elsewhere
from uformer.restore.backends.base import Weights
from uformer.restore.backends.choose import Choice, choose
from uformer.restore.backends.elsewhere import DeviceError, Run
from uformer.restore.backends.golden import SIDE, Tile, fault, golden_tile_for
from uformer.restore.options import NetworkOptions, Precision

PASSED_DAYS, FAILED_DAYS = 90.0, 1.0
"""How long a result is remembered. Passing expires because a driver may change without a trace."""

_SUFFIX = ".checked"


def trusted(weights: Weights, options: NetworkOptions, choice: Choice) -> tuple[Choice, str | None]:
    """Return the choice and None; if its device fails the check, the CPU and one line that says so.

    The first check of a device takes a few seconds to minutes; the CPU is never checked. Raises OptionError
    if the device or precision is not available.
    """
    device = choice.device
    if device == "auto":  # torch chooses
        from uformer.restore.backends.pytorch import choose_device  # noqa: PLC0415 - torch is optional

        device = choose_device("auto")
    if device == "cpu":
        return choice, None
    options = dataclasses.replace(options, device=device)
    key = _key(choice.name, options, weights)
    failure = _remembered(key)
    if failure is None:
        failure = check(weights, options)
        _remember(key, failure)
    if not failure:
        return choice, None
    warning = f"the device {device} failed its check: {failure}; the CPU does the work"
    return choose(weights, _on_cpu(options)), warning


def check(weights: Weights, options: NetworkOptions) -> str:
    """Check the device of the options and return what is wrong, or "" if nothing is.

    Raises OptionError if the device or precision is not available.
    """
    try:
        run = elsewhere.restore_golden(weights, options)
    except DeviceError as error:
        return f"it {error}"
    return judged(run, reference(weights, options))


def reference(weights: Weights, options: NetworkOptions, side: int = SIDE) -> Tile:
    """Return the golden tile as the CPU restores it in this process: in fp32, or as an .onnx file says."""
    tiles = golden_tile_for(weights.config, side)[None]
    options = _on_cpu(options, "fp32" if weights.file is None else "auto")
    restored: Tile = choose(weights, options).make().for_size(*tiles.shape[2:])(tiles)[0]
    return restored


def judged(run: Run, expected: Tile) -> str:
    """Return what is wrong with a device's run, given the CPU's result; "" if nothing is."""
    if not np.isfinite(expected).all():
        return ""  # the weights are damaged; the network says so when it restores an image
    return fault(run.tile, expected, run.precision) or ""


def _on_cpu(options: NetworkOptions, precision: Precision = "auto") -> NetworkOptions:
    return dataclasses.replace(options, backend="auto", device="cpu", precision=precision)


def _key(backend: str, options: NetworkOptions, weights: Weights) -> str:
    """Return a hash of everything that the result of the check depends on."""
    about = {
        "backend": backend,
        "device": options.device,
        "precision": options.precision,
        "libraries": drivers.library_versions(backend),
        "drivers": drivers.driver_versions(),
        "config": weights.config.to_json(),
        "file": None if weights.file is None else sha256_of(weights.file),
        "exported": None if weights.exported is None else hashlib.sha256(weights.exported).hexdigest(),
    }
    return cache.key_of(about, weights.state)


def _folder() -> Path | None:
    folder = cache.default_cache_dir()
    return None if folder is None else folder / "checked"


def _remembered(key: str) -> str | None:
    """Return the remembered failure, "" for a device that passed, or None if it has to be checked."""
    folder = _folder()
    blob = None if folder is None else cache.load(folder, key, _SUFFIX)
    if blob is None:
        return None
    known = json.loads(blob)
    days = (time.time() - known["time"]) / 86400
    fresh = 0 <= days < (FAILED_DAYS if known["failure"] else PASSED_DAYS)
    return str(known["failure"]) if fresh else None


def _remember(key: str, failure: str) -> None:
    folder = _folder()
    if folder is not None:
        record = json.dumps({"failure": failure, "time": time.time()})
        cache.store(folder, key, record.encode(), _SUFFIX)
