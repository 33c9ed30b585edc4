"""Muon for any device: torch's optimizer always computes in bfloat16, which many CPUs emulate, and then slowly."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


class Muon(torch.optim.Muon):
    """torch's Muon (Jordan et al. 2024), which orthogonalises in float32 on a CPU and in bfloat16 on a GPU.

    Its updates have the size of AdamW's (Liu et al. 2025, section 2.2): `lr` is scaled by 0.2 sqrt(max(rows, columns)).
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """Update every matrix that has a gradient. Raises ValueError for a closure, which this optimizer does not take."""
        if closure is not None:
            raise ValueError("Muon.step takes no closure")
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
    """The nearest orthogonal matrix to (M, N), about: its singular values lie between 0.5 and 1.5.

    Newton-Schulz iterations of degree five, as torch.optim.Muon runs them.
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
