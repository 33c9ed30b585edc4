import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]

RESTORE = """
import json, pathlib, socket, sys, threading

calls = []
def refuse(*args, **kwargs):
    calls.append(str(args))
    raise OSError("no connections")
for name in ("connect", "connect_ex", "sendto"):
    setattr(socket.socket, name, refuse)
socket.getaddrinfo = socket.create_connection = refuse

import numpy as np
from uformer.config import UformerConfig
from uformer.layout import parameter_shapes
from uformer.restore.backends.openvino import OpenVINORunner

config = UformerConfig(embed_dim=4, depths=(1, 1, 1), num_heads=(1, 1, 1), window_size=4)
state = {key: np.zeros(shape, np.float32) for key, shape in parameter_shapes(config).items()}
backend = OpenVINORunner(config, state, height=8, width=8, cache_dir=None)
assert backend(np.zeros((1, 3, 8, 8), np.float32)).shape == (1, 3, 8, 8)
names = [name for name, module in sys.modules.items() if module is not None]
after = sorted(name for name in names if "telemetry" in name or "openvino.tools.ovc" in name)
from openvino.tools.ovc import convert_model  # the converter can still be imported, and is silent
for thread in threading.enumerate():
    if thread is not threading.current_thread():
        thread.join(5)
names = [name for name, module in sys.modules.items() if module is not None]
loud = [name for name in names if name.startswith("openvino_telemetry")]
print(json.dumps([calls, after, loud, [str(p) for p in pathlib.Path.home().rglob("*")]]))
"""


def test_no_connection_and_no_telemetry(tmp_path: Path) -> None:
    # The environment has no CI variable, which would switch the telemetry off.
    environment = {"HOME": str(tmp_path), "PATH": "", "PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        [sys.executable, "-c", RESTORE],
        capture_output=True,
        text=True,
        timeout=120,
        env=environment,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    calls, modules, loud, files = json.loads(result.stdout.splitlines()[-1])
    assert not calls
    assert not modules
    assert not loud
    assert not files


def test_the_test_would_notice(tmp_path: Path) -> None:
    """A plain import of openvino leaves traces."""
    script = "import openvino, pathlib; print(len(list(pathlib.Path.home().rglob('*'))))"
    environment = {"HOME": str(tmp_path), "PATH": ""}
    result = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=120,
        env=environment,
        check=True,
    )
    assert int(result.stdout.splitlines()[-1]) > 0
