"""Export of the network to ONNX."""

import contextlib
import logging
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import ModelProto
from onnx.checker import check_model

from uformer.errors import ExportError
from uformer.export.facts import NAMES
from uformer.processors import thread_limit
from uformer.restore.backends.onnx import FATAL, errors

ERRORS = errors(onnxruntime)
OPSET = 18
"""ONNX operator set; needs onnxruntime 1.14 or OpenVINO 2023.0."""
DIMENSIONS = {0: "batch", 2: "height", 3: "width"}


def from_program(program: Any, *, opset: int = OPSET, names: tuple[str, str] = NAMES) -> ModelProto:
    """Convert a torch.export program (`torch_program.trace`) to an ONNX model, which contains all weights.

    `names`: those of its input and its output.
    """
    import torch  # noqa: PLC0415 - reading ONNX files does not need torch

    with _quiet():
        made = torch.onnx.export(
            program,
            (),
            dynamo=True,
            opset_version=opset,
            input_names=[names[0]],
            output_names=[names[1]],
            verbose=False,
        )
    if made is None:  # for the type checker: torch returns None only when it writes a file itself
        raise ExportError("torch.onnx.export returned no model")
    model: ModelProto = made.model_proto
    _strip(model)
    _name_dimensions(model)
    return model


def write(path: Path, model: ModelProto, facts: Mapping[str, str]) -> None:
    """Check a model with ONNX's checker, and write it to a .onnx file with the facts as metadata."""
    describe(model, facts)
    path.write_bytes(model.SerializeToString(deterministic=True))


def describe(model: ModelProto, facts: Mapping[str, str]) -> None:
    """Check a model with ONNX's checker, and add the facts to it as metadata."""
    onnx.helper.set_model_props(model, dict(facts))
    model.doc_string = facts["input"]
    check_model(model)


def load(model: Path | bytes) -> Any:
    """Return a model, or a file written by `write`, as a function of arrays."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = FATAL
    options.intra_op_num_threads = thread_limit() or 0  # 0 leaves the choice to onnxruntime
    session = onnxruntime.InferenceSession(
        model if isinstance(model, bytes) else str(model), options, providers=["CPUExecutionProvider"]
    )
    name = session.get_inputs()[0].name

    def run(images: NDArray[np.float32]) -> NDArray[np.float32]:
        try:
            (restored,) = session.run(None, {name: images})
        except ERRORS as error:
            raise RuntimeError(str(error)) from None
        answer: NDArray[np.float32] = restored
        return answer

    return run


def _strip(model: ModelProto) -> None:
    """Remove the exporter's notes at each node, which contain Python stacks with paths of this machine."""
    graph = model.graph
    for item in (
        model,
        graph,
        *graph.node,
        *graph.value_info,
        *graph.input,
        *graph.output,
        *graph.initializer,
    ):
        del item.metadata_props[:]
        item.doc_string = ""


def _name_dimensions(model: ModelProto) -> None:
    """Give free dimensions meaningful names instead of s77 and the like."""
    graph = model.graph
    shape = graph.input[0].type.tensor_type.shape.dim
    names = {shape[axis].dim_param: name for axis, name in DIMENSIONS.items()}
    for value in (*graph.input, *graph.output):
        for dimension in value.type.tensor_type.shape.dim:
            if dimension.HasField("dim_param"):
                dimension.dim_param = names.get(dimension.dim_param, dimension.dim_param)
    del graph.value_info[:]  # it uses the old names, and shapes can be inferred again


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter's messages about torchvision and torch's internal deprecation warnings."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
