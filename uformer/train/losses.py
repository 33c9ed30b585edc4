"""The loss that the paper trains with."""

from torch import Tensor


def charbonnier(restored: Tensor, clean: Tensor, *, eps: float = 1e-3) -> Tensor:
    """Mean of sqrt((restored - clean)^2 + eps^2) over all values (CVPR 2022, equation 7): |difference|, rounded off at 0."""
    return ((restored - clean) ** 2 + eps**2).sqrt().mean()
