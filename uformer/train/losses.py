"""The paper's training loss."""

from torch import Tensor


def charbonnier(restored: Tensor, clean: Tensor, *, eps: float = 1e-3) -> Tensor:
    """Return the Charbonnier loss, the mean of sqrt((restored - clean)^2 + eps^2) over all values.

    It is a smooth version of the mean absolute difference (Wang et al., CVPR 2022, equation 7).
    """
    return ((restored - clean) ** 2 + eps**2).sqrt().mean()
