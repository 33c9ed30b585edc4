import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from uformer.config import UformerConfig
from uformer.export.onnx_model import OPSET, load
from uformer.model.uformer import Uformer
from uformer.restore.memory import onnx_memory


@pytest.mark.parametrize("size", [(1, 1, 1), (2, 1, 9), (1, 13, 1), (3, 8, 8), (1, 30, 17)])
def test_any_batch_height_and_width(
    onnx_file: tuple[Path, str], network: Uformer, size: tuple[int, int, int]
) -> None:
    count, height, width = size
    image = torch.rand(count, 3, height, width)
    with torch.inference_mode():
        wanted = network(image).numpy()
    assert np.allclose(load(onnx_file[0])(image.numpy()), wanted, atol=1e-5)


def test_free_dimensions_have_names(onnx_file: tuple[Path, str]) -> None:
    session = onnxruntime.InferenceSession(onnx_file[0])
    (image,), (restored,) = session.get_inputs(), session.get_outputs()
    assert (image.name, image.type, image.shape) == (
        "image",
        "tensor(float)",
        ["batch", 3, "height", "width"],
    )
    assert (restored.name, restored.type, restored.shape) == (
        "restored",
        "tensor(float)",
        ["batch", 3, "height", "width"],
    )


def test_metadata(onnx_file: tuple[Path, str], network: Uformer) -> None:
    model = onnx.load(onnx_file[0])
    facts = {entry.key: entry.value for entry in model.metadata_props}
    assert UformerConfig.from_json(facts["config"]) == network.config
    assert (facts["name"], facts["licence"], facts["precision"]) == ("tiny", "CC0 1.0", "fp32")
    assert len(facts["sha256"]) == 64
    assert "sRGB" in facts["input"]
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", OPSET)]
    assert json.loads(facts["config"])["window_size"] == 4


def test_no_window_is_padded(onnx_file: tuple[Path, str]) -> None:
    """The exported network pads the image to whole windows."""
    assert "Pad" not in {node.op_type for node in onnx.load(onnx_file[0]).graph.node}


def test_no_path_of_the_machine_that_made_it(onnx_file: tuple[Path, str]) -> None:
    data = onnx_file[0].read_bytes()
    assert str(Path(__file__).parents[2]).encode() not in data
    assert b"site-packages" not in data
    assert b"stack_trace" not in data


def test_weights_are_inside(onnx_file: tuple[Path, str]) -> None:
    model = onnx.load(onnx_file[0], load_external_data=False)
    assert all(tensor.data_location != onnx.TensorProto.EXTERNAL for tensor in model.graph.initializer)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc/self/status")
def test_memory_per_pixel_is_what_restoring_needs(onnx_file: tuple[Path, str], network: Uformer) -> None:
    script = f"""
import numpy as np
from uformer.restore.backends.onnx import OnnxBackend
def peak():
    return 1024 * int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
backend, peaks = OnnxBackend({str(onnx_file[0])!r}), []
for side in (256, 512):
    backend(np.zeros((1, 3, side, side), np.float32))
    peaks.append(peak())
print((peaks[1] - peaks[0]) / (512**2 - 256**2))
"""
    root = Path(__file__).parents[2]
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=root, capture_output=True, text=True, timeout=200, check=True
    )
    assert 0.5 * float(run.stdout) < onnx_memory(network.config, 0).per_pixel < 2 * float(run.stdout)
