import copy

import torch

from tests.networks import TINY, build
from uformer.train.average import Average


def test_it_follows_by_its_formula() -> None:
    model = build(TINY)
    average = Average(model, 0.5)
    expected = {name: value.clone() for name, value in model.named_parameters()}
    for step in range(3):
        with torch.no_grad():
            for value in model.parameters():
                value.add_(step + 1)
        average.update(model, step)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = {
            name: decay * expected[name] + (1 - decay) * value for name, value in model.named_parameters()
        }
    for name, value in average.model.named_parameters():
        assert torch.allclose(value, expected[name], atol=1e-5)
        assert not value.requires_grad
    assert not average.model.training


def test_without_decay_it_is_the_network() -> None:
    model = build(TINY).train()
    average = Average(copy.deepcopy(model), 0.0)
    with torch.no_grad():
        next(model.parameters()).mul_(3)
    average.update(model, 1000)
    assert all(torch.equal(a, b) for a, b in zip(average.model.parameters(), model.parameters(), strict=True))
    assert model.training
