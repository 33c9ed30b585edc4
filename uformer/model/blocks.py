"""The LeWin block: window attention, then a feed-forward with a depth-wise convolution.

Legend: B batch, H W height and width of a map, C channels, N tokens of a window, n windows of a map,
D channels inside the feed-forward.
"""

import torch
from torch import Tensor, nn

from uformer.model.attention import GlobalAttention, WindowAttention
from uformer.model.windows import Windows
from uformer.structure import BlockPlan


class DropPath(nn.Module):
    """Stochastic depth (Huang et al. 2016): in training, drop a sample's branch with probability `rate`."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return x
        keep = torch.rand(x.shape[0], *[1] * (x.ndim - 1), device=x.device) >= self.rate
        return x * keep.to(x.dtype) / (1 - self.rate)


class LeFF(nn.Module):
    """Locally-enhanced feed-forward (CVPR 2022, section 3.2): an MLP with a depth-wise convolution."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(dim, hidden)
        self.dwconv = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden)
        self.linear2 = nn.Linear(hidden, dim)
        self.act = nn.GELU()

    def forward(self, tokens: Tensor) -> Tensor:  # (B, H, W, C)
        x = self.act(self.linear1(tokens)).permute(0, 3, 1, 2)  # (B, D, H, W)
        x = self.act(self.dwconv(x)).permute(0, 2, 3, 1)  # (B, H, W, D)
        out: Tensor = self.linear2(x)  # (B, H, W, C)
        return out


class Mlp(nn.Module):
    """Plain feed-forward: linear, GELU, linear."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(dim, hidden)
        self.linear2 = nn.Linear(hidden, dim)
        self.act = nn.GELU()

    def forward(self, tokens: Tensor) -> Tensor:  # (B, H, W, C)
        out: Tensor = self.linear2(self.act(self.linear1(tokens)))
        return out


class LeWinBlock(nn.Module):
    """Locally-enhanced window block (CVPR 2022, equation 1), for all three skip schemes.

    With memory "joint" in its plan, the attention sees [tokens; skip] instead of the tokens alone. With
    "cross", a second attention follows the first and sees the skip.
    """

    def __init__(self, plan: BlockPlan) -> None:
        super().__init__()
        dim, window_tokens = plan.dim, plan.window_size**2
        self.shift = plan.shift

        self.cross_modulator = nn.Parameter(torch.randn(window_tokens, dim)) if plan.cross_modulator else None
        if plan.cross_modulator:
            self.norm_cross_modulator = nn.LayerNorm(dim)  # the authors never use it; kept for their files
            self.cross_modulator_attn = GlobalAttention(plan)
        self.norm_attn = nn.LayerNorm(dim)
        self.modulator = nn.Parameter(torch.randn(window_tokens, dim)) if plan.modulator else None
        self.attn = WindowAttention(plan, joint=plan.memory == "joint")
        self.norm_memory = nn.LayerNorm(dim) if plan.memory else None
        self.norm_cross = nn.LayerNorm(dim) if plan.memory == "cross" else None
        self.cross_attn = WindowAttention(plan) if plan.memory == "cross" else None
        self.norm_ff = nn.LayerNorm(dim)
        self.feed_forward = {"leff": LeFF, "mlp": Mlp}[plan.feed_forward](dim, plan.hidden)
        self.drop_path = DropPath(plan.drop_path)

    def forward(self, tokens: Tensor, windows: Windows, skip: Tensor | None = None) -> Tensor:
        """(B, H, W, C) to the same shape; `skip` (B, H, W, C) is the encoder's; `windows` divide the map."""
        if self.cross_modulator is not None:
            tokens = tokens + self.cross_modulator_attn(tokens, self.cross_modulator)

        x = windows.cut(self.norm_attn(tokens))  # (B, n, N, C)
        if self.modulator is not None:
            x = x + self.modulator.to(x.dtype)
        memory = None if self.norm_memory is None else windows.cut(self.norm_memory(skip))  # (B, n, N, C)
        x = self.attn(x, None if self.cross_attn is not None else memory, windows.mask)
        tokens = tokens + self.drop_path(windows.merge(x))  # (B, H, W, C)

        if self.norm_cross is not None and self.cross_attn is not None:
            x = self.cross_attn(windows.cut(self.norm_cross(tokens)), memory, windows.mask)  # (B, n, N, C)
            tokens = tokens + self.drop_path(windows.merge(x))  # (B, H, W, C)

        out: Tensor = tokens + self.drop_path(self.feed_forward(self.norm_ff(tokens)))
        return out
