import dataclasses
import itertools

import pytest
import torch

from tests.networks import KINDS, build
from tests.train.runs import tiny
from uformer.train.optimizers import is_matrix, learning_rate, make_optimizers, share_done


def test_adamw_has_every_parameter() -> None:
    model = build(KINDS["2022"])
    (adamw,) = make_optimizers(model, tiny("optimizer=adamw", "weight_decay=0.02", "betas=0.9,0.999"))
    (group,) = adamw.param_groups
    assert len(group["params"]) == len(list(model.parameters()))
    assert (group["betas"], group["weight_decay"]) == ((0.9, 0.999), 0.02)


@pytest.mark.parametrize("kind", KINDS)
def test_muon_has_the_matrices_of_blocks_and_adamw_the_rest(kind: str) -> None:
    model = build(KINDS[kind])
    adamw, muon = make_optimizers(model, tiny())
    theirs, mine = ({id(value) for value in part.param_groups[0]["params"]} for part in (adamw, muon))
    assert not theirs & mine
    assert theirs | mine == {id(value) for value in model.parameters()}
    linears = [m.weight for m in model.modules() if isinstance(m, torch.nn.Linear)]
    assert mine == {id(weight) for weight in linears}


def test_tables_and_modulators_are_no_matrices() -> None:
    assert not is_matrix("encoder.0.blocks.0.attn.relative_position_bias_table", torch.zeros(9, 2))
    assert not is_matrix("decoder.0.blocks.0.modulator", torch.zeros(16, 4))
    assert is_matrix("bottleneck.blocks.1.attn.to_q.weight", torch.zeros(4, 4))


def test_the_learning_rate_rises_and_falls_along_a_cosine() -> None:
    recipe = tiny("steps=1000", "warmup=100", "lr=1e-3", "lr_min=1e-5")
    rates = [learning_rate(recipe, step, done=step / 1000) for step in range(1000)]
    assert rates[0] == pytest.approx(1e-5)
    assert rates[49] == pytest.approx(5e-4)
    assert rates[100] == pytest.approx(1e-3)
    assert rates[550] == pytest.approx((1e-3 + 1e-5) / 2)
    assert all(a > b for a, b in itertools.pairwise(rates[100:]))
    assert learning_rate(recipe, 1000, done=1) == pytest.approx(1e-5)


def test_the_learning_rate_stays_until_the_decay_begins() -> None:
    recipe = tiny("steps=1000", "warmup=100", "lr=1e-3", "lr_min=0", "decay=0.2")
    rates = [learning_rate(recipe, step, done=step / 1000) for step in range(1001)]
    assert rates[49] == pytest.approx(5e-4)
    assert rates[100:801] == [1e-3] * 701
    assert rates[900] == pytest.approx(5e-4)
    assert rates[1000] == pytest.approx(0)
    trunk = dataclasses.replace(recipe, decay=0.0)
    assert [learning_rate(trunk, step, done=step / 1000) for step in (100, 999, 1000)] == [1e-3] * 3


def test_a_short_run_warms_up_for_a_tenth_of_it() -> None:
    recipe = tiny("steps=20", "warmup=200", "lr=1e-3")
    assert learning_rate(recipe, 2, done=0.1) == pytest.approx(1e-3)
    assert learning_rate(dataclasses.replace(recipe, steps=1), 0, done=0) == pytest.approx(1e-3)


def test_a_run_that_time_ends_warms_up_for_a_tenth_of_it() -> None:
    """The steps that a limit of time leaves may be fewer than those of the warm-up."""
    recipe = tiny("steps=1000000", "minutes=20", "warmup=100", "lr=1e-3")
    assert learning_rate(recipe, 2, done=0.05) == pytest.approx(5e-4)
    assert learning_rate(recipe, 4, done=0.1) == pytest.approx(1e-3, rel=0.03)


def test_a_budget_of_minutes_ends_a_run_too() -> None:
    assert share_done(tiny("steps=10"), 5, minutes=100) == 0.5
    assert share_done(tiny("steps=10", "minutes=20"), 1, minutes=15) == 0.75
    assert share_done(tiny("steps=10", "minutes=20"), 9, minutes=1) == 0.9
    assert share_done(tiny("steps=10", "minutes=20"), 1, minutes=25) == 1
