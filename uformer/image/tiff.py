"""Which kinds of TIFF samples are read, judged by the file's own tags, and why the others are refused.

libvips decodes kinds that it does not know as if they were RGB, so it only gets files of the kinds in the
table below. Two need a correction after libvips has loaded them: extra channels that are not alpha, and
YCbCr. It never decodes the data of instruments (`data_type`), which `tiff_stack` reads.
"""

import itertools
from dataclasses import dataclass
from typing import Any

from uformer.image import damage, vips, ycbcr
from uformer.image.formats import Encoded
from uformer.image.ifd import (
    BITS,
    COLOUR_MAP,
    COMPRESSION,
    DOT_RANGE,
    EXTRA_SAMPLES,
    INK_SET,
    LENGTH,
    NEW_SUBFILE_TYPE,
    NUMBER_OF_INKS,
    PHOTOMETRIC,
    PLANAR,
    SAMPLE_FORMAT,
    SAMPLES,
    WIDTH,
    Directory,
    name_of,
)
from uformer.words import counted

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _SEPARATED, _YCBCR, _LAB = 0, 1, 2, 3, 5, 6, 8
_UNSIGNED, _SIGNED, _FLOAT, _VOID = 1, 2, 3, 4
_UNSPECIFIED, _ASSOCIATED = 0, 1
_JPEG = 7

# None, fax (2 to 4), LZW, JPEG, deflate (8 and 32946), PackBits, WebP.
_COMPRESSIONS = {1, 2, 3, 4, 5, _JPEG, 8, 32773, 32946, 50001}
_ANY_SAMPLES = {(bits, _UNSIGNED) for bits in (1, 2, 4, 8, 16)} | {(32, _FLOAT)}
_DATA = {
    **{(bits, _SIGNED): f"int{bits}" for bits in (8, 16, 32, 64)},
    **{(bits, _UNSIGNED): f"uint{bits}" for bits in (32, 64)},
    **{(bits, _FLOAT): f"float{bits}" for bits in (16, 64)},
}
"""Samples that instruments write, with the names of their types. No value of such a type means white."""
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
"""Photometric interpretations that are refused by name. A number in neither table is refused as unknown."""


@dataclass(frozen=True)
class _Kind:
    """The samples that are read for one photometric interpretation."""

    name: str
    colours: int
    """Samples per pixel, extra samples not counted."""
    samples: set[tuple[int, int]]
    """Pairs of bits and sample format."""
    extras: float
    """The largest number of extra samples."""


_WHOLE = {(8, _UNSIGNED), (16, _UNSIGNED)}
_KINDS = {
    _WHITE_IS_ZERO: _Kind("white-is-zero gray", 1, _ANY_SAMPLES | {*_DATA}, 1),
    _BLACK_IS_ZERO: _Kind("gray", 1, _ANY_SAMPLES | {*_DATA}, float("inf")),
    _RGB: _Kind("RGB", 3, _WHOLE | {(32, _FLOAT)} | {*_DATA}, float("inf")),
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
    """The values of ExtraSamples; empty if the file has no such tag."""

    @property
    def kind(self) -> _Kind:
        return _KINDS[self.photometric]

    @property
    def unspecified(self) -> bool:
        """Whether the file has one extra sample and says that it is not alpha."""
        return self.extras == (_UNSPECIFIED,) and self.samples == self.kind.colours + 1


def objection(data: Encoded) -> str | None:
    """The reason to refuse a TIFF, judged by the tags of its first page; None if there is no reason."""
    try:
        first = Directory(data)
        (role,) = first.integers(NEW_SUBFILE_TYPE, 0)[:1] or (0,)
        if role & 1:
            return "its first page is a thumbnail, as in a camera raw file; save the full image first"
        if role & 4:
            return "its first page is a transparency mask; save the image first"
        _layout(first)
        return _of_colours(first) or damage.objection(first)
    except ValueError as error:
        return str(error)


def has_channels(data: Encoded) -> bool:
    """Whether the pixels of an accepted TIFF have channels that are neither gray, RGB nor alpha.

    Three or four gray channels do not count, because some programs write RGB like that. Neither does a fourth
    channel of RGB, which libvips takes for alpha.
    """
    layout = _layout(Directory(data))
    if layout.photometric == _RGB:
        return layout.samples > 4
    two = layout.samples == 2 and layout.extras in ((), (_UNSPECIFIED,))
    return layout.photometric == _BLACK_IS_ZERO and (two or layout.samples > 4)


def data_type(data: Encoded) -> str | None:
    """The type of the samples of an accepted TIFF, such as int16, if no value of that type means white."""
    layout = _layout(Directory(data))
    kind = layout.bits, layout.sample_format
    if layout.photometric == _WHITE_IS_ZERO and kind == (32, _FLOAT):  # which cannot be inverted
        return "float32"
    return _DATA.get(kind) if layout.photometric in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB) else None


def placeholder(data: Encoded) -> Any:
    """A pyvips image of the size of a TIFF with a `data_type`, without its pixels."""
    first = Directory(data)
    sides = first.integer(WIDTH, 0), first.integer(LENGTH, 0)
    return vips.blank(*sides, first.integer(SAMPLES, 1), wide=True).cast("float")


def to_rgb(image: Any, data: Encoded) -> Any:
    """The pyvips image of an accepted TIFF, with YCbCr as RGB and no extra channel except alpha."""
    first = Directory(data)
    layout = _layout(first)
    if layout.photometric == _YCBCR and first.integer(COMPRESSION, 1) != _JPEG:
        return ycbcr.to_rgb(image, first)
    return image.extract_band(0, n=layout.kind.colours) if layout.unspecified else image


def notes(data: Encoded) -> list[str]:
    """One line for each thing that reading an accepted TIFF leaves out or assumes."""
    layout = _layout(Directory(data))
    found = []
    if layout.unspecified:
        found.append("has an extra channel that is not alpha; it is left out")
    if layout.photometric == _BLACK_IS_ZERO and layout.samples in (3, 4):
        found.append(f"has {layout.samples} channels that it does not declare as RGB; they are read as RGB")
    return found


def _layout(first: Directory) -> _Layout:
    """The layout of the samples. Raises ValueError for a kind that is not read."""
    compression = first.integer(COMPRESSION, 1)
    if compression not in _COMPRESSIONS:  # some other decoders need the whole image in memory
        what = f"its compression (number {compression})"
        raise ValueError(f"{what} is not supported; save it with LZW or deflate")
    if PHOTOMETRIC not in first:
        raise ValueError("its colours are unknown (no PhotometricInterpretation tag); save it as RGB or gray")
    photometric = first.integer(PHOTOMETRIC, 0)
    samples = first.integer(SAMPLES, 1)
    bits, sample_format = _same(first, BITS, 1), _same(first, SAMPLE_FORMAT, _UNSIGNED)
    if sample_format == _VOID:  # "undefined", which readers treat as integers
        sample_format = _UNSIGNED
    if photometric not in _KINDS:
        name = _REFUSED.get(photometric, "of an unknown kind")
        what = f"{name} (photometric interpretation {photometric})"
        raise ValueError(f"its samples are {what}; convert it to RGB")
    kind = _KINDS[photometric]
    if (bits, sample_format) not in kind.samples:
        raise ValueError(_of_samples(photometric, bits, sample_format))
    extras = first.integers(EXTRA_SAMPLES)
    number = samples - kind.colours  # of extra samples
    too_small = bits < 8 and number and photometric != _PALETTE  # a pixel would not fill whole bytes
    if not len(extras) <= number <= kind.extras or too_small:
        what = f"{bits}-bit {kind.name} with {_channels(samples, extras)}"
        raise ValueError(f"{what} is not supported; {kind.colours} expected")
    if _ASSOCIATED in extras and not _divides_alpha(photometric, sample_format, number):
        what = f"{kind.name} with associated alpha"
        raise ValueError(f"{what} is not supported; save it with unassociated alpha")
    return _Layout(photometric, bits, sample_format, samples, extras)


def _channels(samples: int, extras: tuple[int, ...]) -> str:
    """The samples of a pixel, in words."""
    return counted(samples, "channel") + f", {len(extras)} of them extra," * bool(extras)


def _same(first: Directory, tag: int, default: int) -> int:
    """The value of a tag that has one for each sample. Raises ValueError if they differ."""
    values = first.integers(tag, default)
    if len(set(values)) != 1:
        listed = ", ".join(map(str, itertools.islice(values, 8))) or "empty"
        raise ValueError(f"its {name_of(tag)} tag is {listed}; all samples of a pixel must have the same")
    return values[0]


def _of_samples(photometric: int, bits: int, sample_format: int) -> str:
    """The reason to refuse samples of this size or format."""
    if (photometric, bits) == (_LAB, 8):
        return "8-bit Lab is not supported; convert it to RGB or to 16-bit Lab"
    name = {_UNSIGNED: "", _SIGNED: " signed", _FLOAT: " float"}.get(sample_format, " complex or unknown")
    if (bits, sample_format) in _ANY_SAMPLES | {*_DATA}:
        what = f"{bits}-bit{name} {_KINDS[photometric].name}"
        return f"{what} is not supported; save it as 8-bit or 16-bit RGB or gray"
    return f"{bits}-bit{name} samples are not supported; save them as 8-bit, 16-bit or 32-bit float"


def _divides_alpha(photometric: int, sample_format: int, extras: int) -> bool:
    """Whether libvips divides these colours by associated alpha correctly.

    It assumes that alpha of float gray goes up to 255, inverts before it divides, and divides palette
    indices.
    """
    if photometric in (_RGB, _SEPARATED):
        return extras == 1
    return photometric == _BLACK_IS_ZERO and sample_format != _FLOAT and extras == 1


def _of_colours(first: Directory) -> str | None:
    """The reason to refuse the colours of a kind that is normally read; None if there is no reason."""
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
        jpeg, planar = first.integer(COMPRESSION, 1) == _JPEG, first.integer(PLANAR, 1) == 2
        return ycbcr.objection(first, jpeg=jpeg, planar=planar)
    return None
