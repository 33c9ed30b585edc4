"""The learner and its state. test_loop shows that training continues exactly."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.networks import TINY, build
from tests.train.runs import same_values, tiny
from uformer.errors import CheckpointError
from uformer.train.devices import Precision
from uformer.train.learner import Learner
from uformer.train.processes import Processes

CPU = torch.device("cpu")


def make(*settings: str, precision: Precision = "fp32") -> Learner:
    return Learner(tiny(*settings), build(TINY), CPU, precision=precision, processes=Processes())


def test_a_state_is_all_there_is() -> None:
    one, two = make("ema=0.9"), make("ema=0.9")
    one.step, one.seconds, one.best = 3, 5.0, 31.5
    one.model(torch.rand(1, 3, 32, 32)).mean().backward()
    for optimizer in one.optimizers:
        optimizer.step()
    one.average.update(one.model, 2)
    assert set(one.state()) == {"step", "seconds", "best", "model", "average", "optimizers", "scaler"}
    assert one.state()["scaler"] == {}
    assert not same_values(one.state(), two.state())
    two.load_state(one.state(), Path("state.pt"))
    assert same_values(one.state(), two.state())
    assert two.done == 0.5


@pytest.mark.parametrize(
    "change", [{"model": None}, {"optimizers": []}, {"optimizers": [{}, {}]}, {"scaler": None, "step": None}]
)
def test_a_state_of_something_else_is_refused(change: dict[str, Any]) -> None:
    learner = make()
    state = {**learner.state(), **change}
    if "scaler" in change:
        del state["scaler"]
    with pytest.raises(CheckpointError, match=r"state\.pt: does not fit this run"):
        learner.load_state(state, Path("state.pt"))


@pytest.mark.parametrize(("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_it_computes_in_its_precision(precision: Precision, dtype: torch.dtype) -> None:
    learner = make(precision=precision)
    one = torch.ones(2, 2)
    with learner.autocast():
        assert (one @ one).dtype == dtype
    assert not learner.scaler.is_enabled()


def test_a_budget_of_minutes_counts_as_steps_do() -> None:
    learner = make("minutes=2")
    learner.step, learner.seconds = 1, 90.0
    assert learner.done == 0.75
