"""The network as an OpenVINO file: .xml, with its weights in a .bin beside it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uformer.files import one_line
from uformer.restore.backends.quiet import ov

SECTION = "uformer"
"""Part of the model's rt_info that says what it is."""


def from_onnx(model: bytes) -> Any:
    """The openvino.Model of a serialized ONNX model."""
    return ov.Core().read_model(model, b"")


def write(path: Path, model: Any, facts: Mapping[str, str], *, half: bool) -> None:
    """Write `path`, which ends in .xml, and a .bin beside it; weights in float16 where `half`.

    In what numbers it computes, the program chooses that runs it. Raises OSError where it cannot be written.
    """
    for key, value in facts.items():
        model.set_rt_info(value, [SECTION, key])
    try:
        ov.save_model(model, str(path), compress_to_fp16=half)
    except RuntimeError as error:
        raise OSError(f"OpenVINO: {one_line(error)}; is the disk full?") from None


def load(path: Path) -> Any:
    """A file of `write` as a function of arrays, in float32."""
    compiled = ov.Core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def run(images: NDArray[np.float32]) -> NDArray[np.float32]:
        restored: NDArray[np.float32] = compiled(images)[0].copy()
        return restored

    return run
