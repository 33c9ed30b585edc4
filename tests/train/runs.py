"""Small training runs, for tests."""

from collections.abc import Sequence
from pathlib import Path

import torch

from uformer.train.recipe import Recipe, override
from uformer.train.recipes import pairs

TINY = (
    "network.embed_dim=4",
    "network.depths=1,1,1",
    "network.num_heads=1,1,1",
    "network.window_size=4",
    "network.drop_path_rate=0.2",
    "patch=16",
    "batch=2",
    "accumulate=1",
    "steps=6",
    "lr=0.003",
    "warmup=0",
    "log_every=2",
    "held_out=1",
    "validation_side=16",
)


def tiny(*settings: str) -> Recipe:
    return override(pairs(), (*TINY, *settings))


def arguments(data: Path, out: Path, *settings: str) -> list[str]:
    """Return the arguments of a `uformer train` that takes a second."""
    return [
        "train",
        "pairs",
        "--data",
        str(data),
        "--out",
        str(out),
        "--device",
        "cpu",
        *as_options((*TINY, *settings)),
    ]


def as_options(settings: Sequence[str]) -> list[str]:
    return [word for setting in settings for word in ("--set", setting)]


def same_values(one: object, two: object) -> bool:
    """Whether two nested states are equal, to the last bit."""
    if isinstance(one, torch.Tensor) and isinstance(two, torch.Tensor):
        return torch.equal(one, two)
    if isinstance(one, dict) and isinstance(two, dict):
        return one.keys() == two.keys() and all(same_values(one[key], two[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(two, list | tuple):
        return len(one) == len(two) and all(map(same_values, one, two))
    return one == two
