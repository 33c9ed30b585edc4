"""The moving average of the weights, which restores images better than the weights of any single step."""

import copy

import torch

from uformer.model.uformer import Uformer


class Average:
    """The exponential moving average of a network's weights.

    After step n, average += (1 - d) (weights - average), with d = min(decay, (1 + n) / (10 + n)). Because d
    starts low, the random initial weights are soon forgotten. With `decay` 0, the average equals the weights.
    """

    def __init__(self, model: Uformer, decay: float) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(requires_grad=False)
        self.decay = decay

    @torch.no_grad()
    def update(self, model: Uformer, step: int) -> None:
        """Update the average after training step `step`, counted from 0."""
        weight = 1 - min(self.decay, (1 + step) / (10 + step))
        for mine, theirs in zip(self.model.parameters(), model.parameters(), strict=True):
            mine.lerp_(theirs, weight)
