"""Window attention: windows, the mask of shifted windows, relative position bias, W-MSA.

Legend: B batch, H W tokens, C channels, M window side, N = M^2 tokens of a window, n windows of one map,
K keys (N, or 2N where decoder and encoder are joined), h heads, d = C / h.
"""

import torch
from torch import Tensor, nn

MASKED = -100.0  # the authors' value: exp(-100) is nothing beside any score, and float16 holds it


def partition_windows(tokens: Tensor, side: int) -> Tensor:
    """Cut (B, H, W, C) into (B, n, N, C) windows of side x side tokens, row by row; side divides H and W."""
    b, h, w, c = tokens.shape
    grid = tokens.view(b, h // side, side, w // side, side, c).transpose(2, 3)
    return grid.reshape(b, (h // side) * (w // side), side * side, c)


def merge_windows(windows: Tensor, side: int, height: int, width: int) -> Tensor:
    """Undo `partition_windows`: (B, n, N, C) back to (B, H, W, C)."""
    b, c = windows.shape[0], windows.shape[-1]
    grid = windows.view(b, height // side, width // side, side, side, c).transpose(2, 3)
    return grid.reshape(b, height, width, c)


def window_mask(height: int, width: int, side: int, shift: int, *, device: torch.device, dtype: torch.dtype) -> Tensor:
    """(n, N, N) to add to the scores of the windows of a map, which the cyclic shift or filling up brought together what is apart in.

    Tokens from opposite borders do not see each other, and no token sees those that fill up the windows at the bottom and right.
    """
    rows, columns = (torch.arange(length, device=device) < shift for length in (height, width))
    regions = (2 * rows.long()[:, None] + columns.long())[None, :, :, None]  # (1, H, W, 1)
    filled = fill_windows(regions, side, value=-1)
    of_token = partition_windows(torch.roll(filled, (-shift, -shift), (1, 2)), side)[0, :, :, 0]  # (n, N)
    apart = of_token[:, None, :] != of_token[:, :, None]  # (n, N, N)
    return apart.to(dtype) * MASKED


def fill_windows(tokens: Tensor, side: int, *, value: float = 0) -> Tensor:
    """Extend (B, H, W, C) at the bottom and right to whole windows."""
    height, width = tokens.shape[1:3]
    return nn.functional.pad(tokens, (0, 0, 0, -width % side, 0, -height % side), value=value)


def relative_position_index(side: int) -> Tensor:
    """(N, N): for each pair of a window's tokens, the row of the bias table that belongs to their offset."""
    at = torch.stack(torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")).flatten(1)  # (2, N)
    offset = at[:, :, None] - at[:, None, :] + side - 1  # (2, N, N), each in [0, 2M - 2]
    return offset[0] * (2 * side - 1) + offset[1]


class WindowAttention(nn.Module):
    """W-MSA (CVPR 2022, equations 2 and 3): multi-head attention inside windows with relative position bias.

    Keys and values come from the tokens themselves, from `memory` (skip `cross`), or, with `joint`, from
    [tokens; memory] (skip `concat_cross`). Each half of joint keys gets the same bias and mask, unless `interleaved_keys`.
    """

    relative_position_index: Tensor

    def __init__(
        self,
        dim: int,
        *,
        num_heads: int,
        window_size: int,
        qkv_bias: bool = True,
        joint: bool = False,
        interleaved_keys: bool = False,
    ) -> None:
        super().__init__()
        self.interleaved_keys = interleaved_keys
        self.num_heads = num_heads
        self.scale = (dim // num_heads) ** -0.5
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * window_size - 1) ** 2, num_heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        self.register_buffer("relative_position_index", relative_position_index(window_size), persistent=False)
        self.to_q = nn.Linear(dim, dim, bias=qkv_bias)
        self.to_kv = nn.Linear(dim, 2 * dim, bias=qkv_bias)
        self.memory_to_kv = nn.Linear(dim, 2 * dim, bias=qkv_bias) if joint else None
        self.proj = nn.Linear(dim, dim)

    def position_bias(self) -> Tensor:
        """(h, N, N) to add to the scores."""
        bias: Tensor = self.relative_position_bias_table[self.relative_position_index]  # (N, N, h)
        return bias.permute(2, 0, 1)

    def forward(self, windows: Tensor, memory: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """Attend inside each of (B, n, N, C) windows; `memory` is the encoder's windows, same shape; mask (n, N, N)."""
        b, n, tokens, c = windows.shape

        def heads(x: Tensor) -> Tensor:  # (B, n, K, C) -> (B n, h, K, d)
            return x.view(b * n, x.shape[2], self.num_heads, c // self.num_heads).transpose(1, 2)

        q = heads(self.to_q(windows) * self.scale)
        if memory is None or self.memory_to_kv is not None:
            kv = self.to_kv(windows)
        else:
            kv = self.to_kv(memory)
        if memory is not None and self.memory_to_kv is not None:
            kv = torch.cat([kv, self.memory_to_kv(memory)], dim=2)  # (B, n, 2N, 2C)
        k, v = (heads(x) for x in kv.chunk(2, dim=-1))

        bias = self.position_bias()  # (h, N, N)
        if mask is not None:
            bias = bias + mask[:, None]  # (n, h, N, N)
        if self.memory_to_kv is not None:
            bias = bias.repeat_interleave(2, dim=-1) if self.interleaved_keys else torch.cat([bias, bias], dim=-1)  # (.., N, K)
        scores = q @ k.transpose(-2, -1)  # (B n, h, N, K)
        bias = bias.to(scores.dtype)
        scores = scores + bias if mask is None else (scores.unflatten(0, (b, n)) + bias).flatten(0, 1)
        attention = scores.softmax(dim=-1)
        out: Tensor = self.proj((attention.to(v.dtype) @ v).transpose(1, 2).reshape(b, n, tokens, c))
        return out


class GlobalAttention(nn.Module):
    """Attention of every token of a map to a learned set of tokens, the cross-modulator (the authors' 2022 code)."""

    def __init__(self, dim: int, *, num_heads: int, qkv_bias: bool = True) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.scale = (dim // num_heads) ** -0.5
        self.to_q = nn.Linear(dim, dim, bias=qkv_bias)
        self.to_kv = nn.Linear(dim, 2 * dim, bias=qkv_bias)
        self.proj = nn.Linear(dim, dim)

    def forward(self, tokens: Tensor, memory: Tensor) -> Tensor:
        """(B, H, W, C) tokens attend to (K, C) memory."""
        b, h, w, c = tokens.shape
        q = (self.to_q(tokens) * self.scale).view(b, h * w, self.num_heads, c // self.num_heads).transpose(1, 2)  # (B, h, HW, d)
        kv = self.to_kv(memory).view(-1, 2, self.num_heads, c // self.num_heads).permute(1, 2, 0, 3)  # (2, h, K, d)
        attention = (q @ kv[0].transpose(-2, -1)).softmax(dim=-1)  # (B, h, HW, K)
        out: Tensor = self.proj((attention.to(kv.dtype) @ kv[1]).transpose(1, 2).reshape(b, h, w, c))
        return out
