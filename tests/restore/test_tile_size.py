"""The tiles of an image: their overlap and their largest side."""

import pytest

from tests.restore.test_restorer import make
from uformer.errors import OptionError
from uformer.restore.memory import LARGEST_TILE, NetworkMemory
from uformer.restore.options import RestoreOptions
from uformer.restore.tile_size import largest_side, make_room, overlap_of, plan


def test_the_overlap_is_that_of_the_options_or_half_of_the_smallest_tile() -> None:
    config = make(lambda tiles: tiles)[0].config
    assert overlap_of(config, RestoreOptions(overlap=5)) == 5
    assert overlap_of(config, RestoreOptions()) == min(32, config.multiple // 2)


def test_too_little_memory_is_an_error_only_if_it_was_asked_for() -> None:
    restorer, backend = make(lambda tiles: tiles)
    asked = RestoreOptions(memory="1MB")
    assert largest_side(restorer.network, asked, 40, 70, 10**6) == LARGEST_TILE
    backend.memory = NetworkMemory(fixed=10**8, per_pixel=100)
    assert largest_side(restorer.network, RestoreOptions(), 40, 70, 10**6) < 64
    with pytest.raises(OptionError, match="memory: 1MB is too little; this image needs at least"):
        largest_side(restorer.network, asked, 40, 70, 10**6)
    make_room(restorer.network, asked, 40, 70, (32, 32), 10**6)


def test_accelerators_get_squares_unless_a_tile_was_asked_for() -> None:
    restorer, backend = make(lambda tiles: tiles)
    for device, asked, tile in (
        ("cpu", None, (400, 528)),
        ("cuda:1", None, (544, 544)),
        ("cuda:1", 832, (400, 528)),
    ):
        backend.device = device
        assert plan(restorer.network, RestoreOptions(tile=asked), 384, 512, 832).tile == tile, device
