"""The directories (IFDs) of a TIFF file: a header, and a chain of directories of tags.

An EXIF block is a small TIFF file, so `exif_block` reads it with the same functions. All functions raise
ValueError for a damaged file; its text tells the user what is wrong.
"""

import contextlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from uformer.image.formats import Encoded

NEW_SUBFILE_TYPE, OLD_SUBFILE_TYPE = 254, 255
WIDTH, LENGTH = 256, 257
BITS, COMPRESSION, PHOTOMETRIC = 258, 259, 262
DESCRIPTION, X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 270, 282, 283, 296
STRIP_OFFSETS, SAMPLES, ROWS_PER_STRIP, STRIP_BYTES, PLANAR = 273, 277, 278, 279, 284
PREDICTOR, COLOUR_MAP, JPEG_TABLES = 317, 320, 347
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
BYTES = {2: 1, 7: 1, 13: 4, 18: 8} | {kind: int(name[1]) for kind, name in _NUMBERS.items()} | {5: 8, 10: 8}
"""The size of one value, by the number of its type."""
MOST_TAGS = 4096
"""Maximum number of tags in a directory; libtiff treats more as damage too."""


@dataclass(frozen=True)
class Form:
    """How a TIFF file stores numbers."""

    order: str
    """Byte order: "<" or ">"."""
    big: bool
    """BigTIFF: 64-bit offsets."""

    @property
    def word(self) -> str:
        """The `struct` format of an offset or of a number of values."""
        return self.order + ("Q" if self.big else "I")

    @property
    def endian(self) -> Literal["little", "big"]:
        """The name of the byte order."""
        return "little" if self.order == "<" else "big"

    @property
    def count(self) -> str:
        """The `struct` format of a number of tags."""
        return self.order + ("Q" if self.big else "H")

    @property
    def inline(self) -> int:
        """Bytes of values that fit inside an entry."""
        return 8 if self.big else 4

    @property
    def entry(self) -> int:
        """Size of an entry, in bytes."""
        return 4 + 2 * self.inline


@dataclass(frozen=True)
class Entry:
    """One tag of a directory."""

    tag: int
    kind: int
    """The number of its type."""
    count: int
    """Number of its values."""
    start: int
    """Position of its values in the file."""

    @property
    def size(self) -> int:
        """Size of its values in bytes; a value of a type outside the standards counts as one byte."""
        return self.count * BYTES.get(self.kind, 1)


def header(data: Encoded) -> tuple[Form, int]:
    """The form of a TIFF file, and the offset of its first directory."""
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    version = unpack(order + "H", data, 2)[0] if order and len(data) >= 8 else 0
    if order is None or version not in (42, 43):
        raise ValueError("it has no TIFF header")
    form = Form(order, big=version == 43)
    if form.big and unpack(order + "HH", data, 4) != (8, 0):
        raise ValueError("its BigTIFF header is damaged")
    return form, unpack(form.word, data, 8 if form.big else 4)[0]


def entries(data: Encoded, form: Form, offset: int) -> Iterator[Entry]:
    """The tags of the directory at `offset`, one by one."""
    (count,) = unpack(form.count, data, offset)
    if count > MOST_TAGS:
        raise ValueError(f"its directory at byte {offset} claims {count} tags")
    first = offset + struct.calcsize(form.count)
    for position in range(first, first + count * form.entry, form.entry):
        tag, kind, number = unpack(form.order + "HH" + form.word[1], data, position)
        entry = Entry(tag, kind, number, position + 4 + form.inline)
        yield (
            entry
            if entry.size <= form.inline
            else replace(entry, start=unpack(form.word, data, entry.start)[0])
        )


def next_directory(data: Encoded, form: Form, offset: int) -> int:
    """The offset of the directory after the one at `offset`; 0 if it is the last."""
    (count,) = unpack(form.count, data, offset)
    return unpack(form.word, data, offset + struct.calcsize(form.count) + count * form.entry)[0]


def pages(data: Encoded) -> Iterator[int]:
    """The offset of each page's directory in turn; ends at a loop or a malformed directory."""
    seen: set[int] = set()
    with contextlib.suppress(ValueError):
        form, offset = header(data)
        while offset and offset not in seen:
            seen.add(offset)
            yield offset
            offset = next_directory(data, form, offset)


def unpack(form: str, data: Encoded, offset: int) -> tuple[int, ...]:
    """Like struct.unpack_from, with an error that states where the file ends."""
    if offset + struct.calcsize(form) > len(data):
        raise ValueError(f"its directory should lie at byte {offset}, but the file ends at byte {len(data)}")
    return struct.unpack_from(form, data, offset)


def name_of(tag: int) -> str:
    """The name of a tag in the TIFF standard."""
    return _NAMES.get(tag, f"tag {tag}")


class Directory:
    """The tags of one image."""

    next: int
    """The offset of the next page's directory; 0 for the last page."""

    def __init__(self, data: Encoded, offset: int | None = None) -> None:
        """Read the directory at `offset`, by default the first."""
        self._data = data
        form, first = header(data)
        self._order, offset = form.order, first if offset is None else offset
        found = list(entries(data, form, offset))
        if not found:
            raise ValueError(f"its directory at byte {offset} claims 0 tags")
        # The first entry of a repeated tag wins, as in libtiff.
        self._fields = {entry.tag: entry for entry in reversed(found)}
        self.next = next_directory(data, form, offset)

    def __contains__(self, tag: int) -> bool:
        return tag in self._fields

    def count(self, tag: int) -> int:
        """The number of values of a tag; 0 if the tag is absent."""
        return self._fields[tag].count if tag in self._fields else 0

    def size(self, tag: int) -> int:
        """The claimed size in bytes of a tag's values; 0 if the tag is absent."""
        return self._fields[tag].size if tag in self._fields else 0

    def of_unknown_type(self) -> list[int]:
        """The tags with a type outside the standards, in ascending order."""
        return sorted(tag for tag, field in self._fields.items() if field.kind not in BYTES)

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
            raise ValueError(f"its {name_of(tag)} tag has a wrong type ({field.kind})")
        pairs = np.frombuffer(self._bytes(tag), self._order + _FRACTIONS[field.kind]).reshape(-1, 2).tolist()
        return tuple(above / below if below else 0.0 for above, below in pairs)

    def integers(self, tag: int, *default: int) -> tuple[int, ...]:
        """The values of an integer tag; `default` if the tag is absent."""
        values = self.numbers(tag, *default)
        if not all(isinstance(value, int) for value in values):
            raise ValueError(f"its {name_of(tag)} tag has a wrong type")
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

    def _bytes(self, tag: int) -> bytes:
        field = self._fields[tag]
        if field.start + field.size > len(self._data):
            raise ValueError(f"its {name_of(tag)} tag points beyond the end of the file; it is damaged")
        return self._data[field.start : field.start + field.size]
