"""Weights for onnxruntime: `uformer export` runs on first use, and its file is kept in the cache.

The export runs in a process of its own. It needs torch and much more memory than restoring, and this package
imports no other command.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import pkgutil
import signal
import tempfile
import time
from pathlib import Path

from uformer import child
from uformer.alone import Busy, alone
from uformer.errors import ExportError, OptionError
from uformer.files import one_line
from uformer.notices import Notify
from uformer.restore.backends import cache
from uformer.restore.backends.base import Weights
from uformer.restore.backends.drivers import library_versions
from uformer.version import __version__
from uformer.weights import checkpoint

PROGRAM = "uformer"
SOURCES = (
    *("export/facts.py", "export/onnx_model.py", "export/torch_program.py"),
    *("model/attention.py", "model/blocks.py", "model/padding.py", "model/uformer.py", "model/windows.py"),
    "structure.py",
)
"""The code that an exported file depends on."""

_PRECISIONS = ("fp32", "fp16")
_MODULES = ("torch", "onnx", "onnxruntime", "onnxscript")
_SUFFIX = ".exported"
_POLL = 0.5  # seconds between two looks at whether another process has finished the same export


def with_exported(weights: Weights, precision: str, notify: Notify) -> Weights:
    """Return the weights with `exported` set, from the cache or exported now, which takes about a minute.

    Weights that are an .onnx file, or have `exported` already, are returned as they are. `precision`: auto is
    fp32. `notify` is told before an export. Raises OptionError for another precision than fp32 and fp16 or if
    a package for the export is missing, ExportError if the export fails.
    """
    if weights.file is not None or weights.exported is not None:
        return weights
    precision = "fp32" if precision == "auto" else precision
    if precision not in _PRECISIONS:
        raise OptionError(f"precision: onnxruntime runs {' or '.join(_PRECISIONS)}, not {precision!r}")
    folder, key = cache.default_cache_dir(), _key(weights, precision)
    if folder is None:
        return dataclasses.replace(weights, exported=_export(weights, precision, notify))
    folder = folder / "exported"
    content = cache.load(folder, key, _SUFFIX)
    if content is None:
        with _turn(folder, key):
            content = cache.load(folder, key, _SUFFIX)  # another process may have just exported them
            if content is None:
                content = _export(weights, precision, notify)
                cache.store(folder, key, content, _SUFFIX)
    return dataclasses.replace(weights, exported=content)


def _key(weights: Weights, precision: str) -> str:
    about = {"version": __version__, "precision": precision, "config": weights.config.to_json()}
    sources = (pkgutil.get_data("uformer", source) or b"" for source in SOURCES)
    return cache.key_of(about, weights.state, sources)


def _turn(folder: Path, key: str) -> contextlib.ExitStack:
    """Wait until nobody else exports these weights, and return the lock that makes others wait.

    Where there are no locks, several processes may export the same weights; the last one's file stays.
    """
    lock = contextlib.ExitStack()
    with contextlib.suppress(OSError):  # a folder that cannot be written has no lock
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        while True:
            try:
                lock.enter_context(alone(folder / f"{key}.lock", "the weights are being exported"))
                break
            except Busy:
                time.sleep(_POLL)
    return lock


def _export(weights: Weights, precision: str, notify: Notify) -> bytes:
    """Return the file that `uformer export` writes, which it has compared with the network."""
    _check_packages()
    notify("exporting the weights to ONNX for onnxruntime; this takes about a minute, once")
    with tempfile.TemporaryDirectory(prefix="uformer-export-") as name:
        source, target, printed = (
            Path(name) / each for each in ("weights.safetensors", "weights.onnx", "printed.txt")
        )
        checkpoint.write(source, weights.config, weights.state)
        words = ("export", str(source), "--out", str(target), "--precision", precision)
        with open(printed, "wb") as output:
            code = child.run(child.command(PROGRAM, *words), output)
        if code:
            text = printed.read_text(encoding="utf-8", errors="replace")
            raise ExportError(f"the weights cannot be exported for onnxruntime: {_reason(code, text)}")
        return target.read_bytes()


def _check_packages() -> None:
    """Raise OptionError, with the command that installs them, if a package for the export is missing."""
    missing = [module for module in _MODULES if importlib.util.find_spec(module) is None]
    if not missing:
        return
    # The extra would install onnxruntime over onnxruntime-gpu and the like, which share a folder.
    another = any(text.startswith("onnxruntime-") for text in library_versions("onnx"))
    packages = " ".join(missing) if another else '"uformer[export]"'
    raise OptionError(
        f"{missing[0]} is not installed; it exports the weights for onnxruntime; run: pip install {packages}"
    )


def _reason(code: int, printed: str) -> str:
    if code < 0:
        return f"the export crashed ({signal.Signals(-code).name})"
    lines = printed.strip().splitlines()
    return one_line(lines[-1].removeprefix("uformer: error: ") if lines else f"exit code {code}")
