"""The optimizers, and the learning rate over a run."""

import math

import torch
from torch import nn

from uformer.train.muon import Muon
from uformer.train.recipe import Recipe


def make_optimizers(model: nn.Module, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """Return AdamW for all parameters, or AdamW and Muon (Jordan et al. 2024).

    Muon then updates the matrices of the blocks, and AdamW the rest. Muon's updates are scaled to the size of
    AdamW's, so both use the same learning rate.
    """
    named = dict(model.named_parameters())
    matrices = [name for name in named if is_matrix(name, named[name])] if recipe.optimizer == "muon" else []
    rest = [value for name, value in named.items() if name not in set(matrices)]
    decay = recipe.weight_decay
    found: list[torch.optim.Optimizer] = [
        torch.optim.AdamW(rest, lr=recipe.lr, betas=recipe.betas, weight_decay=decay)
    ]
    if matrices:
        parameters = [named[name] for name in matrices]
        found.append(Muon(parameters, lr=recipe.lr, weight_decay=decay))
    return found


def is_matrix(name: str, value: torch.Tensor) -> bool:
    """Whether a parameter is the weight matrix of a linear layer in a block."""
    return ".blocks." in f".{name}" and name.endswith("weight") and value.ndim == 2


def learning_rate(recipe: Recipe, step: int, *, done: float) -> float:
    """Return the learning rate at a step: a linear warm-up, a constant part, then half a cosine to `lr_min`.

    Steps count from 0, and `done` is the share of the run that is over. The cosine covers the last share
    `decay` of the run; with `decay` 1, there is no constant part. The warm-up ends with the first tenth of
    the run at the latest, also if a limit of time ends the run long before its steps.
    """
    warmup = min(recipe.warmup, recipe.steps // 10)
    risen = max((step + 1) / warmup, 10 * done) if warmup else 1.0
    if risen < 1:
        return recipe.lr * risen
    start = max(warmup / recipe.steps, 1 - recipe.decay)
    if done <= start:
        return recipe.lr
    along = min((done - start) / (1 - start), 1.0)
    return recipe.lr_min + (recipe.lr - recipe.lr_min) * 0.5 * (1 + math.cos(math.pi * along))


def share_done(recipe: Recipe, step: int, *, minutes: float) -> float:
    """Return the share of the run that is over after `step` steps and `minutes` minutes, 0 to 1."""
    return min(max(step / recipe.steps, minutes / recipe.minutes if recipe.minutes else 0.0), 1.0)
