"""A mark that keeps nodes of an OpenVINO graph in float32."""

from __future__ import annotations

import functools
from typing import Any

from uformer.restore.backends.quiet import ov

Node = Any  # an openvino.Node


def wide(node: Node) -> Node:
    """Keep a node in float32 even if the graph runs in a lower precision.

    This applies to all nodes of the residual stream, from the first convolution to the last. On real noisy
    images, bfloat16 throughout differs from float32 by more than one 8-bit level; with a float32 residual
    stream, by less.
    """
    for key, value in _wide_marks():
        node.set_rt_info(value, key)
    return node


_MARKED_IR = """<?xml version="1.0"?><net name="marked" version="11"><layers>
<layer id="0" name="a" type="Parameter" version="opset1"><data shape="1" element_type="f32"/>
  <output><port id="0" precision="FP32"><dim>1</dim></port></output></layer>
<layer id="1" name="b" type="Relu" version="opset1"><rt_info>
  <attribute name="DisablePrecisionConversion" version="0" value="dynamic:f16"/></rt_info>
  <input><port id="0"><dim>1</dim></port></input>
  <output><port id="1" precision="FP32"><dim>1</dim></port></output></layer>
<layer id="2" name="c" type="Result" version="opset1"><input><port id="0"><dim>1</dim></port></input></layer>
</layers><edges>
<edge from-layer="0" from-port="0" to-layer="1" to-port="0"/>
<edge from-layer="1" from-port="1" to-layer="2" to-port="0"/>
</edges></net>"""
"""A model whose Relu carries the mark. Python can copy it but not make it. OpenVINO obeys it since 2026.4."""


@functools.cache
def _wide_marks() -> list[tuple[str, Any]]:
    model = ov.Core().read_model(_MARKED_IR.encode(), b"")
    relu = next(node for node in model.get_ops() if node.get_type_name() == "Relu")
    return list(relu.get_rt_info().items())
