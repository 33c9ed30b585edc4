"""The memory model: every share of the memory, and every figure per pixel, that the restorer plans with.

docs/memory.md says what was measured; each backend's tests compare its figures with what a process takes.
"""

from dataclasses import dataclass

from uformer.config import UformerConfig
from uformer.image.image import Header
from uformer.layout import parameter_count
from uformer.restore.options import memory_in_bytes

Size = tuple[int, int]
"""Height and width of a tile, pixels."""

SHARE = 0.5
"""Of the free memory: what the whole process may take by default."""
SHARE_FOR_IMAGE = 1 / 3
"""Of what the process may take: the most for an image; a larger one is read and written by regions."""
SHARE_FOR_WAITING = 1 / 8
"""Of what the process may take: for images that wait to be restored or written."""

MOST_IN_MEMORY = 2**24
"""Pixels of an image; a larger one is read and written by regions, whatever the memory."""
LARGEST_TILE = 832
"""Side in pixels; larger tiles were no faster."""
LARGEST_OF_A_BAND = 640
"""The same for an image that is not in memory as a whole, where a row of tiles is what counts."""

_IMAGE = 40
"""Bytes per pixel of an image in memory: three float32 colours twice, encoded and decoded samples, alpha."""
_BAND = 40
"""Bytes per pixel of a row of tiles: three float32 colours as they are read, restored, and on their way."""
_CODEC = 10_000
"""Bytes per column that the decoder or the encoder holds of an image that is read and written by regions."""


@dataclass(frozen=True, kw_only=True)
class NetworkMemory:
    """Bytes of the process's memory that a network takes."""

    fixed: int
    """Whatever the tile, the process itself included."""
    per_pixel: int
    """For each pixel of a tile, at the peak."""
    another: int = 0
    """For each further compiled size of tile, beside its pixels; 0 where one network serves all sizes."""

    def kept(self, tile: Size) -> int:
        """Bytes that the network for one more size of tile takes; 0 where one network serves all sizes."""
        return self.another + tile[0] * tile[1] * self.per_pixel if self.another else 0


def openvino_memory(config: UformerConfig, precision: str) -> NetworkMemory:
    """The figures of OpenVINO, fitted to runs of tiles of 256 and 512 of eight networks.

    `another` was fitted to uformer_t, _s and _b in float32 (80 MB), with 50 MB more for what each one leaves
    behind in the allocator.
    """
    dim = config.stage_dims[-1]
    sample = 4 if precision == "fp32" else 2
    hidden = int(dim * config.mlp_ratio)
    return NetworkMemory(
        fixed=150 * 2**20 + 8 * parameter_count(config),
        per_pixel=sample * max(2 * hidden, 6 * dim) + _encoder_feature(config) + 450,
        another=130 * 10**6 + 8 * parameter_count(config),
    )


def torch_memory(config: UformerConfig) -> NetworkMemory:
    """The figures of torch on a CPU, torch itself included, fitted to runs of three networks."""
    fixed = 450 * 2**20 + 12 * parameter_count(config)
    return NetworkMemory(fixed=fixed, per_pixel=100 * config.stage_dims[-1])


def onnx_memory(config: UformerConfig, file_size: int) -> NetworkMemory:
    """The figures of onnxruntime, fitted to runs of tiles of 256 and 512.

    `file_size`: bytes of the exported file.
    """
    dim = config.stage_dims[-1]
    values = 4 * int(dim * config.mlp_ratio) + 18 * dim + _encoder_feature(config)
    return NetworkMemory(fixed=200 * 2**20 + 4 * file_size, per_pixel=4 * values + 200)


def _encoder_feature(config: UformerConfig) -> int:
    """What cross-attention holds per pixel: the encoder's feature, as it is and normalized."""
    return 0 if config.skip == "concat" else 16 * config.stage_dims[-1]


def process_budget(asked: str | None, *, free: int, share: float = 1.0) -> int:
    """Bytes that the whole process may take: the amount asked for, by default half of what is free.

    `share`: the part of the default that is this process's, where several processes share a machine.
    """
    if asked is None:
        return int(free * SHARE * share)
    return memory_in_bytes(asked, free=free)


def decoded_size(header: Header) -> int:
    """Bytes that an image takes once it is read."""
    return header.pixels * (4 * header.channels + (header.depth // 8 if header.alpha else 0))


def fits_in_memory(pixels: int, budget: int) -> bool:
    """Whether an image may be in memory as a whole, where the process may take `budget` bytes in all."""
    return pixels <= MOST_IN_MEMORY and pixels * _IMAGE <= budget * SHARE_FOR_IMAGE


def image_memory(height: int, width: int, tile: int, budget: int) -> int:
    """Bytes that an image takes without the network: itself, or its codec if it does not fit; and a row of tiles."""
    whole = fits_in_memory(height * width, budget)
    image = height * width * _IMAGE if whole else width * _CODEC
    return image + width * min(tile, height) * _BAND


def needed(network: NetworkMemory, height: int, width: int, tile: Size, budget: int) -> int:
    """Bytes that the process takes for an image of these sides and tiles of this size."""
    of_network = network.fixed + tile[0] * tile[1] * network.per_pixel
    return of_network + image_memory(height, width, tile[0], budget)


def largest_tile(
    network: NetworkMemory,
    height: int,
    width: int,
    budget: int,
    *,
    smallest: int,
    step: int,
) -> int | None:
    """Side of the largest tile with which an image stays within the budget; None where no tile does."""
    largest = LARGEST_TILE if fits_in_memory(height * width, budget) else LARGEST_OF_A_BAND
    for side in range(max(largest, smallest), smallest - 1, -step):
        if needed(network, height, width, (side, side), budget) <= budget:
            return side
    return None


def room_for_others(
    network: NetworkMemory,
    height: int,
    width: int,
    tile: Size,
    used: set[Size],
    budget: int,
) -> int:
    """Bytes that may stay compiled for other sizes beside an image with this tile and the sizes in `used`.

    `tile` is one of `used`. All compiled networks together take no more than one for the largest tile, even
    where the budget has room for more.
    """
    room = budget - needed(network, height, width, tile, budget) + network.kept(tile)
    most = network.kept((LARGEST_TILE, LARGEST_TILE))
    return min(room, most) - sum(network.kept(size) for size in used)
