"""An ONNX graph that stands in for an exported network."""

from typing import Any

from onnx import TensorProto, helper

from tests.networks import TINY
from uformer.restore.backends.onnx import FORMAT

FACTS = {"format": FORMAT, "config": TINY.to_json(), "precision": "fp32"}


def darker(
    facts: dict[str, str] | None = None,
    *,
    op: str = "Mul",
    output: str = "restored",
    dtype: int = TensorProto.FLOAT,
) -> Any:
    """A model that halves its input."""
    shape: list[str | int | None] = ["batch", 3, "height", "width"]
    half = helper.make_tensor("half", TensorProto.FLOAT, [1], [0.5])
    node = helper.make_node(op, ["image", "half"], [output])
    image, restored = (
        helper.make_tensor_value_info("image", dtype, shape),
        helper.make_tensor_value_info(output, dtype, shape),
    )
    model = helper.make_model(
        helper.make_graph([node], "darker", [image], [restored], [half]),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=10,
    )
    helper.set_model_props(model, FACTS if facts is None else facts)
    return model
