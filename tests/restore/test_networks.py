"""Compiled networks are kept within a limit that holds for the whole process."""

import pickle
from typing import cast

import numpy as np
import pytest

from tests.networks import TINY
from uformer.restore.backends.base import Backend
from uformer.restore.backends.openvino import OpenVINOBackend
from uformer.restore.networks import Networks, Size
from uformer.restore.options import RestoreOptions
from uformer.restore.restorer import Restorer

SIDES = [(side, side + 32) for side in range(32, 32 * 13, 32)]
"""Of 12 images; each needs a network of its own."""


@pytest.fixture(autouse=True)
def nothing_of_other_tests() -> None:
    for each in list(Networks._all):
        each.clear()


def keep(networks: Networks, *sizes: Size, cost: int = 10) -> None:
    for size in sizes:
        networks.get(size, cost, lambda: cast(Backend, object()))


def test_a_network_is_made_once() -> None:
    networks = Networks()
    made = [networks.get((64, 64), 10, lambda: cast(Backend, object())) for _ in range(2)]
    assert made[0] is made[1]
    assert networks.cost == 10


def test_the_ones_not_used_for_the_longest_go_first() -> None:
    networks = Networks()
    keep(networks, (1, 1), (2, 2), (3, 3), (1, 1))
    networks.make_room(20, set())
    assert set(networks._kept) == {(1, 1), (3, 3)}
    networks.make_room(0, {(3, 3)})
    assert set(networks._kept) == {(3, 3)}, "the one that is needed stays, whatever the limit"


def test_the_limit_holds_for_all_restorers() -> None:
    first, second = Networks(), Networks()
    keep(first, (1, 1), (2, 2))
    keep(second, (1, 1))
    second.make_room(10, {(1, 1)})
    assert (first.cost, second.cost) == (10, 10)
    del first
    keep(second, (3, 3))
    second.make_room(20, set())
    assert second.cost == 20, "networks of a restorer that is gone do not count"


def test_networks_are_dropped_within_the_memory_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[Size] = []

    def infer(backend: OpenVINOBackend, tiles: np.ndarray) -> np.ndarray:
        sizes.append(backend._size)
        return tiles

    monkeypatch.setattr(OpenVINOBackend, "__call__", infer)
    restorer = Restorer(TINY, {}, RestoreOptions(backend="openvino", memory="600MB"))
    for height, width in SIDES:
        restorer.restore_pixels(np.zeros((height, width, 3), np.float32))
        needed = restorer._memory_needed(height, width, sizes[-1])
        assert needed + restorer._networks.cost - restorer._kept_memory(*sizes[-1]) <= 600_000_000
    assert len(set(sizes)) == len(SIDES)
    assert 1 < len(restorer._networks._kept) < len(SIDES)


def test_a_turned_network_counts_unless_the_ensemble_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for ensemble, kept in ((False, {(20, 36)}), (True, {(20, 36), (36, 20)})):
        options = RestoreOptions(backend="openvino", memory="400MB", ensemble=ensemble)
        restorer = Restorer(TINY, {}, options)
        monkeypatch.setattr(restorer, "_kept_memory", lambda *_: 200_000_000)
        keep(restorer._networks, (36, 20), (20, 36), cost=200_000_000)
        restorer._drop_networks(4, 20, (20, 36))
        assert set(restorer._networks._kept) == kept


def test_a_restorer_of_another_process_begins_with_none() -> None:
    restorer = Restorer(TINY, {}, RestoreOptions(backend="openvino"))
    keep(restorer._networks, (64, 64))
    again = pickle.loads(pickle.dumps(restorer))
    assert (restorer._networks.cost, again._networks.cost) == (10, 0)
