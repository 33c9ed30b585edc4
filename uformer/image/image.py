"""An image in memory: its pixels and everything else that its file holds."""

import dataclasses
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from uformer.errors import PictureError

Pixels = NDArray[np.float32]
Alpha = NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Attached:
    """What a JPEG file holds behind its image, for example an HDR gain map; see `attached`."""

    data: bytes
    """All bytes behind the image."""
    names: tuple[str, ...]
    """The parts that are recognised."""
    index: bytes | None
    """The payload of the segment that lists the images; None if there is none."""
    starts: tuple[int, ...]
    """Where the images in this list begin, as positions in `data`."""
    versions: tuple[bytes, ...]
    """Payloads of further segments before the image that announce a gain map."""
    is_sound: bool
    """Whether the images in this list lie in `data`."""
    size: tuple[int, int]
    """Width and height of the upright image to which it belongs."""
    orientation: int
    """In which that image was stored, 1 to 8; the data is not turned yet."""


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """The metadata of a file, byte for byte, but with orientation 1, because the pixels are upright.

    The fields from `comments` on belong to one format and are written to files of that format only.
    """

    icc: bytes | None = None
    """Colour profile; None means sRGB (or its gray)."""
    exif: bytes | None = None
    """EXIF block, from its byte order mark on (without the "Exif" that precedes it in JPEG)."""
    xmp: bytes | None = None
    iptc: bytes | None = None
    """The payload of a JPEG's APP13 segment, from "Photoshop 3.0" on."""
    resolution: tuple[float, float] | None = None
    """Horizontal and vertical pixels per millimetre; None if unknown."""
    comments: tuple[bytes, ...] = ()
    """Comments of a JPEG."""
    extended_xmp: tuple[bytes, ...] = ()
    """Payloads of the segments of a JPEG that hold what did not fit into `xmp`."""
    attached: Attached | None = None
    """What a JPEG file holds behind its image."""
    chunks: tuple[tuple[bytes, bytes], ...] = ()
    """Names and contents of chunks of a PNG: texts, and colours without a profile (see `png.kept`)."""
    tags: bytes | None = None
    """Tags of a TIFF, as a block like `exif` (see `tiff_tags`)."""


@dataclass(frozen=True, kw_only=True)
class JpegCoding:
    """How a JPEG file was encoded."""

    quality: int
    """1 to 100, on libjpeg's scale."""
    subsampled: bool
    """Whether the colours have half the resolution in both directions (4:2:0)."""
    progressive: bool


@dataclass(frozen=True, kw_only=True)
class Header:
    """The facts about an image file that are known before its pixels are decoded."""

    width: int
    """Width and height of the upright image, in pixels."""
    height: int
    channels: int
    """Colour channels: 1 (gray) or 3. Gray images in formats without gray (WebP, AVIF, GIF) count as 3."""
    alpha: bool
    depth: int
    """Bits per sample, as in Image.depth."""
    suffix: str
    """Suffix of its format, as in Image.suffix."""
    whole: bool = False
    """Whether the decoder can only read the whole image, regardless of `suffix`: HEIC and camera raw."""
    orientation: int = 1
    """Orientation of the stored pixels, 1 to 8 as in EXIF; 5 to 8 swap width and height."""
    frames: int = 1
    """Images in the file: pages or frames; 2 for any AVIF sequence. `read` refuses more than one, except in
    HEIC, of which it reads the primary image."""
    stack: str = ""
    """Why it is restored plane by plane ("has 5 pages", "has int16 samples"); empty for other images.

    This concerns a Zarr, and a TIFF of several pages, of channels that are neither gray nor RGB, or of
    samples without a white.
    """
    converted: bool = False
    """Whether reading changes the colour space (CMYK or Lab to sRGB)."""
    notes: tuple[str, ...] = ()
    """One line for each thing that reading leaves out or changes; `read` issues them as notices."""

    @property
    def pixels(self) -> int:
        """Width times height."""
        return self.width * self.height


@dataclass(frozen=True, kw_only=True, eq=False)
class Image:
    """An upright image. Raises PictureError if shapes or types do not match."""

    pixels: Pixels
    """(H, W, C), C = 1 (gray) or 3 (RGB): the file's encoded values scaled to [0, 1], in the colour space of
    metadata.icc."""
    alpha: Alpha | None = None
    """(H, W), the file's own values; passed through, never restored."""
    beyond: Pixels | None = None
    """(H, W, C), float images only: the part of the values outside [0, 1]; passed through, and added again in
    float output."""
    depth: int = 8
    """Bits per sample: 8, 16, or 32 for float."""
    suffix: str = ".png"
    """Suffix of the format it was read from: ".png", ".jpg", ".webp", ".tif" or ".avif".

    For HEIC and camera raw, it is the suffix of the format to write.
    """
    metadata: Metadata = field(default_factory=Metadata)
    lossless: bool = True
    """Whether the file stored its pixels losslessly."""
    camera_raw: bool = False
    """Whether it was developed from camera raw; only such an image can be written as DNG."""
    jpeg: JpegCoding | None = None
    """How the file was encoded, if it was a JPEG."""

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

    @property
    def values(self) -> Pixels:
        """The file's own values (H, W, C): the pixels, and what float images hold outside [0, 1]."""
        return self.pixels if self.beyond is None else self.pixels + self.beyond

    def with_values(self, values: Pixels) -> "Image":
        """The same image with other values; in an integer image they are clipped to [0, 1]."""
        pixels = values if values.min() >= 0 and values.max() <= 1 else np.clip(values, 0, 1)
        beyond = None if self.depth != 32 or pixels is values else values - pixels
        return dataclasses.replace(self, pixels=pixels, beyond=beyond)

    def with_pixels(self, pixels: Pixels) -> "Image":
        """The same image with other pixels; alpha, depth and metadata stay."""
        return dataclasses.replace(self, pixels=pixels)
