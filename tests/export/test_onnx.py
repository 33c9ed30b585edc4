import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from uformer.config import UformerConfig
from uformer.export.onnx import OPSET, load
from uformer.model.uformer import Uformer


@pytest.mark.parametrize("size", [(1, 1, 1), (2, 1, 9), (1, 13, 1), (3, 8, 8), (1, 30, 17)])
def test_any_batch_height_and_width(onnx_file: tuple[Path, str], network: Uformer, size: tuple[int, int, int]) -> None:
    count, height, width = size
    image = torch.rand(count, 3, height, width)
    with torch.inference_mode():
        wanted = network(image).numpy()
    assert np.allclose(load(onnx_file[0])(image.numpy()), wanted, atol=1e-5)


def test_free_dimensions_have_names(onnx_file: tuple[Path, str]) -> None:
    session = onnxruntime.InferenceSession(onnx_file[0])
    (image,), (restored,) = session.get_inputs(), session.get_outputs()
    assert (image.name, image.type, image.shape) == ("image", "tensor(float)", ["batch", 3, "height", "width"])
    assert (restored.name, restored.type, restored.shape) == ("restored", "tensor(float)", ["batch", 3, "height", "width"])


def test_what_it_says_of_itself(onnx_file: tuple[Path, str], network: Uformer) -> None:
    model = onnx.load(onnx_file[0])
    facts = {entry.key: entry.value for entry in model.metadata_props}
    assert UformerConfig.from_json(facts["config"]) == network.config
    assert (facts["name"], facts["licence"], facts["precision"]) == ("tiny", "CC0 1.0", "fp32")
    assert len(facts["sha256"]) == 64
    assert "sRGB" in facts["input"]
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", OPSET)]
    assert json.loads(facts["config"])["window_size"] == 4


def test_no_path_of_the_machine_that_made_it(onnx_file: tuple[Path, str]) -> None:
    data = onnx_file[0].read_bytes()
    assert str(Path(__file__).parents[2]).encode() not in data
    assert b"site-packages" not in data
    assert b"stack_trace" not in data


def test_weights_are_inside(onnx_file: tuple[Path, str]) -> None:
    model = onnx.load(onnx_file[0], load_external_data=False)
    assert all(tensor.data_location != onnx.TensorProto.EXTERNAL for tensor in model.graph.initializer)
