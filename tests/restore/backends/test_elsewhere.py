"""Work in a separate process: whatever a driver does there, the caller gets a result or one line."""

import dataclasses
import time
from pathlib import Path

import numpy as np
import pytest

from tests.networks import TINY
from uformer.errors import OptionError
from uformer.layout import parameter_shapes
from uformer.restore.backends import elsewhere
from uformer.restore.backends.base import Weights
from uformer.restore.backends.elsewhere import DeviceError, list_devices, restore_golden
from uformer.restore.backends.golden import golden_tile
from uformer.restore.options import NetworkOptions

WEIGHTS = Weights(TINY, {key: np.zeros(shape, np.float32) for key, shape in parameter_shapes(TINY).items()})
"""A network that returns its input."""


def driver(monkeypatch: pytest.MonkeyPatch, folder: Path, program: str) -> None:
    """Let a program take the place of the process that loads a driver."""
    (folder / "stand_in_driver.py").write_text("import json, os, pathlib, signal, sys, time\n" + program)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(elsewhere, "PROGRAM", "stand_in_driver")


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", r"^crashed \(SIGKILL\)$"),
        ("os._exit(3)", r"^failed \(exit code 3\)$"),
        (
            "print('noise'); raise RuntimeError('[GPU] no kernel')",
            r"^failed \(RuntimeError: \[GPU\] no kernel\)$",
        ),
        ("pass", "^ended without an answer$"),
        ("pathlib.Path(sys.argv[1], 'answer.json').write_text('{')", "^ended without an answer$"),
        ("pathlib.Path(sys.argv[1], 'answer.json').write_text('{}')", "^ended without an answer$"),
    ],
)
def test_a_driver_that_crashes_or_fails(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, program: str, said: str
) -> None:
    driver(monkeypatch, tmp_path, program)
    with pytest.raises(DeviceError, match=said):
        list_devices("openvino")


def test_a_driver_that_hangs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    driver(monkeypatch, tmp_path, "signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)")
    monkeypatch.setattr(elsewhere, "CHECK_SECONDS", 0.3)
    start = time.monotonic()
    with pytest.raises(DeviceError, match="^did not answer within 0.3 s$"):
        restore_golden(WEIGHTS, NetworkOptions())
    assert time.monotonic() - start < 20


def test_an_error_of_the_driver_is_a_failure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    answer = "pathlib.Path(sys.argv[1], 'answer.json').write_text(json.dumps({'failed': 'ze error'}))"
    driver(monkeypatch, tmp_path, answer)
    with pytest.raises(DeviceError, match=r"^failed \(ze error\)$"):
        list_devices("openvino")


def test_an_error_of_the_user_stays_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    answer = "pathlib.Path(sys.argv[1], 'answer.json').write_text(json.dumps({'refused': 'no such device'}))"
    driver(monkeypatch, tmp_path, answer)
    with pytest.raises(OptionError, match="^no such device$"):
        list_devices("openvino")


def test_exported_weights_are_passed_as_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = """
folder = pathlib.Path(sys.argv[1])
file = pathlib.Path(json.loads((folder / "job.json").read_text())["options"]["weights"])
answer = {"refused": f"{file.parent == folder} {file.name}: {file.read_text()}"}
(folder / "answer.json").write_text(json.dumps(answer))
"""
    driver(monkeypatch, tmp_path, program)
    exported = dataclasses.replace(WEIGHTS, exported=b"a graph")
    with pytest.raises(OptionError, match="^True weights.onnx: a graph$"):
        restore_golden(exported, NetworkOptions(device="coreml"))


def test_the_real_process_restores_the_tile_and_takes_the_time() -> None:
    options = NetworkOptions(backend="openvino", device="cpu", precision="fp32", threads=1)
    run = restore_golden(WEIGHTS, options, side=30, timed=True)
    np.testing.assert_allclose(run.tile, golden_tile(3, 32), atol=1e-6)
    assert run.precision == "fp32"
    assert run.seconds is not None
    assert 0 < run.seconds < 1000
