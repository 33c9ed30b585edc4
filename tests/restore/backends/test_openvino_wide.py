import numpy as np

from uformer.restore.backends.openvino_wide import wide
from uformer.restore.backends.quiet import ov


def test_marks_and_returns_the_node() -> None:
    node = ov.opset13.relu(ov.opset13.parameter([1], np.float32))
    assert wide(node) is node
    assert "DisablePrecisionConversion_0" in node.get_rt_info()
