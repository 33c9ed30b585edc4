"""Compiled networks stay within a limit for the whole process."""

from typing import cast

import pytest

from uformer.restore.backends.base import Runner
from uformer.restore.compiled import Compiled
from uformer.restore.memory import Size


@pytest.fixture(autouse=True)
def nothing_of_other_tests() -> None:
    Compiled().make_room(0, set())


def keep(compiled: Compiled, *sizes: Size, cost: int = 10) -> None:
    for size in sizes:
        compiled.get(size, cost, lambda: cast(Runner, object()))


def test_a_network_is_made_once() -> None:
    compiled = Compiled()
    made = [compiled.get((64, 64), 10, lambda: cast(Runner, object())) for _ in range(2)]
    assert made[0] is made[1]
    assert compiled.cost == 10


def test_the_ones_not_used_for_the_longest_go_first() -> None:
    compiled = Compiled()
    keep(compiled, (1, 1), (2, 2), (3, 3), (1, 1))
    compiled.make_room(20, set())
    assert compiled.sizes == {(1, 1), (3, 3)}
    compiled.make_room(0, {(3, 3)})
    assert compiled.sizes == {(3, 3)}, "the one that is needed stays, whatever the limit"


def test_the_limit_holds_for_all_networks() -> None:
    first, second = Compiled(), Compiled()
    keep(first, (1, 1), (2, 2))
    keep(second, (1, 1))
    second.make_room(10, {(1, 1)})
    assert (first.cost, second.cost) == (10, 10)
    del first
    keep(second, (3, 3))
    second.make_room(20, set())
    assert second.cost == 20, "what belonged to a network that is gone does not count"
