"""Muon for any device. torch's own always computes in bfloat16, which many CPUs only emulate, slowly."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


class Muon(torch.optim.Muon):
    """torch's Muon (Jordan et al. 2024), but orthogonalizing in float32 on a CPU, in bfloat16 elsewhere.

    Its updates are as large as AdamW's, because `lr` is multiplied by 0.2 sqrt(max(rows, columns))
    (Liu et al. 2025, section 2.2).
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """Update every matrix that has a gradient. Raises ValueError for a closure (not supported)."""
        if closure is not None:
            raise ValueError("Muon.step does not support a closure")
        for group in self.param_groups:
            for matrix in group["params"]:
                if matrix.grad is None:
                    continue
                state = self.state[matrix]
                if "momentum_buffer" not in state:
                    state["momentum_buffer"] = torch.zeros_like(matrix.grad)
                momentum = state["momentum_buffer"].lerp_(matrix.grad, 1 - group["momentum"])
                update = orthogonalize(
                    matrix.grad.lerp(momentum, group["momentum"]), group["ns_coefficients"], group["ns_steps"]
                )
                matrix.mul_(1 - group["lr"] * group["weight_decay"])
                matrix.add_(update, alpha=-group["lr"] * 0.2 * math.sqrt(max(matrix.shape)))


def orthogonalize(matrix: Tensor, coefficients: tuple[float, float, float], steps: int) -> Tensor:
    """Return an approximation of the orthogonal matrix nearest to an (M, N) matrix.

    Its singular values lie between 0.5 and 1.5. The method is `steps` Newton-Schulz iterations of degree
    five, as in torch.optim.Muon.
    """
    a, b, c = coefficients
    value = matrix.float() if matrix.device.type == "cpu" else matrix.bfloat16()
    tall = value.shape[0] > value.shape[1]
    value = value.T if tall else value
    value = value / value.norm().clamp(min=1e-7)
    for _ in range(steps):
        gram = value @ value.T
        value = torch.addmm(value, torch.addmm(gram, gram, gram, beta=b, alpha=c), value, beta=a)
    return value.T if tall else value
