"""One ONNX graph for all weights of a configuration, because torch's exporter is slow.

The exporter transposes matrices and gathers position biases, so names do not say where each parameter is in
the graph. Therefore this module exports a network in which every parameter is a number of its own, counted
from FIRST, and then replaces each number in the graph by the parameter that it counts.
"""

import functools

import numpy as np
import torch
from onnx import ModelProto, TensorProto, numpy_helper

from uformer.config import UformerConfig
from uformer.errors import ExportError
from uformer.export import onnx_model, torch_program
from uformer.model.uformer import Uformer

FIRST = 2**22
"""Larger than every constant of the network."""
LAST = 2**24
"""float32 holds all integers up to here."""


@functools.lru_cache(maxsize=1)
def numbered_graph(config: UformerConfig) -> ModelProto:
    """Return the graph of a network whose parameters are numbers; `with_weights` replaces them.

    Raises ExportError if the network has more parameters than there are numbers.
    """
    model = Uformer(config).eval()
    number = FIRST
    for parameter in model.parameters():
        end = number + parameter.numel()
        if end > LAST:
            raise ExportError(f"the network has more than {LAST - FIRST:,} parameters")
        parameter.data = torch.arange(number, end, dtype=torch.float32).reshape(parameter.shape)
        number = end
    return onnx_model.from_program(torch_program.trace(model))


def with_weights(graph: ModelProto, model: Uformer) -> ModelProto:
    """Return a copy of a numbered graph with the parameters of a network of the same configuration."""
    parameters = torch.cat([parameter.detach().ravel() for parameter in model.parameters()]).numpy()
    made = ModelProto()
    made.CopyFrom(graph)
    for weight in made.graph.initializer:
        numbers = numpy_helper.to_array(weight)
        if weight.data_type == TensorProto.FLOAT and numbers.min() >= FIRST:
            values = parameters[numbers.astype(np.int64) - FIRST]
            weight.CopyFrom(numpy_helper.from_array(values, weight.name))
    return made
