"""Stores the weights of an ONNX model in float16, for half the size; it still computes in float32."""

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

LEAST = 64
"""Weights with fewer values stay in float32."""


def store_half(model: ModelProto) -> None:
    """Replace each large float32 weight by a float16 one and a Cast, which runtimes compute only once.

    Unlike a network that computes in float16, the result runs everywhere and cannot overflow.
    """
    casts = []
    for weight in model.graph.initializer:
        values = numpy_helper.to_array(weight)
        if weight.data_type != TensorProto.FLOAT or values.size < LEAST:
            continue
        name = weight.name
        weight.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
        casts.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
