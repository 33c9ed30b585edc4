"""Score a network on the held-out images, and draw samples of what it restores."""

import math
from collections.abc import Sequence

import numpy as np
import torch

from uformer.data.contact import lay_out, thumbnail
from uformer.data.stretch import NOTE, stretched
from uformer.image.image import Image, Pixels
from uformer.metrics import psnr
from uformer.model.uformer import Uformer
from uformer.train.objectives import Network, objective
from uformer.train.processes import Processes
from uformer.train.recipe import Recipe
from uformer.train.setup import HeldOut

MOST = {8: 60.0, 16: 110.0, 32: 150.0}
"""PSNR in dB at which a score is capped, by bits per sample: just above what rounding to these bits allows.

Exactly restored images would score infinity, which has no mean.
"""

_SHOWN = 4  # images in a sample
_SIDE = 384  # pixels


def mean_score(model: Uformer, held: HeldOut, processes: Processes) -> float:
    """Return the mean score of the restored images. There must be at least one.

    Each process scores its share, so all processes must call this together.
    """
    mine = range(processes.index, len(held), processes.count)
    return sum(processes.share(score(model, held, mine))) / len(held)


def score(model: Uformer, held: HeldOut, indices: Sequence[int]) -> float:
    """Return the sum of the scores of some restored images; the higher, the better.

    The score is PSNR in dB, over all channels, and at most MOST. The peak is the width of the range that the
    network sees as black to white. Images of 8 bits are rounded to 8 bits before. Without clean images, it is
    minus the loss that training minimises.
    """
    if not held.truth:
        return -sum(own_loss(model, seen, target, held.recipe) for seen, target in held.targets(indices))
    return sum(
        _capped(restore(model, degraded), clean, held.pictures.depth(index))
        for index, (degraded, clean) in zip(indices, held.pairs(indices), strict=True)
    )


def input_score(held: HeldOut, indices: Sequence[int]) -> float:
    """Like `score`, but for the degraded images. nan if they and the clean images differ in channels.

    Without clean images, it is the score of a network that returns its input. It is nan for noise2void, whose
    input is not the image, and for neighbor2neighbor, whose second term is 0 for such a network.
    """
    if not held.truth and held.recipe.supervision != "noise2noise":
        return float("nan")
    if not held.truth:
        return -sum(
            _loss(lambda batch: batch, seen, target, held.recipe) for seen, target in held.targets(indices)
        )
    return sum(
        _capped(degraded, clean, held.pictures.depth(index))
        if degraded.shape == clean.shape
        else float("nan")
        for index, (degraded, clean) in zip(indices, held.pairs(indices), strict=True)
    )


def baseline_scores(held: HeldOut, start: Uformer | None, processes: Processes) -> dict[str, float]:
    """Return mean scores, as the log has them: of the held-out images as they came, and restored by `start`.

    All processes must call it together.
    """
    if not len(held):
        return {}
    scores = {"input": input_score(held, range(len(held))) / len(held)}
    if start is not None:
        scores["start"] = mean_score(start, held, processes)
    return {
        f"{which}_{kind}": value
        for which, score in scores.items()
        if math.isfinite(score)
        for kind, value in named(score, held).items()
    }


def _capped(image: Pixels, clean: Pixels, depth: int) -> float:
    """Return PSNR in dB, at most MOST; images of 8 bits are rounded before."""
    return min(psnr(image, clean, rounded=depth == 8), MOST[depth])


def named(score: float, held: HeldOut) -> dict[str, float]:
    """Return a score as the log holds it: the PSNR, or the loss on the held-out images."""
    return {"psnr": round(score, 4)} if held.truth else {"held_out_loss": -score}


@torch.inference_mode()
def own_loss(model: Uformer, seen: Pixels, target: Pixels, recipe: Recipe) -> float:
    """Return the loss that training minimises in the end, for one image."""
    return _loss(model, seen, target, recipe, device=next(model.parameters()).device)


def _loss(
    network: Network, seen: Pixels, target: Pixels, recipe: Recipe, device: torch.device | None = None
) -> float:
    one, other = (
        torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))[None].to(device)
        for image in (seen, target)
    )
    return float(objective(network, one, other, recipe, done=1.0))


@torch.inference_mode()
def restore(model: Uformer, degraded: Pixels) -> Pixels:
    """Return the restored image, (H, W, C) float32 clipped to [0, 1], computed on the model's device."""
    device = next(model.parameters()).device
    batch = torch.from_numpy(np.ascontiguousarray(degraded.transpose(2, 0, 1)))[None].to(device)
    restored: Pixels = model(batch)[0].clamp(0, 1).permute(1, 2, 0).cpu().numpy()
    return restored


def sample(model: Uformer, held: HeldOut) -> Image:
    """Return a contact sheet of a few images. Each row shows degraded, restored and, if known, clean.

    Labels name the images and their PSNR. Dark images are stretched so that they can be seen.
    """
    rows, labels = [], []
    for index, (degraded, clean) in enumerate(held.pairs(range(min(_SHOWN, len(held))))):
        restored = restore(model, degraded)
        seen, changed = stretched((degraded, restored, clean) if held.truth else (degraded, restored))
        rows.append([thumbnail(image, _SIDE) for image in seen])
        note = NOTE if changed else ""
        if held.truth:
            before, after = (_decibels(image, clean, held, index) for image in (degraded, restored))
            labels.append([f"{held.pictures.names[index]}{before}{note}", f"restored{after}", "clean"])
        else:
            labels.append([f"{held.pictures.names[index]}: noisy{note}", "restored"])
    return Image(pixels=lay_out(rows, labels))


def _decibels(image: Pixels, clean: Pixels, held: HeldOut, index: int) -> str:
    if image.shape != clean.shape:
        return ""
    return f": {_capped(image, clean, held.pictures.depth(index)):.2f} dB"
