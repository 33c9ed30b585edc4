import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.data.pictures import make_pairs
from tests.train.runs import same_values, tiny
from uformer.model.uformer import Uformer
from uformer.train import forecast as module
from uformer.train import objectives as losses
from uformer.train.forecast import Forecast, forecast
from uformer.train.learner import Learner
from uformer.train.processes import Processes
from uformer.train.setup import Folders, prepare

LONG = Forecast(step=30, scoring=60, steps=100_000, scorings=100, minutes=0)


def test_a_long_run_proposes_a_short_one() -> None:
    assert str(LONG) == (
        "duration: about 35 days on this machine (100,000 steps; a step takes about 30 s; an estimate from "
        "one part of a step); for a run of 30 minutes, add --set minutes=30"
    )
    assert "minutes=30" not in str(dataclasses.replace(LONG, steps=10, scorings=0))
    assert "a step takes about 1,234 s" in str(dataclasses.replace(LONG, step=1234))


def test_a_time_limit_is_told_in_minutes_with_the_steps_that_fit() -> None:
    told = str(dataclasses.replace(LONG, minutes=30))
    assert told.startswith("duration: 30 minutes, as set, for about 60 steps")
    assert "about 2 minutes on this" in str(dataclasses.replace(LONG, minutes=30, steps=4, scorings=0))


def test_a_limit_of_processor_time_is_called_that() -> None:
    told = str(dataclasses.replace(LONG, minutes=30, clock="cpu"))
    assert told.startswith("duration: 30 minutes of processor time, as set, for about 60 steps")


def test_the_optimizers_count_once_in_a_step_and_never_in_scoring(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part takes 3 s and the optimizers 5 s, by a clock that only they move."""
    recipe = tiny("batch=4", "accumulate=2", "clock=cpu", "validate_every=2")
    prepared = prepare(recipe, Folders(data=make_pairs(tmp_path, 4)), memory=10**9, cache=tmp_path / "cache")
    learner = Learner(
        prepared.recipe, Uformer(prepared.recipe.network), torch.device("cpu"), processes=Processes()
    )
    now = [0.0]

    def objective(*args: Any, **options: Any) -> torch.Tensor:
        now[0] += 3
        assert options["done"] == 1, "neighbor2neighbor takes half of the time while nothing is done"
        return losses.objective(*args, **options)

    class Slow(torch.optim.SGD):
        def step(self, closure: Any = None) -> None:  # type: ignore[override]
            now[0] += 5

    monkeypatch.setattr(module, "CLOCKS", {"cpu": lambda: now[0]})
    monkeypatch.setattr(module, "objective", objective)
    monkeypatch.setattr(module, "make_optimizers", lambda model, recipe: [Slow(model.parameters(), lr=1.0)])
    found = forecast(prepared, learner)
    assert (found.step, found.scoring) == (2 * 3 + 5, 2 * 3 / 4 / 3)


def test_measuring_changes_nothing(tmp_path: Path) -> None:
    recipe = tiny("validate_every=2")
    prepared = prepare(recipe, Folders(data=make_pairs(tmp_path, 4)), memory=10**9, cache=tmp_path / "cache")
    model = Uformer(prepared.recipe.network)
    learner = Learner(prepared.recipe, model, torch.device("cpu"), processes=Processes())
    before = {key: value.clone() for key, value in model.state_dict().items()}
    found = forecast(prepared, learner)
    assert (found.steps, found.scorings, found.minutes) == (6, 3, 0)
    assert found.step > 0
    assert found.scoring > 0
    assert same_values(before, dict(model.state_dict()))
    assert all(value.grad is None for value in model.parameters())
    assert learner.step == 0
