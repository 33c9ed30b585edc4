import math

import numpy as np

from uformer.restore.backends.openvino_gelu import polynomial_gelu
from uformer.restore.backends.quiet import ov


def gelu(values: list[float]) -> list[float]:
    """The polynomial, computed by OpenVINO."""
    x = ov.opset13.parameter([len(values)], np.float32)
    compiled = ov.Core().compile_model(
        ov.Model([polynomial_gelu(x)], [x]), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    return [float(value) for value in compiled(np.array(values, np.float32))[0]]


def test_is_gelu_within_1e_4() -> None:
    values = np.linspace(-10, 10, 20001).tolist()
    expected = [x * (1 + math.erf(x / math.sqrt(2))) / 2 for x in values]
    assert np.abs(np.subtract(gelu(values), expected)).max() < 1e-4


def test_is_exact_far_from_zero() -> None:
    assert gelu([-1e30, -1000, -4.5, 0, 4.5, 1000, 1e30]) == [0, 0, 0, 0, 4.5, 1000, np.float32(1e30)]
