"""`uformer devices`."""

import dataclasses
import json
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from uformer.console import console_for
from uformer.errors import OptionError, UformerError
from uformer.notices import to_stderr
from uformer.restore.backends import elsewhere
from uformer.restore.backends.accelerators import KINDS
from uformer.restore.backends.base import Weights
from uformer.restore.backends.choose import read_weights
from uformer.restore.backends.elsewhere import DeviceError
from uformer.restore.backends.exported import with_exported
from uformer.restore.backends.golden import Tile
from uformer.restore.backends.trust import judged, reference
from uformer.restore.options import BackendName, NetworkOptions

TIMED_SIDE = 512
"""Side of the tile that is timed, in pixels."""


def devices(
    *,
    time: Annotated[bool, Parameter(negative=())] = False,
    weights: str | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> None:
    """List the devices of this machine that restore images, as --device takes them.

    Each backend is asked in a process of its own, so a broken driver costs one line.

    Parameters
    ----------
    time
        Also restore a fixed image of 512x512 pixels on each device: take the time, and compare the result
        with the CPU's.
    weights
        Weights to use for --time: a name, a .safetensors file, or an .onnx file, which only onnxruntime runs.
        Other weights are exported for onnxruntime once.
    as_json
        Print JSON instead of a table.
    """
    if weights is not None and not time:
        raise OptionError("--weights: works only with --time; add --time")
    options = NetworkOptions(weights=weights)
    loaded = read_weights(options) if time else None
    found, notes = _found()
    if loaded is not None:
        _time_all(found, loaded, options)
    if as_json:
        print(json.dumps({"devices": found, "notes": notes}, indent=2))
        return
    console = console_for()
    _print(console, found, timed=time)
    for note in notes:
        console.print(note)


def _found() -> tuple[list[dict[str, Any]], list[str]]:
    """Return the devices of all backends, and one line for each backend that has no answer."""
    found, notes = [], []
    for backend in KINDS:
        try:
            found += elsewhere.list_devices(backend)
        except OptionError as missing:
            notes.append(f"{backend}: {missing}")
        except DeviceError as error:
            notes.append(f"{backend}: listing its devices {error}; its driver may be broken")
    return found, notes


def _time_all(found: list[dict[str, Any]], weights: Weights, options: NetworkOptions) -> None:
    """Add precision, seconds_per_megapixel and check to each device."""
    expected: Tile | None = None
    for_onnx = weights
    for each in found:
        each |= {"precision": None, "seconds_per_megapixel": None}
        backend: BackendName = each["backend"]
        if weights.file is not None and backend != "onnx":
            each["check"] = "not run: only onnxruntime runs .onnx files"
            continue
        here = dataclasses.replace(options, device=each["device"], backend=backend)
        try:
            if backend == "onnx":
                for_onnx = with_exported(for_onnx, "auto", to_stderr(quiet=False))
            used = for_onnx if backend == "onnx" else weights
            run = elsewhere.restore_golden(used, here, side=TIMED_SIDE, timed=True)
        except UformerError as error:
            each["check"] = str(error)
            continue
        except DeviceError as error:
            each["check"] = f"it {error}"
            continue
        if expected is None:
            expected = reference(weights, options, TIMED_SIDE)
        each["precision"] = run.precision
        each["seconds_per_megapixel"] = None if run.seconds is None else round(run.seconds, 4)
        each["check"] = judged(run, expected) or "passed"


def _print(console: Console, found: list[dict[str, Any]], *, timed: bool) -> None:
    table = Table("device", "backend", "name", "precisions", "memory", "driver")
    if timed:
        for column in ("timed in", "s / megapixel", "check"):
            table.add_column(column)
    for each in found:
        memory = each["memory"]
        cells = [
            each["device"],
            each["backend"],
            each["name"],
            ", ".join(each["precisions"]),
            "-" if memory is None else f"{memory / 1e9:.1f} GB",
            each["driver"] or "-",
        ]
        if timed:
            seconds = each["seconds_per_megapixel"]
            cells += [each["precision"] or "-", "-" if seconds is None else f"{seconds:.3g}", each["check"]]
        table.add_row(*cells)
    console.print(table)
