"""A picture in memory: its pixels, and everything else that came with them."""

import dataclasses
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from uformer.errors import PictureError

Pixels = NDArray[np.float32]
Alpha = NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """What a file says about its picture, byte for byte; only the orientation is reset to 1, as the pixels are upright."""

    icc: bytes | None = None
    """Colour profile; None means sRGB (or its gray)."""
    exif: bytes | None = None
    """EXIF block, from its byte order mark on (without the "Exif" that JPEG puts in front)."""
    xmp: bytes | None = None
    iptc: bytes | None = None
    """What a JPEG's APP13 segment holds, from its "Photoshop 3.0" on."""
    resolution: tuple[float, float] | None = None
    """Pixels per millimetre across and down; None if unknown."""


@dataclass(frozen=True, kw_only=True)
class JpegCoding:
    """How a JPEG file was written."""

    quality: int
    """1 to 100, libjpeg's scale."""
    subsampled: bool
    """Whether the colours have half the resolution in both directions (4:2:0)."""
    progressive: bool


@dataclass(frozen=True, kw_only=True)
class Header:
    """What a picture file says of itself before its pixels are decoded."""

    width: int
    """Upright, in pixels."""
    height: int
    channels: int
    """Colours that `read` would give: 1 (gray) or 3; gray pictures in formats without gray (WebP, AVIF) count as 3."""
    alpha: bool
    depth: int
    """Bits of a sample, as of Image.depth."""
    suffix: str
    """Of its format, as of Image.suffix."""
    whole: bool = False
    """Whether its decoder can only read it whole, whatever `suffix` says: HEIC and camera raw."""
    orientation: int = 1
    """How its stored pixels lie, 1 to 8 as in EXIF; 5 to 8 swap width and height."""
    frames: int = 1
    """Pages or frames; only the first is read. 2 for any AVIF sequence."""
    converted: bool = False
    """Whether reading changes the colour space (CMYK or Lab to sRGB)."""
    notes: tuple[str, ...] = ()
    """What reading leaves out or changes, one line each; `read` gives them as warnings."""

    @property
    def pixels(self) -> int:
        """Width times height."""
        return self.width * self.height


@dataclass(frozen=True, kw_only=True, eq=False)
class Image:
    """A picture, upright. Raises PictureError where shapes or types do not fit together."""

    pixels: Pixels
    """(H, W, C), C = 1 (gray) or 3 (RGB), the file's encoded values scaled to [0, 1]; their colours are what metadata.icc says."""
    alpha: Alpha | None = None
    """(H, W), the file's own values; carried along, never restored."""
    beyond: Pixels | None = None
    """(H, W, C) what the file's values have beyond [0, 1], of a float picture only; carried along, added again when written as float."""
    depth: int = 8
    """Bits of a sample: 8, 16, or 32 for float."""
    suffix: str = ".png"
    """Of the format it was read from: ".png", ".jpg", ".webp", ".tif" or ".avif".

    HEIC and camera raw have the suffix of the format to write.
    """
    metadata: Metadata = field(default_factory=Metadata)
    lossless: bool = True
    """Whether the file held its pixels without loss."""
    jpeg: JpegCoding | None = None
    """How the file was written, if it was a JPEG."""

    def __post_init__(self) -> None:
        shape = self.pixels.shape
        if len(shape) != 3 or shape[2] not in (1, 3) or 0 in shape or self.pixels.dtype != np.float32:
            raise PictureError(f"pixels: {self.pixels.dtype} {shape}, expected float32 (H, W, 1 or 3)")
        if self.alpha is not None and (
            self.alpha.shape != shape[:2] or self.alpha.dtype not in (np.uint8, np.uint16, np.float32)
        ):
            raise PictureError(
                f"alpha: {self.alpha.dtype} {self.alpha.shape}, expected uint8, uint16 or float32 {shape[:2]}"
            )
        if self.beyond is not None and (self.beyond.shape != shape or self.depth != 32):
            raise PictureError(f"beyond: {self.beyond.shape} of {self.depth} bits, expected {shape} of 32")
        if self.depth not in (8, 16, 32):
            raise PictureError(f"depth: {self.depth} is not 8, 16 or 32")

    @property
    def height(self) -> int:
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        return int(self.pixels.shape[1])

    @property
    def channels(self) -> int:
        return int(self.pixels.shape[2])

    def with_pixels(self, pixels: Pixels) -> "Image":
        """The same picture with other pixels; alpha, depth and metadata stay."""
        return dataclasses.replace(self, pixels=pixels)
