"""Uformer: the U of LeWin stages (CVPR 2022, figure 2), for every skip scheme and any height and width.

Legend as in attention.py. Tokens stay (B, H, W, C) from the input to the output projection.
"""

import typing

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from uformer.config import UformerConfig
from uformer.model.attention import window_mask
from uformer.model.blocks import LeWinBlock


def reflect_to_multiple(image: Tensor, multiple: int) -> Tensor:
    """Extend (B, C, H, W) at the bottom and right to multiples, by reflection, repeated where the picture is smaller."""

    def reflected(length: int) -> Tensor:  # indices of the extended axis
        padded = _units(length, multiple) * multiple
        torch._check(length <= padded)
        period = torch.scalar_tensor(torch.sym_max(2 * length - 2, 1), dtype=torch.int64, device=image.device)  # as ONNX wants it
        at = torch.arange(padded, device=image.device) % period
        return torch.where(at < length, at, period - at)

    return image[:, :, reflected(image.shape[2])[:, None], reflected(image.shape[3])]


def _units(length: int, multiple: int) -> int:
    """How often `multiple` goes into `length`, rounded up.

    Where torch.export leaves the length free, the answer becomes a size of its own, known to be positive and no
    more. As a formula of the length it would tie the graph to the example's ("more than one window"), which holds for
    no picture smaller than that.
    """
    units = (length + multiple - 1) // multiple
    if torch.compiler.is_exporting():
        from torch.fx.experimental.symbolic_shapes import has_static_value  # noqa: PLC0415 - slow to import, and only needed here

        if has_static_value(length):
            return units
        units = typing.cast(int, torch.scalar_tensor(units, dtype=torch.int64).item())
        torch._check(units >= 1)
    return units


class InputProjection(nn.Module):
    """3 x 3 convolution and LeakyReLU, picture to tokens."""

    def __init__(self, in_channels: int, dim: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, dim, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        return F.leaky_relu(self.conv(image)).permute(0, 2, 3, 1)  # (B, H, W, C)


class OutputProjection(nn.Module):
    """3 x 3 convolution, tokens to picture."""

    def __init__(self, dim: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(dim, out_channels, 3, padding=1)

    def forward(self, tokens: Tensor) -> Tensor:
        image: Tensor = self.conv(tokens.permute(0, 3, 1, 2))  # (B, C, H, W)
        return image


class Downsample(nn.Module):
    """4 x 4 convolution of stride 2: half the height and width."""

    def __init__(self, dim: int, out_dim: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(dim, out_dim, 4, stride=2, padding=1)

    def forward(self, tokens: Tensor) -> Tensor:
        half: Tensor = self.conv(tokens.permute(0, 3, 1, 2))
        return half.permute(0, 2, 3, 1)


class Upsample(nn.Module):
    """2 x 2 transposed convolution of stride 2: twice the height and width."""

    def __init__(self, dim: int, out_dim: int) -> None:
        super().__init__()
        self.deconv = nn.ConvTranspose2d(dim, out_dim, 2, stride=2)

    def forward(self, tokens: Tensor) -> Tensor:
        twice: Tensor = self.deconv(tokens.permute(0, 3, 1, 2))
        return twice.permute(0, 2, 3, 1)


class Stage(nn.Module):
    """The LeWin blocks of one level, every second one with shifted windows."""

    def __init__(self, config: UformerConfig, stage: int, drop_path: list[float]) -> None:
        super().__init__()
        decoder = stage > config.levels
        self.window_size = config.window_size
        self.shift = config.stage_shift(stage)
        self.concat = decoder and config.skip == "concat"
        self.gradient_checkpointing = config.gradient_checkpointing
        kind = {"concat": None, "cross": "cross", "concat_cross": "joint"}[config.skip] if decoder else None
        self.blocks = nn.ModuleList(
            LeWinBlock(
                config.stage_dims[stage],
                num_heads=config.num_heads[stage],
                window_size=config.window_size,
                shift=self.shift if index % 2 else 0,
                mlp_ratio=config.mlp_ratio,
                qkv_bias=config.qkv_bias,
                drop_path=drop_path[index],
                feed_forward=config.feed_forward,
                memory=kind if index == 0 or config.cross_blocks == "all" else None,
                interleaved_keys=config.interleaved_keys,
                modulator=decoder and config.modulator,
                cross_modulator=decoder and config.cross_modulator,
            )
            for index in range(config.depths[stage])
        )

    def forward(self, tokens: Tensor, skip: Tensor | None = None, fill: bool = False) -> Tensor:
        """(B, H, W, C) to the same; `skip` is the encoder's feature of this level, in the decoder; `fill` as of LeWinBlock."""
        if self.concat and skip is not None:
            tokens = torch.cat([tokens, skip], dim=-1)
        h, w = tokens.shape[1:3]
        fill = fill and (h % self.window_size != 0 or w % self.window_size != 0)
        shifts = [self.shift if index % 2 else 0 for index in range(len(self.blocks))]
        masks = {
            shift: window_mask(h, w, self.window_size, shift, device=tokens.device, dtype=tokens.dtype) if shift or fill else None
            for shift in set(shifts)
        }
        for block, shift in zip(self.blocks, shifts, strict=True):
            mask = masks[shift]
            if self.gradient_checkpointing and self.training:
                tokens = checkpoint(block, tokens, skip, mask, fill, use_reentrant=False)
            else:
                tokens = block(tokens, skip, mask, fill)
        return tokens


class Uformer(nn.Module):
    """Degraded picture in, restored picture out: (B, in_channels, H, W) to (B, out_channels, H, W), both in [0, 1].

    Any H and W from 1: the picture is extended by reflection to a multiple of `config.multiple`, and cropped again.
    The output is not clipped.
    """

    def __init__(self, config: UformerConfig) -> None:
        super().__init__()
        self.config = config
        levels, dims, depths = config.levels, config.stage_dims, config.depths
        rising = _ramp(config.drop_path_rate, sum(depths[:levels]))
        falling = _ramp(config.drop_path_rate, sum(depths[levels + 1 :]))[::-1]
        rates = rising + [config.drop_path_rate] * depths[levels] + falling
        starts = [sum(depths[:stage]) for stage in range(len(depths))]
        stages = [Stage(config, stage, rates[start:]) for stage, start in enumerate(starts)]
        up_dims = [config.embed_dim << level for level in reversed(range(levels))]

        self.input_proj = InputProjection(config.in_channels, config.embed_dim)
        self.encoder = nn.ModuleList(stages[:levels])
        self.downsample = nn.ModuleList(Downsample(dims[level], dims[level + 1]) for level in range(levels))
        self.bottleneck = stages[levels]
        self.upsample = nn.ModuleList(Upsample(dims[levels + k], up_dims[k]) for k in range(levels))
        self.decoder = nn.ModuleList(stages[levels + 1 :])
        self.output_proj = OutputProjection(dims[-1], config.out_channels)
        self.apply(_init_linear)

    def forward(self, image: Tensor) -> Tensor:
        height, width = image.shape[2:]
        return self.restore(reflect_to_multiple(image, self.config.multiple))[:, :, :height, :width]

    def restore(self, image: Tensor, *, fill: bool = False) -> Tensor:
        """The same for H and W that are multiples of `config.multiple`; or, with `fill`, of `config.stride`.

        Then windows that reach over the bottom and right border hold tokens that no other sees.
        """
        tokens = self.input_proj(image)
        skips = []
        for stage, down in zip(self.encoder, self.downsample, strict=True):
            tokens = stage(tokens, fill=fill)
            skips.append(tokens)
            tokens = down(tokens)
        tokens = self.bottleneck(tokens, fill=fill)
        for up, stage, skip in zip(self.upsample, self.decoder, reversed(skips), strict=True):
            tokens = stage(up(tokens), skip, fill)
        restored: Tensor = self.output_proj(tokens)
        if self.config.in_channels == self.config.out_channels:
            restored = restored + image
        return restored


def _ramp(rate: float, blocks: int) -> list[float]:
    """From 0 up to `rate`, one value a block; all 0 where there is one block."""
    return [rate * index / max(blocks - 1, 1) for index in range(blocks)]


def _init_linear(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
