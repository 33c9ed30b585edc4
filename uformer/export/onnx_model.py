"""The network as an ONNX file."""

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
from uformer.restore.backends.onnx import FATAL, errors

ERRORS = errors(onnxruntime)
OPSET = 18
"""Version of the operators; onnxruntime has them from 1.14 on, OpenVINO from 2023.0 on."""
DIMENSIONS = {0: "batch", 2: "height", 3: "width"}


def from_program(program: Any) -> ModelProto:
    """The ONNX model of a torch.export program (`torch_program.trace`): input `image`, output `restored`, no weight outside."""
    import torch  # noqa: PLC0415 - onnx files are read without torch

    with _quiet():
        made = torch.onnx.export(
            program,
            (),
            dynamo=True,
            opset_version=OPSET,
            input_names=["image"],
            output_names=["restored"],
            verbose=False,
        )
    if made is None:  # as with a file to write to; for the type checker
        raise ExportError("torch.onnx.export gave no model")
    model: ModelProto = made.model_proto
    _strip(model)
    _name_dimensions(model)
    return model


def write(path: Path, model: ModelProto, facts: Mapping[str, str]) -> None:
    """Write a .onnx file with the facts in its metadata; the model is checked against ONNX's rules."""
    onnx.helper.set_model_props(model, dict(facts))
    model.doc_string = facts["input"]
    check_model(model)
    path.write_bytes(model.SerializeToString(deterministic=True))


def load(path: Path) -> Any:
    """A file of `write` as a function of arrays."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = FATAL
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def run(images: NDArray[np.float32]) -> NDArray[np.float32]:
        try:
            (restored,) = session.run(["restored"], {"image": images})
        except ERRORS as error:
            raise RuntimeError(str(error)) from None
        answer: NDArray[np.float32] = restored
        return answer

    return run


def _strip(model: ModelProto) -> None:
    """Without what the exporter notes at each node: its Python stack, with the paths of the machine that made it."""
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
    """Free dimensions are called what they are, not s77."""
    graph = model.graph
    shape = graph.input[0].type.tensor_type.shape.dim
    names = {shape[axis].dim_param: name for axis, name in DIMENSIONS.items()}
    for value in (*graph.input, *graph.output):
        for dimension in value.type.tensor_type.shape.dim:
            if dimension.HasField("dim_param"):
                dimension.dim_param = names.get(dimension.dim_param, dimension.dim_param)
    del graph.value_info[:]  # whose names are the old ones; whoever wants shapes infers them


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's remarks on torchvision, and the deprecations inside torch."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
