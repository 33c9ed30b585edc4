"""The directories (IFDs) of a TIFF file, read by the checks that tell the user what is wrong with a file.

`exif` reads directories as well, but only for their values: it treats a malformed directory as empty.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from uformer.image.exif import Encoded

WIDTH, LENGTH = 256, 257
BITS, COMPRESSION, PHOTOMETRIC = 258, 259, 262
STRIP_OFFSETS, SAMPLES, ROWS_PER_STRIP, STRIP_BYTES, PLANAR = 273, 277, 278, 279, 284
COLOUR_MAP = 320
TILE_WIDTH, TILE_LENGTH, TILE_OFFSETS, TILE_BYTES = 322, 323, 324, 325
INK_SET, NUMBER_OF_INKS, DOT_RANGE, EXTRA_SAMPLES, SAMPLE_FORMAT = 332, 334, 336, 338, 339
YCBCR_COEFFICIENTS, YCBCR_SUBSAMPLING, REFERENCE_BLACK_WHITE = 529, 530, 532

_NAMES = {
    WIDTH: "ImageWidth",
    LENGTH: "ImageLength",
    BITS: "BitsPerSample",
    COMPRESSION: "Compression",
    PHOTOMETRIC: "PhotometricInterpretation",
    STRIP_OFFSETS: "StripOffsets",
    SAMPLES: "SamplesPerPixel",
    ROWS_PER_STRIP: "RowsPerStrip",
    STRIP_BYTES: "StripByteCounts",
    PLANAR: "PlanarConfiguration",
    COLOUR_MAP: "ColorMap",
    TILE_WIDTH: "TileWidth",
    TILE_LENGTH: "TileLength",
    TILE_OFFSETS: "TileOffsets",
    TILE_BYTES: "TileByteCounts",
    INK_SET: "InkSet",
    NUMBER_OF_INKS: "NumberOfInks",
    DOT_RANGE: "DotRange",
    EXTRA_SAMPLES: "ExtraSamples",
    SAMPLE_FORMAT: "SampleFormat",
    YCBCR_COEFFICIENTS: "YCbCrCoefficients",
    YCBCR_SUBSAMPLING: "YCbCrSubSampling",
    REFERENCE_BLACK_WHITE: "ReferenceBlackWhite",
}

_NUMBERS = {1: "u1", 3: "u2", 4: "u4", 6: "i1", 8: "i2", 9: "i4", 11: "f4", 12: "f8", 16: "u8", 17: "i8"}
_FRACTIONS = {5: "u4", 10: "i4"}
_BYTES = {2: 1, 7: 1, 13: 4, 18: 8} | {kind: int(name[1]) for kind, name in _NUMBERS.items()} | {5: 8, 10: 8}
_MOST_TAGS = 4096  # libtiff treats more as damage, too


@dataclass(frozen=True)
class _Field:
    kind: int
    count: int
    start: int
    """Position of its values in the file."""


def name_of(tag: int) -> str:
    """The name of a tag in the TIFF standard."""
    return _NAMES.get(tag, f"tag {tag}")


class Directory:
    """The tags of one image. All methods raise ValueError for a damaged file; its text says what is wrong."""

    next: int
    """Where the directory of the next page lies; 0 for none."""

    def __init__(self, data: Encoded, offset: int | None = None) -> None:
        """Read the directory at `offset`, by default the first."""
        self._data = data
        order = {b"II": "<", b"MM": ">"}.get(data[:2])
        if order is None or len(data) < 8 or self._unpack(order + "H", 2)[0] not in (42, 43):
            raise ValueError("it has no TIFF header")
        self._order, big = order, self._unpack(order + "H", 2)[0] == 43
        self._word = order + ("Q" if big else "I")  # an offset, or a number of values
        self._count = order + ("Q" if big else "H")  # a number of tags
        self._inline = 8 if big else 4  # bytes of values that fit into an entry
        if big and self._unpack(order + "HH", 4) != (8, 0):
            raise ValueError("its BigTIFF header is damaged")
        first = self._unpack(self._word, 8 if big else 4)[0]
        self._fields = dict(self._read(first if offset is None else offset))

    def __contains__(self, tag: int) -> bool:
        return tag in self._fields

    def count(self, tag: int) -> int:
        """The number of values of a tag; 0 if it is absent."""
        return self._fields[tag].count if tag in self._fields else 0

    def of_unknown_type(self) -> list[int]:
        """The tags whose type is in no standard, in ascending order."""
        return sorted(tag for tag, field in self._fields.items() if field.kind not in _BYTES)

    def type_of(self, tag: int) -> int:
        """The number of a tag's type."""
        return self._fields[tag].kind

    def numbers(self, tag: int, *default: float) -> tuple[float, ...]:
        """The values of a numeric tag, fractions divided out; `default` if the tag is absent."""
        if tag not in self._fields:
            return default
        field = self._fields[tag]
        if field.kind in _NUMBERS:
            return tuple(np.frombuffer(self._bytes(tag), self._order + _NUMBERS[field.kind]).tolist())
        if field.kind not in _FRACTIONS:
            raise ValueError(f"its {name_of(tag)} tag is of a wrong type ({field.kind})")
        pairs = np.frombuffer(self._bytes(tag), self._order + _FRACTIONS[field.kind]).reshape(-1, 2).tolist()
        return tuple(above / below if below else 0.0 for above, below in pairs)

    def integers(self, tag: int, *default: int) -> tuple[int, ...]:
        """The values of an integer tag; `default` if the tag is absent."""
        values = self.numbers(tag, *default)
        if not all(isinstance(value, int) for value in values):
            raise ValueError(f"its {name_of(tag)} tag is of a wrong type")
        return tuple(int(value) for value in values)

    def integer(self, tag: int, default: int) -> int:
        """The single value of an integer tag; `default` if the tag is absent."""
        count = self.count(tag)
        if tag in self and count != 1:
            raise ValueError(f"its {name_of(tag)} tag has {count} values, expected 1")
        return self.integers(tag, default)[0]

    def text(self, tag: int) -> str:
        """The value of a text tag; empty if the tag is absent."""
        if tag not in self:
            return ""
        return self._bytes(tag).split(b"\0")[0].decode("latin-1").strip()

    def _read(self, offset: int) -> Iterator[tuple[int, _Field]]:
        """Yield each tag with its field, last to first: the first of a repeated tag wins, as in libtiff."""
        (count,) = self._unpack(self._count, offset)
        if not 0 < count <= _MOST_TAGS:
            raise ValueError(f"its directory at byte {offset} claims {count} tags")
        start, size = offset + struct.calcsize(self._count), 4 + 2 * self._inline
        entry = self._order + "HH" + self._word[1]
        for position in reversed(range(start, start + count * size, size)):
            tag, kind, number = self._unpack(entry, position)
            place = position + 4 + self._inline
            long = number * _BYTES.get(kind, 1) > self._inline
            yield tag, _Field(kind, number, self._unpack(self._word, place)[0] if long else place)
        (self.next,) = self._unpack(self._word, start + count * size)

    def _bytes(self, tag: int) -> bytes:
        field = self._fields[tag]
        size = field.count * _BYTES.get(field.kind, 1)
        if field.start + size > len(self._data):
            raise ValueError(f"its {name_of(tag)} tag points beyond the end of the file; it is damaged")
        return self._data[field.start : field.start + size]

    def _unpack(self, form: str, offset: int) -> tuple[int, ...]:
        if offset + struct.calcsize(form) > len(self._data):
            end = len(self._data)
            raise ValueError(f"its directory should lie at byte {offset}, but the file ends at byte {end}")
        return struct.unpack_from(form, self._data, offset)
