"""The paper's training loss, the squares of learning from noisy targets, and decibels."""

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


def decibels(restored: Tensor, clean: Tensor, *, eps: float = 1e-3) -> Tensor:
    """Return the negative PSNR in dB, as a mean over the patches of a batch, (B, C, H, W), where white is 1.

    It is 10 log10(mean((restored - clean)^2) + eps^2) of each patch. All patches count the same, whether
    their noise is weak or strong; in the other losses, strong noise counts more. `eps` limits the weight of
    patches that are restored almost without error: those above -20 log10(eps) dB count less. NAFNet is
    trained with such a loss (Chen et al., ECCV 2022).
    """
    errors = (restored - clean).square().flatten(1).mean(1)
    return 10 * (errors + eps**2).log10().mean()
