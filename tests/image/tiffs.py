"""Small TIFF files built byte by byte, for kinds that no available writer supports."""

import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

TYPES = {1: "B", 2: "B", 3: "H", 4: "I", 7: "B", 11: "f", 12: "d"}
RATIONAL = 5

Tag = tuple[int, Sequence[Any]]


def tiff(
    pieces: Sequence[bytes],
    *,
    width: int,
    height: int,
    bits: int | Sequence[int] = 8,
    photometric: int | None = 1,
    samples: int = 1,
    order: str = "<",
    tags: Mapping[int, Tag | None] | None = None,
) -> bytes:
    """A one-page TIFF. `tags`: type and values of further tags; None leaves a tag out."""
    fields: dict[int, Tag] = {
        256: (4, [width]),
        257: (4, [height]),
        258: (3, [bits] * samples if isinstance(bits, int) else bits),
        259: (3, [1]),
        273: (4, offsets(pieces)),
        277: (3, [samples]),
        278: (4, [height]),
        279: (4, [len(piece) for piece in pieces]),
    }
    if photometric is not None:
        fields[262] = (3, [photometric])
    for tag, field in (tags or {}).items():
        fields.pop(tag, None)
        if field is not None:
            fields[tag] = field
    body = b"".join(pieces)
    body += bytes(len(body) % 2)
    mark = b"II*\0" if order == "<" else b"MM\0*"
    return mark + struct.pack(order + "I", 8 + len(body)) + body + directory(fields, 8 + len(body), order)


def offsets(pieces: Sequence[bytes]) -> list[int]:
    """The position of each strip or tile."""
    return [8 + sum(map(len, pieces[:index])) for index in range(len(pieces))]


def directory(fields: Mapping[int, Tag], at: int, order: str = "<", following: int = 0) -> bytes:
    """An IFD to be placed at `at`, followed by its values."""
    head, tail = struct.pack(order + "H", len(fields)), b""
    behind = at + 2 + 12 * len(fields) + 4
    for tag, (kind, values) in sorted(fields.items()):
        if kind == RATIONAL:
            data = b"".join(struct.pack(order + "II", *value) for value in values)
        else:
            data = struct.pack(order + TYPES[kind] * len(values), *values)
        head += struct.pack(order + "HHI", tag, kind, len(values))
        if len(data) > 4:
            head += struct.pack(order + "I", behind + len(tail))
            tail += data + bytes(len(data) % 2)
        else:
            head += data.ljust(4, b"\0")
    return head + struct.pack(order + "I", following) + tail


def packed(values: np.ndarray, bits: int) -> bytes:
    """Rows of numbers with a few bits each; each row is padded to a whole byte."""
    digits = (values.reshape(len(values), -1, 1) >> np.arange(bits - 1, -1, -1)) & 1
    return np.packbits(digits.reshape(len(values), -1).astype(np.uint8), axis=1).tobytes()


def subsampled(ycc: np.ndarray, across: int, down: int) -> tuple[bytes, np.ndarray]:
    """Subsampled YCbCr in TIFF's layout (per block: luma, Cb, Cr), and the samples that it stands for."""
    height, width, _ = ycc.shape
    padded = np.pad(ycc, ((0, -height % down), (0, -width % across), (0, 0)), mode="edge")
    meant, data = padded.copy(), b""
    for row in range(0, height, down):
        for column in range(0, width, across):
            block = padded[row : row + down, column : column + across]
            data += block[..., 0].tobytes() + block[0, 0, 1:].tobytes()
            meant[row : row + down, column : column + across, 1:] = block[0, 0, 1:]
    return data, meant[:height, :width]
