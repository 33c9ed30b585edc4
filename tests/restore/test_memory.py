"""The memory model: the memory of images and networks, and the plans that are based on it."""

import dataclasses
from collections.abc import Callable

import pytest

from uformer.config import VARIANTS, UformerConfig
from uformer.image.image import Header
from uformer.restore.memory import (
    LARGEST_OF_A_BAND,
    LARGEST_TILE,
    MOST_IN_MEMORY,
    NetworkMemory,
    decoded_size,
    fits_in_memory,
    image_memory,
    largest_tile,
    needed,
    onnx_memory,
    openvino_memory,
    process_budget,
    room_for_others,
    tiles_at_once,
    torch_memory,
)

SMALL = UformerConfig(embed_dim=4, depths=(1,) * 9, num_heads=(1,) * 9, window_size=2)
NEEDS = NetworkMemory(fixed=10**8, per_pixel=1000, another=10**7)


def test_a_picture_fits_where_it_takes_a_third() -> None:
    assert fits_in_memory(10**6, 10**9)
    assert not fits_in_memory(10**6, 10**8)
    assert not fits_in_memory(MOST_IN_MEMORY + 1, 10**12)


def test_a_picture_by_regions_takes_a_row_of_tiles() -> None:
    assert image_memory(1000, 1000, 128, 10**9) > 1000 * 1000 * 12 * 2
    assert image_memory(20000, 20000, 128, 10**9) < 20000 * (128 * 40 + 192 * 40 + 10**4)
    assert image_memory(20000, 20000, 512, 10**9) > 20000 * 512 * 24
    assert image_memory(10, 20000, 512, 10**5) == image_memory(10, 20000, 640, 10**5)


@pytest.mark.parametrize(
    ("channels", "alpha", "depth", "size"), [(3, False, 8, 12), (1, True, 8, 5), (3, True, 16, 14)]
)
def test_what_a_picture_takes(channels: int, depth: int, size: int, *, alpha: bool) -> None:
    header = Header(width=5, height=7, channels=channels, alpha=alpha, depth=depth, suffix=".png")
    assert decoded_size(header) == 35 * size


def test_the_default_budget_is_half_of_this_process_s_share() -> None:
    assert process_budget(None, free=1000) == 500
    assert process_budget(None, free=1000, share=0.25) == 125
    assert process_budget("10%", free=1000, share=0.25) == 100
    assert process_budget("2GB", free=1000, share=0.25) == 2 * 10**9


FIGURES: dict[str, Callable[[UformerConfig], NetworkMemory]] = {
    "openvino": lambda config: openvino_memory(config, "fp32"),
    "torch": torch_memory,
    "onnx": lambda config: onnx_memory(config, 1000),
}


@pytest.mark.parametrize("name", FIGURES)
def test_wider_networks_take_more(name: str) -> None:
    networks = SMALL, VARIANTS["uformer_t"], VARIANTS["uformer_s"]
    tiny, small, wide = (FIGURES[name](config) for config in networks)
    assert tiny.per_pixel < small.per_pixel < wide.per_pixel
    assert 10**8 < tiny.fixed <= small.fixed <= wide.fixed


def test_torch_s_memory_grows_with_the_channels_and_the_network() -> None:
    wide = dataclasses.replace(SMALL, embed_dim=2 * SMALL.embed_dim)
    assert torch_memory(wide).per_pixel == 2 * torch_memory(SMALL).per_pixel
    assert torch_memory(wide).fixed > torch_memory(SMALL).fixed > 400 * 2**20


def test_half_precision_takes_less() -> None:
    assert openvino_memory(SMALL, "bf16").per_pixel < openvino_memory(SMALL, "fp32").per_pixel


def test_only_a_network_that_is_compiled_for_a_size_is_kept() -> None:
    assert NEEDS.kept((100, 200)) == 10**7 + 100 * 200 * 1000
    assert torch_memory(SMALL).kept((100, 200)) == 0


@pytest.mark.parametrize("budget", [2 * 10**8, 4 * 10**8, 8 * 10**8, 10**10])
@pytest.mark.parametrize("sides", [(300, 400), (3000, 2000), (20000, 20000)])
def test_the_largest_tile_is_the_largest_that_fits(budget: int, sides: tuple[int, int]) -> None:
    side = largest_tile(NEEDS, *sides, budget, smallest=32, step=8)
    largest = LARGEST_TILE if fits_in_memory(sides[0] * sides[1], budget) else LARGEST_OF_A_BAND
    if side is None:
        assert needed(NEEDS, *sides, (32, 32), budget) > budget
        return
    assert needed(NEEDS, *sides, (side, side), budget) <= budget
    assert side == largest or needed(NEEDS, *sides, (side + 8, side + 8), budget) > budget


@pytest.mark.parametrize("budget", range(200, 1400, 50))
def test_tiles_are_multiples_of_the_step_down_to_the_smallest(budget: int) -> None:
    """A step of 128 does not divide LARGEST_TILE; sides that were rounded up later exceeded the estimate."""
    side = largest_tile(NEEDS, 5000, 5000, budget * 10**6, smallest=256, step=128)
    if side is None:
        assert needed(NEEDS, 5000, 5000, (256, 256), budget * 10**6) > budget * 10**6
    else:
        assert (side % 128, side >= 256) == (0, True)


def test_more_memory_makes_larger_tiles() -> None:
    sides = [
        largest_tile(NEEDS, 5000, 5000, budget * 10**6, smallest=32, step=8)
        for budget in (200, 300, 500, 700)
    ]
    assert None not in sides
    assert sides == sorted(set(sides), key=lambda side: side or 0)


def test_other_networks_have_what_the_image_leaves() -> None:
    tile, budget = (100, 200), 2 * 10**8
    room = room_for_others(NEEDS, 300, 400, tile, {tile}, budget)
    assert room + needed(NEEDS, 300, 400, tile, budget) == budget
    turned = room_for_others(NEEDS, 300, 400, tile, {tile, (200, 100)}, budget)
    assert room - turned == NEEDS.kept(tile)
    all_of_them = room_for_others(NEEDS, 300, 400, tile, {tile}, 10**12) + NEEDS.kept(tile)
    assert all_of_them == NEEDS.kept((LARGEST_TILE, LARGEST_TILE)), "however large the budget"


@pytest.mark.parametrize(
    ("free", "tiles"), [(None, 1), (0, 1), (7, 1), (8, 2), (15, 3), (16, 4), (31, 7), (1000, 8)]
)
def test_tiles_fill_half_of_the_free_memory(free: int | None, tiles: int) -> None:
    network = NetworkMemory(fixed=10**9, per_pixel=1000)
    assert tiles_at_once(network, (10, 20), None if free is None else free * 100_000) == tiles
