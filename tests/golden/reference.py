"""Reference implementation of the original networks (2021 and 2022): plain, float64, with the authors' keys.

It shares no code with the package. It does not reshape or roll windows; it looks up each window by the
positions of its tokens in the image.
"""

import math
from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float32]
LEVELS = 4


def original(
    state: Mapping[str, Array], image: Array, *, train_size: int, shift: bool = True
) -> NDArray[np.float64]:
    """The output of the authors' network for (B, C, H, W); H and W are multiples of 16 times the window side.

    Missing and unused tensors fail, except the two that the authors do not use either.
    """
    weights = {key: torch.from_numpy(np.array(value, np.float64)) for key, value in state.items()}
    network = _Original(weights, train_size=train_size, shift=shift)
    out = np.stack([network.picture(torch.from_numpy(picture.astype(np.float64))) for picture in image])
    unused = {
        key
        for key in weights.keys() - network.used
        if ".norm_cross." not in key and not key.endswith("relative_position_index")
    }
    assert not unused, sorted(unused)
    return out


class _Original:
    def __init__(self, weights: Mapping[str, Tensor], *, train_size: int, shift: bool) -> None:
        self.weights = weights
        self.used: set[str] = set()
        rows = len(weights["encoderlayer_0.blocks.0.attn.relative_position_bias_table"])
        self.side = (math.isqrt(rows) + 1) // 2
        self.train_size = train_size
        self.shifts = shift

    def picture(self, image: Tensor) -> NDArray[np.float64]:
        tokens = F.leaky_relu(
            self.conv(image.permute(1, 2, 0), "input_proj.proj.0", padding=1), 0.01
        )  # (H, W, C)
        skips = []
        for level in range(LEVELS):
            skips.append(self.stage(tokens, f"encoderlayer_{level}", level))
            tokens = self.conv(skips[-1], f"dowsample_{level}.conv.0", stride=2, padding=1)
        tokens = self.stage(tokens, "conv", LEVELS)
        for k in range(LEVELS):
            level = LEVELS - 1 - k
            up = self.twice(tokens, f"upsample_{k}.deconv.0")
            if self.has(f"decoderlayer_{k}.blocks.0.norm_kv.weight"):
                tokens = self.stage(up, f"decoderlayer_{k}", level, skips[level])
            else:
                tokens = self.stage(torch.cat([up, skips[level]], dim=-1), f"decoderlayer_{k}", level)
        out = self.conv(tokens, "output_proj.proj.0", padding=1).permute(2, 0, 1)
        return np.asarray(out + image if out.shape == image.shape else out)

    def weight(self, key: str) -> Tensor:
        self.used.add(key)
        return self.weights[key]

    def optional(self, key: str) -> Tensor | None:
        return self.weight(key) if self.has(key) else None

    def has(self, key: str) -> bool:
        return key in self.weights

    def stage(self, tokens: Tensor, name: str, level: int, skip: Tensor | None = None) -> Tensor:
        index = 0
        moved = self.side // 2 if self.shifts and self.train_size >> level > self.side else 0
        while self.has(f"{name}.blocks.{index}.norm1.weight"):
            tokens = self.block(tokens, f"{name}.blocks.{index}", moved if index % 2 else 0, skip)
            index += 1
        return tokens

    def block(self, x: Tensor, name: str, shift: int, skip: Tensor | None) -> Tensor:
        if self.has(f"{name}.cross_modulator.weight"):
            x = x + self.to_learned(x, f"{name}.cross_attn", self.weight(f"{name}.cross_modulator.weight"))
        normed = self.norm(x, f"{name}.norm1")
        if skip is None:
            x = x + self.windows(
                normed, None, f"{name}.attn", shift, self.optional(f"{name}.modulator.weight")
            )
            last = "norm2"
        elif self.has(f"{name}.cross_attn.qkv.to_qkv.weight"):  # ConcatCross
            x = x + self.windows(normed, self.norm(skip, f"{name}.norm_kv"), f"{name}.cross_attn", shift)
            last = "norm2"
        else:  # Cross
            x = x + self.windows(normed, None, f"{name}.attn", shift)
            x = x + self.windows(
                self.norm(x, f"{name}.norm2"), self.norm(skip, f"{name}.norm_kv"), f"{name}.cross_attn", shift
            )
            last = "norm3"
        return x + self.feed_forward(self.norm(x, f"{name}.{last}"), f"{name}.mlp")

    def windows(
        self, x: Tensor, other: Tensor | None, name: str, shift: int, modulator: Tensor | None = None
    ) -> Tensor:
        """Attention in every window."""
        height, width, side = *x.shape[:2], self.side
        out = torch.empty_like(x)
        table = self.weight(f"{name}.relative_position_bias_table")
        inside = [(i, j) for i in range(side) for j in range(side)]
        rows_of_table = torch.tensor(
            [[(a - c + side - 1) * (2 * side - 1) + b - d + side - 1 for c, d in inside] for a, b in inside]
        )
        bias = table[rows_of_table]  # (N, N, heads)
        at = torch.tensor(inside)
        corners = [(top, left) for top in range(0, height, side) for left in range(0, width, side)]
        top, left = torch.tensor(corners).T[:, :, None]
        rows = (top + at[:, 0] + shift) % height  # (windows, N): positions of their tokens in the image
        columns = (left + at[:, 1] + shift) % width
        neighbours = _same(rows, at[:, 0]) & _same(columns, at[:, 1])
        mask = torch.where(neighbours, 0.0, -100.0)
        tokens = x[rows, columns] if modulator is None else x[rows, columns] + modulator
        memory = None if other is None else other[rows, columns]
        out[rows, columns] = self.attend(tokens, memory, name, bias + mask[..., None])
        return out

    def attend(self, tokens: Tensor, memory: Tensor | None, name: str, bias: Tensor) -> Tensor:
        """In each window, (windows, N, C) tokens attend to themselves, to the memory, or to both."""
        if self.has(f"{name}.qkv.to_qkv.weight"):
            assert memory is not None
            q, k, v = self.linear(tokens, f"{name}.qkv.to_qkv").chunk(3, dim=-1)
            more_k, more_v = self.linear(memory, f"{name}.qkv.to_kv").chunk(2, dim=-1)
            k, v = torch.cat([k, more_k], dim=-2), torch.cat([v, more_v], dim=-2)
            # As the authors repeat it: each entry twice in a row.
            bias = bias[:, :, torch.arange(k.shape[-2]) // 2]
        else:
            q = self.linear(tokens, f"{name}.qkv.to_q")
            k, v = self.linear(tokens if memory is None else memory, f"{name}.qkv.to_kv").chunk(2, dim=-1)
        return self.linear(_heads(q, k, v, bias.shape[-1], bias), f"{name}.proj")

    def to_learned(self, x: Tensor, name: str, learned: Tensor) -> Tensor:
        """Every token attends to the cross-modulator, with as many heads as the block's other attention."""
        heads = self.weight(name.replace("cross_attn", "attn") + ".relative_position_bias_table").shape[1]
        k, v = self.linear(learned, f"{name}.qkv.to_kv").chunk(2, dim=-1)
        rows = [_heads(self.linear(row, f"{name}.qkv.to_q"), k, v, heads, None) for row in x]
        return self.linear(torch.stack(rows), f"{name}.proj")

    def feed_forward(self, x: Tensor, name: str) -> Tensor:
        if self.has(f"{name}.fc1.weight"):
            return self.linear(F.gelu(self.linear(x, f"{name}.fc1")), f"{name}.fc2")
        hidden = F.gelu(self.linear(x, f"{name}.linear1.0"))
        kernel = self.weight(f"{name}.dwconv.0.weight")  # (D, 1, 3, 3)
        around = F.pad(hidden, (0, 0, 1, 1, 1, 1))
        mixed = self.weight(f"{name}.dwconv.0.bias").expand_as(hidden).clone()
        for i in range(3):
            for j in range(3):
                mixed += around[i : i + x.shape[0], j : j + x.shape[1]] * kernel[:, 0, i, j]
        return self.linear(F.gelu(mixed), f"{name}.linear2.0")

    def norm(self, x: Tensor, name: str) -> Tensor:
        centred = x - x.mean(-1, keepdim=True)
        return centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt() * self.weight(
            f"{name}.weight"
        ) + self.weight(f"{name}.bias")

    def linear(self, x: Tensor, name: str) -> Tensor:
        bias = self.optional(f"{name}.bias")
        out = x @ self.weight(f"{name}.weight").T
        return out if bias is None else out + bias

    def conv(self, x: Tensor, name: str, *, padding: int, stride: int = 1) -> Tensor:
        out = F.conv2d(
            x.permute(2, 0, 1)[None],
            self.weight(f"{name}.weight"),
            self.weight(f"{name}.bias"),
            stride,
            padding,
        )
        return out[0].permute(1, 2, 0)

    def twice(self, x: Tensor, name: str) -> Tensor:
        weight = self.weight(f"{name}.weight")  # (in, out, 2, 2): each token becomes 2 x 2 tokens
        out = x.new_empty(2 * x.shape[0], 2 * x.shape[1], weight.shape[1])
        for i in range(2):
            for j in range(2):
                out[i::2, j::2] = x @ weight[:, :, i, j] + self.weight(f"{name}.bias")
        return out


def _same(place: Tensor, inside: Tensor) -> Tensor:
    """The token pairs that wrap-around does not join: equally far apart in image and window."""
    return place[:, :, None] - place[:, None, :] == inside[:, None] - inside[None, :]


def _heads(q: Tensor, k: Tensor, v: Tensor, heads: int, bias: Tensor | None) -> Tensor:
    out = []
    for head, (qh, kh, vh) in enumerate(
        zip(q.chunk(heads, -1), k.chunk(heads, -1), v.chunk(heads, -1), strict=True)
    ):
        scores = qh @ kh.mT / math.sqrt(qh.shape[-1])
        out.append(torch.softmax(scores if bias is None else scores + bias[..., head], dim=-1) @ vh)
    return torch.cat(out, dim=-1)
