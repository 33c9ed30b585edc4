"""Export of the network to OpenVINO: an .xml file, and a .bin file with the weights beside it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uformer.files import one_line
from uformer.restore.backends.quiet import ov

SECTION = "uformer"
"""Section of the model's rt_info that holds the metadata."""


def from_onnx(model: bytes) -> Any:
    """Convert a serialized ONNX model to an openvino.Model."""
    return ov.Core().read_model(model, b"")


def write(path: Path, model: Any, facts: Mapping[str, str], *, half: bool) -> None:
    """Write `path`, which ends in .xml, and a .bin beside it; `half` stores the weights in float16.

    The runtime chooses the precision of the computation. Raises OSError if the files cannot be written.
    """
    for key, value in facts.items():
        model.set_rt_info(value, [SECTION, key])
    try:
        ov.save_model(model, str(path), compress_to_fp16=half)
    except RuntimeError as error:
        raise OSError(f"OpenVINO: {one_line(error)}; is the disk full?") from None


def load(path: Path) -> Any:
    """Return a file written by `write` as a function of arrays, computed in float32."""
    compiled = ov.Core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def run(images: NDArray[np.float32]) -> NDArray[np.float32]:
        restored: NDArray[np.float32] = compiled(images)[0].copy()
        return restored

    return run
