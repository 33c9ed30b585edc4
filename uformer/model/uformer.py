"""Uformer: the U of LeWin stages (CVPR 2022, figure 2), for every skip scheme and any height and width.

Legend: B batch, H W height and width of a map, C channels. Tokens stay (B, H, W, C) from the input projection
to the output projection.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from uformer import structure
from uformer.config import UformerConfig
from uformer.errors import OptionError
from uformer.model.blocks import LeWinBlock
from uformer.model.padding import jit_traces, reflect_to_multiple
from uformer.model.windows import Windows
from uformer.structure import ConvPlan, StagePlan


class Uformer(nn.Module):
    """The network: (B, in_channels, H, W) degraded to (B, out_channels, H, W) restored, both in [0, 1].

    H and W are at least 1. The output is not clipped.
    """

    def __init__(self, config: UformerConfig) -> None:
        super().__init__()
        self.config = config
        steps = structure.plan(config)
        recompute = config.gradient_checkpointing
        self.input_proj = InputProjection(steps.input_proj)
        self.encoder = nn.ModuleList(Stage(stage, recompute=recompute) for stage in steps.encoder)
        self.downsample = nn.ModuleList(Downsample(down) for down in steps.downsample)
        self.bottleneck = Stage(steps.bottleneck, recompute=recompute)
        self.upsample = nn.ModuleList(Upsample(up) for up in steps.upsample)
        self.decoder = nn.ModuleList(Stage(stage, recompute=recompute) for stage in steps.decoder)
        self.output_proj = OutputProjection(steps.output_proj)
        self.residual = steps.residual
        self.apply(_init_linear)

    def forward(self, image: Tensor, *, multiple: int | None = None) -> Tensor:
        """Restore images of any size, padded by reflection to a multiple of `multiple` and cropped again.

        `multiple`: by default `config.multiple`, so that whole windows fit into the map of every level. The
        minimum is `config.stride`: windows may then reach beyond the border of a map, and masked tokens pad
        them.
        """
        if jit_traces() and multiple not in (None, self.config.multiple):
            raise OptionError(f"multiple: {multiple} cannot be traced by torch.jit; leave it out")
        height, width = image.shape[2:]
        image = reflect_to_multiple(image, multiple or self.config.multiple)

        tokens = self.input_proj(image)  # (B, H, W, C)
        skips = []
        for stage, down in zip(self.encoder, self.downsample, strict=True):
            tokens = stage(tokens)
            skips.append(tokens)
            tokens = down(tokens)  # (B, H / 2, W / 2, 2 C)
        tokens = self.bottleneck(tokens)
        for up, stage in zip(self.upsample, self.decoder, strict=True):
            tokens = up(tokens)  # (B, 2 H, 2 W, C of the skip)
            tokens = stage(tokens, skips.pop())
        restored = self.output_proj(tokens)  # (B, out_channels, H, W)
        if self.residual:
            restored = restored + image

        return restored[:, :, :height, :width]


class Stage(nn.Module):
    """The LeWin blocks of one level, every second one with shifted windows."""

    def __init__(self, plan: StagePlan, *, recompute: bool = False) -> None:
        """`recompute`: gradient checkpointing, block by block."""
        super().__init__()
        self.window_size = plan.window_size
        self.concat = plan.concat
        self.recompute = recompute
        self.blocks = nn.ModuleList(LeWinBlock(block) for block in plan.blocks)
        self.shifts = [block.shift for block in plan.blocks]

    def forward(self, tokens: Tensor, skip: Tensor | None = None) -> Tensor:
        """(B, H, W, C) to the same shape; in the decoder, `skip` is the encoder's feature of this level."""
        if self.concat and skip is not None:
            tokens = torch.cat([tokens, skip], dim=-1)  # (B, H, W, 2 C)
        windows = {shift: Windows(tokens, side=self.window_size, shift=shift) for shift in set(self.shifts)}
        for block, shift in zip(self.blocks, self.shifts, strict=True):
            if self.recompute and self.training:
                tokens = checkpoint(block, tokens, windows[shift], skip, use_reentrant=False)
            else:
                tokens = block(tokens, windows[shift], skip)
        return tokens


class InputProjection(nn.Module):
    """3 x 3 convolution and LeakyReLU, image to tokens."""

    def __init__(self, plan: ConvPlan) -> None:
        super().__init__()
        self.conv = nn.Conv2d(plan.in_dim, plan.dim, plan.kernel, padding=plan.padding)

    def forward(self, image: Tensor) -> Tensor:  # (B, in_channels, H, W)
        return F.leaky_relu(self.conv(image)).permute(0, 2, 3, 1)  # (B, H, W, C)


class OutputProjection(nn.Module):
    """3 x 3 convolution, tokens to image."""

    def __init__(self, plan: ConvPlan) -> None:
        super().__init__()
        self.conv = nn.Conv2d(plan.in_dim, plan.dim, plan.kernel, padding=plan.padding)

    def forward(self, tokens: Tensor) -> Tensor:  # (B, H, W, C)
        image: Tensor = self.conv(tokens.permute(0, 3, 1, 2))
        return image  # (B, out_channels, H, W)


class Downsample(nn.Module):
    """4 x 4 convolution of stride 2: half the height and width, twice the channels."""

    def __init__(self, plan: ConvPlan) -> None:
        super().__init__()
        self.conv = nn.Conv2d(plan.in_dim, plan.dim, plan.kernel, stride=plan.stride, padding=plan.padding)

    def forward(self, tokens: Tensor) -> Tensor:  # (B, H, W, C)
        half: Tensor = self.conv(tokens.permute(0, 3, 1, 2))
        return half.permute(0, 2, 3, 1)  # (B, H / 2, W / 2, 2 C)


class Upsample(nn.Module):
    """2 x 2 transposed convolution of stride 2: twice the height and width, the channels of the skip."""

    def __init__(self, plan: ConvPlan) -> None:
        super().__init__()
        self.deconv = nn.ConvTranspose2d(plan.in_dim, plan.dim, plan.kernel, stride=plan.stride)

    def forward(self, tokens: Tensor) -> Tensor:  # (B, H, W, C)
        twice: Tensor = self.deconv(tokens.permute(0, 3, 1, 2))
        return twice.permute(0, 2, 3, 1)  # (B, 2 H, 2 W, C of the skip)


def _init_linear(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
