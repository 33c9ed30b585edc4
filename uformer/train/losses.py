"""The paper's training loss, and the squares of learning from noisy targets."""

import torch
from torch import Tensor


def charbonnier(restored: Tensor, clean: Tensor, *, eps: float = 1e-3) -> Tensor:
    """Return the Charbonnier loss, the mean of sqrt((restored - clean)^2 + eps^2) over all values.

    It is a smooth version of the mean absolute difference (Wang et al., CVPR 2022, equation 7).
    """
    return ((restored - clean) ** 2 + eps**2).sqrt().mean()


def squares(restored: Tensor, target: Tensor) -> Tensor:
    """Return the mean of (restored - target)^2 over the values of the target that are not NaN.

    Of all predictions, the mean of the noisy targets has the least squares. That is the clean value, if the
    mean of the noise is zero.
    """
    known = ~target.isnan()
    difference = torch.where(known, restored - target.nan_to_num(), 0.0)
    return difference.square().sum() / known.sum()
