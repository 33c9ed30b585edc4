"""What a training step minimises, and what held-out noisy images without clean ones are scored by."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import pixel_unshuffle

from uformer.train.losses import charbonnier, decibels, squares
from uformer.train.recipe import Recipe

Network = Callable[[Tensor], Tensor]


def objective(network: Network, degraded: Tensor, target: Tensor, recipe: Recipe, *, done: float) -> Tensor:
    """Return the loss of one part of a batch, after the share `done` of the run.

    `degraded` and `target`, (B, C, H, W), are what `Patches` delivers.
    """
    if recipe.supervision == "neighbor2neighbor":
        return neighbor_loss(network, degraded, target.long(), gamma=recipe.regularizer * done)
    restored = network(degraded).float()
    if recipe.loss == "squares":
        return squares(restored, target)
    if recipe.loss == "decibels":
        return decibels(restored, target, eps=recipe.charbonnier_eps)
    return charbonnier(restored, target, eps=recipe.charbonnier_eps)


def neighbor_loss(network: Network, noisy: Tensor, picks: Tensor, *, gamma: float) -> Tensor:
    """Return the loss of Neighbor2Neighbor (Huang et al., CVPR 2021, section 4.2).

    With the noisy image y, (B, C, H, W), its sub-images g1(y) and g2(y), and the network f, the loss is

        |f(g1(y)) - g2(y)|^2 + gamma |f(g1(y)) - g2(y) - (g1(f(y)) - g2(f(y)))|^2,

    as a mean over all values. The second term accounts for g1(y) and g2(y) being neighbours, so that their
    clean values differ a little. No gradient flows through f(y). As in the paper, gamma grows in the run.
    """
    first, second = (sub_image(noisy, picks[:, k]) for k in (0, 1))
    restored = network(first).float()
    difference = restored - second
    loss = difference.square().mean()
    if gamma == 0:
        return loss
    with torch.no_grad():
        whole = network(noisy).float()
    expected = sub_image(whole, picks[:, 0]) - sub_image(whole, picks[:, 1])
    return loss + gamma * (difference - expected).square().mean()


def sub_image(image: Tensor, picks: Tensor) -> Tensor:
    """Return the picked pixel of each 2 x 2 cell: (B, C, H, W) and (B, H / 2, W / 2) to (B, C, H / 2, W / 2).

    A pick is 0 or 1 in the upper row of the cell, 2 or 3 in the lower.
    """
    cells = pixel_unshuffle(image, 2).unflatten(1, (-1, 4))  # (B, C, 4, H / 2, W / 2)
    index = picks[:, None, None].expand(-1, cells.shape[1], 1, -1, -1)  # (B, C, 1, H / 2, W / 2)
    return cells.gather(2, index)[:, :, 0]
