"""GELU as a polynomial, for CPUs on which OpenVINO's own takes too long.

GELU is x Φ(x), where Φ is the distribution function of the normal distribution. Φ(x) - 1/2 is x times a
function of x², which a polynomial replaces. The sum is then limited to [0, 1], so that the result is exactly
x or 0 where |x| is 4.5 or more. It differs from GELU by less than 1e-4; the usual tanh form differs by up to
5e-4.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from numpy.polynomial import Chebyshev, Polynomial

from uformer.restore.backends.quiet import ov

Node = Any  # an openvino.Node

ops = ov.opset13

_EDGE = 4.2
"""The polynomial replaces the function between -_EDGE and _EDGE; outside, it leaves [0, 1]."""
_DEGREE = 8
"""Even, so that x P(x²) grows with x beyond _EDGE."""


def polynomial_gelu(x: Node) -> Node:
    """Build GELU of each element."""
    square = ops.multiply(x, x)
    *lower, ratio = map(_scalar, _coefficients())
    for coefficient in reversed(lower):
        ratio = ops.add(ops.multiply(ratio, square), coefficient)
    share = ops.add(ops.multiply(x, ratio), _scalar(0.5))
    return ops.multiply(x, ops.clamp(share, 0, 1))


@functools.cache
def _coefficients() -> tuple[float, ...]:
    """Return those of the polynomial of x² that approximates (Φ(x) - 1/2) / x, the constant one first."""

    def ratio(square: float) -> float:
        return math.erf(math.sqrt(square / 2)) / (2 * math.sqrt(square))

    fitted = Chebyshev.interpolate(np.vectorize(ratio), _DEGREE, domain=[0, _EDGE**2])
    return tuple(float(value) for value in fitted.convert(kind=Polynomial, domain=[-1, 1]).coef)


def _scalar(value: float) -> Node:
    return ops.constant(np.float32(value))
