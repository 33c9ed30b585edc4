"""Networks for browsers."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from tests.export.conftest import reused_graph
from tests.web.conftest import in_node, needs_node
from uformer.errors import ExportError
from uformer.export import browser, onnx_model


@pytest.mark.slow
def test_the_file_agrees_with_the_network(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.onnx"
    with reused_graph():
        made = browser.write(path, folder / "tiny.safetensors")
    assert max(each.largest for each in made.agreements) < 1 / 255
    model = onnx.load(path)
    stored = sum(
        4 * len(each.raw_data) for each in model.graph.initializer if each.data_type == onnx.TensorProto.FLOAT
    )
    assert stored < 0.2 * path.stat().st_size
    answer = onnx_model.load(path)(browser.probe(3, made.about.config.multiple)).ravel()[:: browser.STEP]
    np.testing.assert_allclose(answer, made.answer, atol=1 / 255)
    load = onnx_model.load
    monkeypatch.setattr(onnx_model, "load", lambda file: lambda images: load(file)(images) + 0.1)
    with reused_graph(), pytest.raises(ExportError, match="differs from the network"):
        browser.write(path, folder / "tiny.safetensors")


@needs_node
def test_javascript_computes_the_same_probe(tmp_path: Path) -> None:
    script = 'import { probe } from "./network.js"; answer([...probe(128)]);'
    assert np.array_equal(np.float32(in_node(tmp_path, script, None)), browser.probe(3, 128).ravel())
