"""What a TIFF's own tags say of its samples: the kinds that are read, and why the others are refused.

libvips and libtiff show many kinds that they do not know as if they were RGB, so only the kinds in the table below come to them. Two
kinds that they read in another way are put right here: extra samples that are not alpha, and YCbCr (see `ycbcr`).
"""

import itertools
from dataclasses import dataclass
from typing import Any

from uformer.image import damage, ycbcr
from uformer.image.exif import Encoded
from uformer.image.ifd import (
    BITS,
    COLOUR_MAP,
    COMPRESSION,
    DOT_RANGE,
    EXTRA_SAMPLES,
    INK_SET,
    NUMBER_OF_INKS,
    PHOTOMETRIC,
    PLANAR,
    SAMPLE_FORMAT,
    SAMPLES,
    Directory,
    name_of,
)

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _SEPARATED, _YCBCR, _LAB = 0, 1, 2, 3, 5, 6, 8
_UNSIGNED, _SIGNED, _FLOAT, _VOID = 1, 2, 3, 4
_UNSPECIFIED, _ASSOCIATED = 0, 1
_JPEG = 7

_NEW_SUBFILE_TYPE = 0x00FE
_COMPRESSIONS = {1, 2, 3, 4, 5, _JPEG, 8, 32773, 32946, 50001}  # none, fax, LZW, JPEG, deflate, PackBits, WebP
_ANY_SAMPLES = {(bits, _UNSIGNED) for bits in (1, 2, 4, 8, 16)} | {(32, _FLOAT)}
_REFUSED = {
    4: "a transparency mask",
    9: "ICC L*a*b*",
    10: "ITU L*a*b*",
    32803: "a camera's raw mosaic (CFA)",
    32844: "LogL",
    32845: "LogLuv",
    34892: "a camera's linear raw data",
    51177: "a depth map",
    52527: "a semantic mask",
}
"""Photometric interpretations that are refused, with their names. Numbers in no table are refused too."""


@dataclass(frozen=True)
class _Kind:
    """What is read of one photometric interpretation."""

    name: str
    colours: int
    """Samples of a pixel without its extra samples."""
    samples: set[tuple[int, int]]
    """Bits and sample format."""
    extras: float
    """Most extra samples."""


_WHOLE = {(8, _UNSIGNED), (16, _UNSIGNED)}
_KINDS = {
    _WHITE_IS_ZERO: _Kind("white-is-zero gray", 1, {(bits, _UNSIGNED) for bits in (1, 2, 4, 8, 16)}, 1),
    _BLACK_IS_ZERO: _Kind("gray", 1, _ANY_SAMPLES, float("inf")),
    _RGB: _Kind("RGB", 3, _WHOLE | {(32, _FLOAT)}, float("inf")),
    _PALETTE: _Kind("palette", 1, {(bits, _UNSIGNED) for bits in (1, 2, 4, 8)}, 1),
    _SEPARATED: _Kind("CMYK", 4, _WHOLE, 1),
    _YCBCR: _Kind("YCbCr", 3, {(8, _UNSIGNED)}, 0),
    _LAB: _Kind("Lab", 3, {(16, _UNSIGNED), (16, _SIGNED), (32, _FLOAT)}, 0),
}


@dataclass(frozen=True)
class _Layout:
    photometric: int
    bits: int
    sample_format: int
    samples: int
    extras: tuple[int, ...]
    """What the extra samples are said to be; empty where the file does not say."""

    @property
    def kind(self) -> _Kind:
        return _KINDS[self.photometric]

    @property
    def unspecified(self) -> bool:
        """Whether the sample behind the colours is said to be something else than alpha."""
        return self.extras == (_UNSPECIFIED,) and self.samples == self.kind.colours + 1


def objection(data: Encoded) -> str | None:
    """Why a TIFF is not read, as far as the tags of its first page tell; None where nothing speaks against it."""
    try:
        first = Directory(data)
        (role,) = first.integers(_NEW_SUBFILE_TYPE, 0)[:1] or (0,)
        if role & 1:
            return "its first page is a thumbnail, as in the raw file of a camera; save it with the full image first"
        if role & 4:
            return "its first page is a transparency mask; save it with the image first"
        _layout(first)
        return _of_colours(first) or damage.objection(first)
    except ValueError as error:
        return str(error)


def to_rgb(image: Any, data: Encoded) -> Any:
    """The pyvips image that libvips loaded from a TIFF without objection: YCbCr as RGB, and no extra sample but alpha."""
    first = Directory(data)
    layout = _layout(first)
    if layout.photometric == _YCBCR and first.integer(COMPRESSION, 1) != _JPEG:
        return ycbcr.to_rgb(image, first)
    return image.extract_band(0, n=layout.kind.colours) if layout.unspecified else image


def notes(data: Encoded) -> list[str]:
    """What reading a TIFF without objection leaves out or takes for granted, a line each."""
    layout = _layout(Directory(data))
    found = []
    if layout.unspecified:
        found.append("has an extra channel that is not said to be alpha; it is left out")
    if layout.photometric == _BLACK_IS_ZERO and layout.samples in (3, 4):
        found.append(f"has {layout.samples} channels that are not said to be RGB; they are taken for RGB")
    return found


def _layout(first: Directory) -> _Layout:
    """The kind of the samples. Raises ValueError for a kind that is not read."""
    compression = first.integer(COMPRESSION, 1)
    if compression not in _COMPRESSIONS:  # some of them are decoded whole, in memory
        raise ValueError(f"its compression (number {compression}) is not supported; save it with LZW or deflate")
    if PHOTOMETRIC not in first:
        raise ValueError("it does not say what its samples mean (no PhotometricInterpretation tag); save it as RGB or gray")
    photometric = first.integer(PHOTOMETRIC, 0)
    samples = first.integer(SAMPLES, 1)
    bits, sample_format = _same(first, BITS, 1), _same(first, SAMPLE_FORMAT, _UNSIGNED)
    if sample_format == _VOID:  # "undefined": readers take it for whole numbers
        sample_format = _UNSIGNED
    if photometric not in _KINDS:
        name = _REFUSED.get(photometric, "of an unknown kind")
        raise ValueError(f"its samples are {name} (photometric interpretation {photometric}); convert it to RGB")
    kind = _KINDS[photometric]
    if (bits, sample_format) not in kind.samples:
        raise ValueError(_of_samples(photometric, bits, sample_format))
    extras = first.integers(EXTRA_SAMPLES)
    number = samples - kind.colours
    if number < 0 or len(extras) > number or number > kind.extras or (bits < 8 and number and photometric != _PALETTE):
        raise ValueError(f"{bits}-bit {kind.name} with {_channels(samples, extras)} is not supported; {kind.colours} expected")
    if _ASSOCIATED in extras and not _divides_alpha(photometric, sample_format, number):
        raise ValueError(f"{kind.name} with associated alpha is not supported; save it with unassociated alpha")
    return _Layout(photometric, bits, sample_format, samples, extras)


def _channels(samples: int, extras: tuple[int, ...]) -> str:
    """What to say of a pixel's samples."""
    return f"{samples} channel{'s' * (samples != 1)}" + f", {len(extras)} of them extra," * bool(extras)


def _same(first: Directory, tag: int, default: int) -> int:
    """The value of a tag that has one for each sample. Raises ValueError where they differ."""
    values = first.integers(tag, default)
    if len(set(values)) != 1:
        said = ", ".join(map(str, itertools.islice(values, 8))) or "empty"
        raise ValueError(f"its {name_of(tag)} tag is {said}; all samples of a pixel must have the same")
    return values[0]


def _of_samples(photometric: int, bits: int, sample_format: int) -> str:
    """What to say of samples that are not read."""
    if (photometric, bits) == (_LAB, 8):
        return "Lab of 8 bits is not supported; convert it to RGB, or to Lab of 16 bits"
    name = {_UNSIGNED: "", _FLOAT: " float"}.get(sample_format, " signed or complex")
    if (bits, sample_format) in _ANY_SAMPLES:
        return f"{bits}-bit{name} {_KINDS[photometric].name} is not supported; save it as RGB or gray of 8 or 16 bits"
    return f"samples of {bits} bits{name}; whole numbers of 1, 2, 4, 8 or 16 bits and float of 32 can be read"


def _divides_alpha(photometric: int, sample_format: int, extras: int) -> bool:
    """Whether libvips divides by associated alpha rightly: it takes alpha of gray float for 0 to 255, and divides palette numbers."""
    if photometric in (_RGB, _SEPARATED):
        return extras == 1
    return photometric == _BLACK_IS_ZERO and sample_format != _FLOAT and extras == 1


def _of_colours(first: Directory) -> str | None:
    """What speaks against the colours of a kind that is read otherwise."""
    photometric = first.integer(PHOTOMETRIC, 0)
    bits = _same(first, BITS, 1)
    if photometric == _PALETTE and first.count(COLOUR_MAP) != 3 * 2**bits:
        return f"its palette has {first.count(COLOUR_MAP)} values, expected {3 * 2**bits}"
    if photometric == _SEPARATED:
        inks = first.integer(INK_SET, 1), first.integer(NUMBER_OF_INKS, 4)
        if inks != (1, 4):
            return f"its inks are not CMYK (ink set {inks[0]}, {inks[1]} inks); convert it to RGB"
        if DOT_RANGE in first and first.integers(DOT_RANGE)[:2] != (0, 2**bits - 1):
            return "its inks do not use the whole range (DotRange tag); convert it to RGB"
    if photometric == _YCBCR:
        return ycbcr.objection(first, jpeg=first.integer(COMPRESSION, 1) == _JPEG, planar=first.integer(PLANAR, 1) == 2)
    return None
