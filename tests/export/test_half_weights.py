"""Weights stored in float16 by a graph that computes in float32."""

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper

from uformer.export.half_weights import store_half
from uformer.export.onnx_model import load


def test_large_weights_are_stored_in_half_the_size() -> None:
    rng = np.random.default_rng(0)
    weights, bias = rng.normal(size=(16, 8)).astype(np.float32), rng.normal(size=8).astype(np.float32)
    names = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, size])
        for name, size in (("x", 16), ("y", 8))
    ]
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["xw"]), helper.make_node("Add", ["xw", "b"], ["y"])],
        "test",
        names[:1],
        names[1:],
        [numpy_helper.from_array(weights, "w"), numpy_helper.from_array(bias, "b")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    store_half(model)
    checker.check_model(model)
    kinds = {each.name: each.data_type for each in model.graph.initializer}
    assert kinds == {"w.half": TensorProto.FLOAT16, "b": TensorProto.FLOAT}
    x = rng.normal(size=(3, 16)).astype(np.float32)
    wanted = x @ weights.astype(np.float16).astype(np.float32) + bias
    np.testing.assert_allclose(load(model.SerializeToString())(x), wanted, atol=1e-5)
