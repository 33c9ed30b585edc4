"""The memory model: the shares of memory and the bytes per pixel with which the restorer chooses its tiles.

docs/memory.md has the measurements. Each backend's tests compare its figures with the memory that a process
takes.
"""

from dataclasses import dataclass

from uformer.config import UformerConfig
from uformer.image.image import Header
from uformer.layout import parameter_count
from uformer.values import memory_in_bytes

Size = tuple[int, int]
"""Height and width of a tile, in pixels."""

SHARE = 0.5
"""Default memory limit of the whole process, as a share of free memory."""
SHARE_FOR_IMAGE = 1 / 3
"""Share of the memory limit that one image may take; a larger image is read and written by regions."""
SHARE_FOR_WAITING = 1 / 8
"""Share of the memory limit for images that wait to be restored or written."""

MOST_IN_MEMORY = 2**24
"""Pixels; a larger image is read and written by regions, whatever the memory limit."""
LARGEST_TILE = 832
"""Side in pixels; larger tiles were no faster."""
LARGEST_OF_A_BAND = 640
"""Side in pixels for an image that is read by regions, whose memory is mainly a row of tiles."""
MOST_TILES = 8
"""Tiles that a device restores at once; the process holds them before and after."""

_IMAGE = 40
"""Bytes per pixel of an image in memory: three float32 colours twice, encoded and decoded samples, alpha."""
_BAND = 40
"""Bytes per pixel of a row of tiles: three float32 colours as read, as restored, and in transit."""
_CONTROLS = 32
"""Bytes per pixel of the rows that the controls and locked tones hold: image and change, and copies."""
_CONTROLLED_ROWS = 192
_CODEC = 10_000
"""Bytes per column that the decoder or encoder holds for an image that is read and written by regions."""


@dataclass(frozen=True, kw_only=True)
class NetworkMemory:
    """The memory of the process that a network takes, in bytes."""

    fixed: int
    """Memory that does not depend on the tile, including the process itself."""
    per_pixel: int
    """Peak memory per pixel of a tile."""
    another: int = 0
    """Memory of each further compiled tile size, apart from its pixels; 0 if one network serves all sizes."""

    def kept(self, tile: Size) -> int:
        """Return the bytes of the network for one more tile size; 0 if one network serves all sizes."""
        return self.another + tile[0] * tile[1] * self.per_pixel if self.another else 0


def openvino_memory(config: UformerConfig, precision: str) -> NetworkMemory:
    """Return the memory of OpenVINO, fitted to runs of eight networks with tiles of 256 and 512 pixels.

    `another` was fitted to uformer_t, _s and _b in float32 (80 MB); 50 MB are added for the memory that each
    compiled graph leaves in the allocator.
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
    """Return the memory of torch on a CPU, including torch itself, fitted to runs of three networks."""
    fixed = 450 * 2**20 + 12 * parameter_count(config)
    return NetworkMemory(fixed=fixed, per_pixel=100 * config.stage_dims[-1])


def onnx_memory(config: UformerConfig, file_size: int) -> NetworkMemory:
    """Return the memory of onnxruntime, fitted to runs with tiles of 256 and 512 pixels.

    `file_size`: size of the exported file in bytes.
    """
    dim = config.stage_dims[-1]
    values = 4 * int(dim * config.mlp_ratio) + 18 * dim + _encoder_feature(config)
    return NetworkMemory(fixed=200 * 2**20 + 4 * file_size, per_pixel=4 * values + 200)


def _encoder_feature(config: UformerConfig) -> int:
    """Return the bytes per pixel that cross-attention holds: the encoder's feature, raw and normalized."""
    return 0 if config.skip == "concat" else 16 * config.stage_dims[-1]


def process_budget(asked: str | None, *, free: int, share: float = 1.0) -> int:
    """Return the memory limit of the whole process in bytes: `asked`, by default half of the `free` bytes.

    `share`: the part of the default for this process, if several processes share a machine.
    """
    if asked is None:
        return int(free * SHARE * share)
    return memory_in_bytes(asked, free=free)


def decoded_size(header: Header) -> int:
    """Return the bytes of an image after decoding."""
    return header.pixels * (4 * header.channels + (header.depth // 8 if header.alpha else 0))


def answer_size(header: Header) -> int:
    """Return the bytes of a Restoration of a file: the samples of the image, alpha, and the residual."""
    sample = header.depth // 8
    return header.pixels * (header.channels * (sample + 2) + (sample if header.alpha else 0))


def whole_image(pixels: int) -> int:
    """Return the bytes of an image in memory while it is restored, without the network."""
    return pixels * _IMAGE


def fits_in_memory(pixels: int, budget: int) -> bool:
    """Return whether an image may be in memory as a whole, if the limit of the process is `budget` bytes."""
    return pixels <= MOST_IN_MEMORY and whole_image(pixels) <= budget * SHARE_FOR_IMAGE


def image_memory(height: int, width: int, tile: int, budget: int) -> int:
    """Return the bytes of an image (or of its codec, if it does not fit) and of the rows in work."""
    whole = fits_in_memory(height * width, budget)
    image = height * width * _IMAGE if whole else width * _CODEC
    rows = min(tile, height) * _BAND + min(_CONTROLLED_ROWS, height) * _CONTROLS
    return image + width * rows


def needed(network: NetworkMemory, height: int, width: int, tile: Size, budget: int) -> int:
    """Return the bytes that the process takes for an image of this size with tiles of this size."""
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
    """Return the side of the largest tile with which an image fits in the budget; None if no tile fits.

    Sides are multiples of `step`, as is `smallest`.
    """
    largest = LARGEST_TILE if fits_in_memory(height * width, budget) else LARGEST_OF_A_BAND
    for side in range(max(largest // step * step, smallest), smallest - 1, -step):
        if needed(network, height, width, (side, side), budget) <= budget:
            return side
    return None


def tiles_at_once(network: NetworkMemory, tile: Size, free: int | None) -> int:
    """Return the number of tiles that a device with `free` bytes of its own takes at once.

    The network may take half of the free memory. None for `free` means that the driver does not say it.
    """
    fitting = int((free or 0) * SHARE) // (tile[0] * tile[1] * network.per_pixel)
    return min(max(fitting, 1), MOST_TILES)


def room_for_others(
    network: NetworkMemory,
    height: int,
    width: int,
    tile: Size,
    used: set[Size],
    budget: int,
) -> int:
    """Return the bytes that may stay compiled for other tile sizes while an image of this size is restored.

    The image uses the tile sizes `used`, of which `tile` is one. All compiled graphs together take no more
    than one graph for the largest tile, even if the budget has room for more.
    """
    room = budget - needed(network, height, width, tile, budget) + network.kept(tile)
    most = network.kept((LARGEST_TILE, LARGEST_TILE))
    return min(room, most) - sum(network.kept(size) for size in used)
