"""Attention: inside windows (W-MSA), and to learned tokens.

Legend: B batch, H W height and width of a map, C channels, N tokens of a window, n windows of a map,
K keys (N, or 2N where decoder and encoder are joined), h heads, d = C / h.
"""

import itertools
from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uformer.structure import BlockPlan, relative_position_index

MOST_WINDOWS = 65535
"""Windows (or windows times heads) for one call of PyTorch's attention: CUDA's kernels start a block for each
along the second or third side of a grid, and fail with more (https://github.com/pytorch/pytorch/issues/142228).
"""


class WindowAttention(nn.Module):
    """W-MSA (CVPR 2022, equations 2 and 3): multi-head attention inside windows with relative position bias.

    Keys and values come from the tokens themselves; from `memory`, if given (skip `cross`); or, with `joint`,
    from [tokens; memory] (skip `concat_cross`). Both halves of joint keys get the same bias and mask, unless
    the plan says `interleaved_keys`.
    """

    relative_position_index: Tensor

    def __init__(self, plan: BlockPlan, *, joint: bool = False) -> None:
        super().__init__()
        dim, side = plan.dim, plan.window_size
        self.num_heads = plan.num_heads
        self.scale = (dim // plan.num_heads) ** -0.5
        self.interleaved_keys = plan.interleaved_keys
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * side - 1) ** 2, plan.num_heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        index = torch.tensor(relative_position_index(side))  # (N, N)
        self.register_buffer("relative_position_index", index, persistent=False)
        self.to_q = nn.Linear(dim, dim, bias=plan.qkv_bias)
        self.to_kv = nn.Linear(dim, 2 * dim, bias=plan.qkv_bias)
        self.memory_to_kv = nn.Linear(dim, 2 * dim, bias=plan.qkv_bias) if joint else None
        self.proj = nn.Linear(dim, dim)

    def forward(self, windows: Tensor, memory: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """(B, n, N, C) to the same shape; `memory` (B, n, N, C) is the encoder's; `mask` is (n, N, N)."""
        b, n, tokens, c = windows.shape

        q = self.to_q(windows) * self.scale  # (B, n, N, C)
        if memory is None:
            kv = self.to_kv(windows)  # (B, n, K, 2C)
        elif self.memory_to_kv is None:
            kv = self.to_kv(memory)
        else:
            kv = torch.cat([self.to_kv(windows), self.memory_to_kv(memory)], dim=2)
        k, v = kv.chunk(2, dim=-1)  # (B, n, K, C) each
        q, k, v = (self.heads(x) for x in (q, k, v))  # (B n, h, N or K, d)

        bias = self.bias(mask)  # (h, N, K) or (n, h, N, K)
        attend = attend_fused if fuses(windows.device.type) else attend_plainly
        out = attend(q, k, v, bias, (b, n))  # (B n, h, N, d)

        attended: Tensor = self.proj(out.transpose(1, 2).reshape(b, n, tokens, c))
        return attended

    def heads(self, x: Tensor) -> Tensor:
        """(B, n, K, C) to (B n, h, K, d)."""
        b, n, keys, c = x.shape
        return x.view(b * n, keys, self.num_heads, c // self.num_heads).transpose(1, 2)

    def bias(self, mask: Tensor | None = None) -> Tensor:
        """Position bias and mask, to add to the scores: (h, N, K), with a mask (n, h, N, K)."""
        bias: Tensor = self.relative_position_bias_table[self.relative_position_index]  # (N, N, h)
        bias = bias.permute(2, 0, 1)  # (h, N, N)
        if mask is not None:
            bias = bias + mask[:, None]  # (n, h, N, N)
        if self.memory_to_kv is None:
            return bias
        if self.interleaved_keys:
            return bias.repeat_interleave(2, dim=-1)  # (.., N, 2N)
        return torch.cat([bias, bias], dim=-1)  # (.., N, 2N)


def fuses(device: str) -> bool:
    """Whether a kernel should compute attention without storing the scores, which GPUs read back slowly.

    Not on a CPU: there the kernel does not support a learned bias, and its fallback is slower than products.
    Not for training either: the gradient of the bias would need the scores.
    """
    return device in ("cuda", "mps", "xpu") and not torch.is_grad_enabled()


def attend_plainly(q: Tensor, k: Tensor, v: Tensor, bias: Tensor, maps: tuple[int, int]) -> Tensor:
    """softmax(q k^T + bias) v: (B n, h, N, d). `bias` is (h, N, K) or (n, h, N, K), and `maps` is (B, n)."""
    scores = q @ k.transpose(-2, -1)  # (B n, h, N, K)
    bias = bias.to(scores.dtype)
    scores = scores + bias if bias.dim() == 3 else (scores.unflatten(0, maps) + bias).flatten(0, 1)
    return scores.softmax(dim=-1).to(v.dtype) @ v


def attend_fused(q: Tensor, k: Tensor, v: Tensor, bias: Tensor, maps: tuple[int, int]) -> Tensor:
    """The same as `attend_plainly`, in a kernel that never holds all scores, where PyTorch has one."""
    bias = bias.to(q.dtype)
    shape, split = q.shape, 0
    biases: Iterable[Tensor] = itertools.repeat(bias)
    if bias.dim() == 4:
        q, k, v = (x.unflatten(0, maps).flatten(1, 2) for x in (q, k, v))  # (B, n h, N, d): windows as heads
        split, biases = 1, bias.flatten(0, 1).split(MOST_WINDOWS)
    parts = (x.split(MOST_WINDOWS, split) for x in (q, k, v))
    out = [
        F.scaled_dot_product_attention(some_q, some_k, some_v, attn_mask=some_bias, scale=1.0)
        for some_q, some_k, some_v, some_bias in zip(*parts, biases, strict=False)
    ]
    return (out[0] if len(out) == 1 else torch.cat(out, split)).reshape(shape)


class GlobalAttention(nn.Module):
    """Attention of every token of a map to a learned set of tokens, the cross-modulator."""

    def __init__(self, plan: BlockPlan) -> None:
        super().__init__()
        dim = plan.dim
        self.num_heads = plan.num_heads
        self.to_q = nn.Linear(dim, dim, bias=plan.qkv_bias)
        self.to_kv = nn.Linear(dim, 2 * dim, bias=plan.qkv_bias)
        self.proj = nn.Linear(dim, dim)

    def forward(self, tokens: Tensor, memory: Tensor) -> Tensor:
        """(B, H, W, C) tokens attend to (K, C) memory."""
        b, h, w, c = tokens.shape
        d = c // self.num_heads
        q = self.to_q(tokens).view(b, h * w, self.num_heads, d).transpose(1, 2)  # (B, h, H W, d)
        kv = self.to_kv(memory).view(1, -1, 2, self.num_heads, d)  # (1, K, 2, h, d)
        k, v = kv.permute(2, 0, 3, 1, 4).expand(-1, b, -1, -1, -1)  # (B, h, K, d) each
        out = F.scaled_dot_product_attention(q, k, v)  # (B, h, H W, d)
        attended: Tensor = self.proj(out.transpose(1, 2).reshape(b, h, w, c))
        return attended
