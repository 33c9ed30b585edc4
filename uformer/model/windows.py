"""The windows of a map of tokens: cut them out, merge them, and mask pairs that must not interact.

Legend: B batch, H W height and width of the map, C channels, M window side, N = M^2 tokens of a window,
n windows of the map.
"""

import torch
from torch import Tensor
from torch.nn.functional import pad

from uformer.model.padding import jit_traces
from uformer.structure import MASKED


class Windows:
    """How a map is divided into windows of side x side tokens, for one cyclic shift.

    H and W need not be multiples of the side: padding completes the windows at the bottom and right.
    """

    mask: Tensor | None
    """(n, N, N), added to the attention scores; None if every token may see its whole window.

    It hides padding, and token pairs that share a window only because of the cyclic shift.
    """

    def __init__(self, tokens: Tensor, *, side: int, shift: int = 0) -> None:
        """Windows for a map shaped like `tokens` (B, H, W, C); the mask gets their dtype and device."""
        self.height, self.width = tokens.shape[1:3]
        self.side, self.shift = side, shift
        bottom, right = -self.height % side, -self.width % side  # padding, in tokens
        # Uformer pads the image for traces, so windows need no padding, and a trace must not test for it.
        self.padded = not jit_traces() and (bottom != 0 or right != 0)
        self.bottom, self.right = (bottom, right) if self.padded else (0, 0)
        self.mask = self._mask(tokens) if shift or self.padded else None

    def cut(self, tokens: Tensor) -> Tensor:
        """(B, H, W, C) to windows (B, n, N, C), row by row."""
        if self.padded:
            tokens = pad(tokens, (0, 0, 0, self.right, 0, self.bottom))
        if self.shift:
            tokens = torch.roll(tokens, (-self.shift, -self.shift), (1, 2))
        side = self.side
        b, h, w, c = tokens.shape
        grid = tokens.view(b, h // side, side, w // side, side, c)
        grid = grid.transpose(2, 3)  # (B, H / M, W / M, M, M, C)
        return grid.reshape(b, (h // side) * (w // side), side * side, c)

    def merge(self, windows: Tensor) -> Tensor:
        """Undo `cut`: (B, n, N, C) to (B, H, W, C)."""
        side = self.side
        b, c = windows.shape[0], windows.shape[-1]
        h, w = self.height + self.bottom, self.width + self.right
        grid = windows.view(b, h // side, w // side, side, side, c)
        tokens = grid.transpose(2, 3).reshape(b, h, w, c)
        if self.shift:
            tokens = torch.roll(tokens, (self.shift, self.shift), (1, 2))
        return tokens[:, : self.height, : self.width] if self.padded else tokens

    def _mask(self, tokens: Tensor) -> Tensor:
        # Number the regions that the shift separates, from 1 on; `cut` pads with 0, which is a region of its
        # own.
        rows = torch.arange(self.height, device=tokens.device) < self.shift
        columns = torch.arange(self.width, device=tokens.device) < self.shift
        regions = 1 + 2 * rows.long()[:, None] + columns.long()  # (H, W)
        of_token = self.cut(regions[None, :, :, None])[0, :, :, 0]  # (n, N)
        apart = of_token[:, None, :] != of_token[:, :, None]  # (n, N, N)
        return apart.to(tokens.dtype) * MASKED
