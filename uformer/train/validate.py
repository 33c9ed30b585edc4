"""How well a network restores the images held out, and what that looks like."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from uformer.data.contact import lay_out, thumbnail
from uformer.image.image import Image
from uformer.metrics import psnr
from uformer.model.uformer import Uformer
from uformer.train.processes import Processes
from uformer.train.setup import HeldOut

Pixels = NDArray[np.float32]

MOST = 60.0
"""dB that a picture counts which is restored exactly: some are not degraded at all, and infinity has no mean."""

_SHOWN = 4  # pictures in a sample
_SIDE = 384  # pixels


def mean_score(model: Uformer, held: HeldOut, processes: Processes) -> float:
    """Mean PSNR of the restored images, of which there is at least one; each process scores its share.

    All processes must call it together.
    """
    mine = range(processes.index, len(held), processes.count)
    return sum(processes.share(score(model, held, mine))) / len(held)


def score(model: Uformer, held: HeldOut, indices: Sequence[int]) -> float:
    """Sum of PSNR (dB, over all channels, rounded to 8 bits; at most MOST) of the restored pictures of these numbers."""
    return sum(min(psnr(restore(model, degraded), clean), MOST) for degraded, clean in held.pairs(indices))


def input_score(held: HeldOut, indices: Sequence[int]) -> float:
    """As `score`, of the degraded pictures as they are; nan where they have other channels than the clean ones."""
    pairs = held.pairs(indices)
    return sum(
        min(psnr(degraded, clean), MOST) if degraded.shape == clean.shape else float("nan")
        for degraded, clean in pairs
    )


@torch.inference_mode()
def restore(model: Uformer, degraded: Pixels) -> Pixels:
    """Restore (H, W, C) float32 in [0, 1], in float32 on the model's device; clipped to [0, 1]."""
    device = next(model.parameters()).device
    picture = torch.from_numpy(np.ascontiguousarray(degraded.transpose(2, 0, 1)))[None].to(device)
    restored: Pixels = model(picture)[0].clamp(0, 1).permute(1, 2, 0).cpu().numpy()
    return restored


def sample(model: Uformer, held: HeldOut) -> Image:
    """A few of the pictures, a row each: degraded, restored, clean."""
    rows = []
    for degraded, clean in held.pairs(range(min(_SHOWN, len(held)))):
        rows.append([thumbnail(picture, _SIDE) for picture in (degraded, restore(model, degraded), clean)])
    return Image(pixels=lay_out(rows))
