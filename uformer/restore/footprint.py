"""What a picture takes of the memory while it is restored, beside the network."""

MOST_IN_MEMORY = 2**24
"""Pixels of a picture; larger ones are read and written by regions where that is possible."""

_PICTURE = 40
"""Bytes a pixel of a picture in memory: three float32 colours twice, encoded and decoded samples, and something for an alpha."""
_BAND = 40
"""Bytes a pixel of a row of tiles: three float32 colours as they are read, restored, and on their way."""
_CODEC = 10_000
"""Bytes a column that the decoder or the encoder holds of a picture that is read and written by regions."""


def fits_in_memory(pixels: int, budget: int) -> bool:
    """Whether a picture may be held in memory as a whole, where the process may take `budget` bytes in all."""
    return pixels <= MOST_IN_MEMORY and pixels * _PICTURE <= budget // 3


def picture_memory(height: int, width: int, tile: int, budget: int) -> int:
    """Bytes that a picture takes, without the network: all of it where it fits, else what its decoder holds; and a row of its tiles."""
    file = height * width * _PICTURE if fits_in_memory(height * width, budget) else width * _CODEC
    return file + width * min(tile, height) * _BAND
