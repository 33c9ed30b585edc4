"""Chooses the tiles of an image, by the options, the device and the memory limit."""

import math

from uformer.config import UformerConfig
from uformer.errors import OptionError
from uformer.restore import memory
from uformer.restore.network import Network
from uformer.restore.options import RestoreOptions
from uformer.restore.tiles import TilePlan, plan_freely, plan_squares, plan_tiles

OVERLAP = 32  # pixels
MARGIN = 8  # pixels around an image: enough for a flat image to stay within one 8-bit level (docs/memory.md)


def overlap_of(config: UformerConfig, options: RestoreOptions) -> int:
    """Return the overlap of neighbouring tiles in pixels."""
    return min(OVERLAP, config.multiple // 2) if options.overlap is None else options.overlap


def largest_side(network: Network, options: RestoreOptions, height: int, width: int, budget: int) -> int:
    """Return the side of the largest tile with which an image stays within the memory limit, in bytes.

    Raises OptionError if the requested limit is too low for the smallest tile.
    """
    grain, multiple = network.backend.grain, network.config.multiple
    overlap = overlap_of(network.config, options)
    smallest = max(multiple, math.ceil((overlap + grain) / grain) * grain)
    model = network.backend.memory
    if model is None:
        return memory.LARGEST_TILE
    side = memory.largest_tile(model, height, width, budget, smallest=smallest, step=grain)
    if side is None and options.memory is not None:
        enough = memory.needed(model, height, width, (smallest, smallest), budget)
        raise OptionError(
            f"memory: {options.memory} is too little; this image needs at least {math.ceil(enough / 1e6)}MB"
        )
    return side or smallest


def plan(network: Network, options: RestoreOptions, height: int, width: int, largest: int) -> TilePlan:
    """Return the tiles of an image. `largest`: their largest side, or the one that the options name.

    On an accelerator, images of different sizes share a few tile sizes.
    """
    overlap, grain = overlap_of(network.config, options), network.backend.grain
    shared = {"overlap": overlap, "multiple": grain, "align": grain, "margin": MARGIN}
    if options.tile is None:
        freely = plan_freely if network.backend.device == "cpu" else plan_squares
        return freely(height, width, largest=largest, **shared)
    if options.overlap is None:
        largest = max(largest, overlap + grain)
    return plan_tiles(height, width, tile=largest, **shared)


def make_room(
    network: Network, options: RestoreOptions, height: int, width: int, tile: memory.Size, budget: int
) -> None:
    """Drop graphs that were compiled for earlier images until this image fits in the memory limit."""
    model = network.backend.memory
    if model is not None:
        used = {tile, tile[::-1]} if options.ensemble else {tile}
        network.make_room(memory.room_for_others(model, height, width, tile, used, budget), used)
