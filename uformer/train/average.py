"""The moving average of the weights, which restores better than the weights of any one step."""

import copy

import torch

from uformer.model.uformer import Uformer


class Average:
    """A copy of a network that follows it: after step n, average += (1 - d) (weights - average), d = min(decay, (1 + n) / (10 + n)).

    The rising decay forgets the random weights of the start. With decay 0 it is the weights themselves.
    """

    def __init__(self, model: Uformer, decay: float) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(requires_grad=False)
        self.decay = decay

    @torch.no_grad()
    def update(self, model: Uformer, step: int) -> None:
        """Follow the network, whose `step`th step (from 0) was just taken."""
        weight = 1 - min(self.decay, (1 + step) / (10 + step))
        for mine, theirs in zip(self.model.parameters(), model.parameters(), strict=True):
            mine.lerp_(theirs, weight)
