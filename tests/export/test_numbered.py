"""One graph for all weights of a configuration."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from tests.networks import TINY, build
from uformer.errors import ExportError
from uformer.export import numbered
from uformer.model.uformer import Uformer


def test_numbers_become_the_parameters_that_they_count() -> None:
    model = build(TINY)
    first = next(iter(model.parameters()))  # (4, 3, 3, 3)
    numbers = numbered.FIRST + np.arange(first.numel(), dtype=np.float32)
    constants: dict[str, NDArray[Any]] = {
        "turned": numbers.reshape(4, 27).T,
        "gathered": numbers[[5, 5, 2]],
        "scale": np.array([0.25], np.float32),
        "shape": np.array([numbered.FIRST], np.int64),
    }
    stored = [numpy_helper.from_array(values, name) for name, values in constants.items()]
    graph = helper.make_graph([], "test", [], [], stored)
    made = numbered.with_weights(helper.make_model(graph), model)
    found = {each.name: numpy_helper.to_array(each) for each in made.graph.initializer}
    weights = first.detach().numpy().ravel()
    assert np.array_equal(found["turned"], weights.reshape(4, 27).T)
    assert np.array_equal(found["gathered"], weights[[5, 5, 2]])
    assert np.array_equal(found["scale"], constants["scale"])
    assert np.array_equal(found["shape"], constants["shape"])
    assert np.array_equal(numpy_helper.to_array(graph.initializer[0]), constants["turned"]), (
        "a copy is filled"
    )


def test_too_many_parameters_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numbered, "LAST", numbered.FIRST + 1000)
    with pytest.raises(ExportError, match="the network has more than 1,000 parameters"):
        numbered.numbered_graph(TINY)


@pytest.mark.slow
@torch.inference_mode()
def test_the_graph_equals_the_direct_export(onnx_file: tuple[Path, str], network: Uformer) -> None:
    direct = onnx.load(onnx_file[0])
    graph = numbered.numbered_graph(network.config)
    assert numbered.numbered_graph(network.config) is graph, "other weights use the same graph"
    made = numbered.with_weights(graph, network)
    assert list(made.graph.node) == list(direct.graph.node)
    assert len(made.graph.initializer) == len(direct.graph.initializer)
    for found, wanted in zip(made.graph.initializer, direct.graph.initializer, strict=True):
        assert found.name == wanted.name
        assert np.array_equal(numpy_helper.to_array(found), numpy_helper.to_array(wanted)), found.name
