"""The LeWin block: window attention, then a feed-forward with a depth-wise convolution in it.

Legend as in attention.py; D hidden channels of the feed-forward.
"""

import torch
from torch import Tensor, nn

from uformer.config import FeedForward
from uformer.model.attention import GlobalAttention, WindowAttention, fill_windows, merge_windows, partition_windows


class DropPath(nn.Module):
    """Stochastic depth (Huang et al. 2016): in training, drop a sample's whole branch with probability `rate`."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return x
        keep = torch.rand(x.shape[0], *[1] * (x.ndim - 1), device=x.device) >= self.rate
        return x * keep.to(x.dtype) / (1 - self.rate)


class LeFF(nn.Module):
    """Locally-enhanced feed-forward (CVPR 2022, section 3.2): linear, GELU, 3 x 3 depth-wise convolution, GELU, linear."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(dim, hidden)
        self.dwconv = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden)
        self.linear2 = nn.Linear(hidden, dim)
        self.act = nn.GELU()

    def forward(self, tokens: Tensor) -> Tensor:  # (B, H, W, C)
        x = self.act(self.linear1(tokens)).permute(0, 3, 1, 2)  # (B, D, H, W)
        x = self.act(self.dwconv(x)).permute(0, 2, 3, 1)  # (B, H, W, D)
        out: Tensor = self.linear2(x)
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
    """Locally-enhanced window block (CVPR 2022, equation 1) for all three skip schemes.

    `memory`: None is self-attention alone; "cross" adds a second attention, to the encoder's feature, after
    it; "joint" is one attention to [decoder; encoder] in its place.
    """

    def __init__(
        self,
        dim: int,
        *,
        num_heads: int,
        window_size: int,
        shift: int,
        mlp_ratio: float = 4.0,
        qkv_bias: bool = True,
        drop_path: float = 0.0,
        feed_forward: FeedForward = "leff",
        memory: str | None = None,
        interleaved_keys: bool = False,
        modulator: bool = False,
        cross_modulator: bool = False,
    ) -> None:
        super().__init__()
        self.window_size = window_size
        self.shift = shift

        def attention(joint: bool = False) -> WindowAttention:
            return WindowAttention(
                dim,
                num_heads=num_heads,
                window_size=window_size,
                qkv_bias=qkv_bias,
                joint=joint,
                interleaved_keys=interleaved_keys,
            )

        self.cross_modulator = nn.Parameter(torch.randn(window_size**2, dim)) if cross_modulator else None
        if cross_modulator:
            self.norm_cross_modulator = nn.LayerNorm(dim)  # computed and never used by the authors, so without effect; kept for their files
            self.cross_modulator_attn = GlobalAttention(dim, num_heads=num_heads, qkv_bias=qkv_bias)
        self.norm_attn = nn.LayerNorm(dim)
        self.modulator = nn.Parameter(torch.randn(window_size**2, dim)) if modulator else None
        self.attn = attention(joint=memory == "joint")
        self.norm_memory = nn.LayerNorm(dim) if memory else None
        self.norm_cross = nn.LayerNorm(dim) if memory == "cross" else None
        self.cross_attn = attention() if memory == "cross" else None
        self.norm_ff = nn.LayerNorm(dim)
        self.feed_forward = {"leff": LeFF, "mlp": Mlp}[feed_forward](dim, int(dim * mlp_ratio))
        self.drop_path = DropPath(drop_path)

    def to_windows(self, tokens: Tensor, *, fill: bool = False) -> Tensor:  # (B, H, W, C) -> (B, n, N, C)
        if fill:
            tokens = fill_windows(tokens, self.window_size)
        if self.shift:
            tokens = torch.roll(tokens, (-self.shift, -self.shift), (1, 2))
        return partition_windows(tokens, self.window_size)

    def to_map(self, windows: Tensor, height: int, width: int, *, fill: bool = False) -> Tensor:  # (B, n, N, C) -> (B, H, W, C)
        side = self.window_size
        whole = (height + -height % side, width + -width % side) if fill else (height, width)
        tokens = merge_windows(windows, side, *whole)
        if self.shift:
            tokens = torch.roll(tokens, (self.shift, self.shift), (1, 2))
        return tokens[:, :height, :width] if fill else tokens

    def forward(self, tokens: Tensor, memory: Tensor | None, mask: Tensor | None, fill: bool = False) -> Tensor:
        """(B, H, W, C) to the same; `memory` is the encoder's feature, same shape; `mask` as of `window_mask`.

        `fill`: H and W need not be multiples of the window's side; the windows at the bottom and right are filled up with tokens that
        `mask` hides.
        """
        h, w = tokens.shape[1:3]
        if self.cross_modulator is not None:
            tokens = tokens + self.cross_modulator_attn(tokens, self.cross_modulator)

        windows = self.to_windows(self.norm_attn(tokens), fill=fill)
        if self.modulator is not None:
            windows = windows + self.modulator.to(windows.dtype)
        memory_windows = self.to_windows(self.norm_memory(memory), fill=fill) if self.norm_memory is not None else None
        if self.cross_attn is None or self.norm_cross is None:
            tokens = tokens + self.drop_path(self.to_map(self.attn(windows, memory_windows, mask), h, w, fill=fill))
        else:
            tokens = tokens + self.drop_path(self.to_map(self.attn(windows, None, mask), h, w, fill=fill))
            windows = self.to_windows(self.norm_cross(tokens), fill=fill)
            tokens = tokens + self.drop_path(self.to_map(self.cross_attn(windows, memory_windows, mask), h, w, fill=fill))
        out: Tensor = tokens + self.drop_path(self.feed_forward(self.norm_ff(tokens)))
        return out
