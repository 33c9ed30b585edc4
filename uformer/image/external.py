"""Decodes images in a separate process: HEIC with libheif, camera raw with LibRaw.

These decoders are large C++ libraries that cannot be stopped. In a separate process they may crash, print,
hang or leak memory: the caller still gets one error for one file.
"""

import base64
import contextlib
import json
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uformer import child
from uformer.files import one_line
from uformer.image import formats, vips
from uformer.image.formats import Encoded, Format
from uformer.image.matrix_profile import of_code_points
from uformer.image.png import is_srgb

_LONGEST_ANSWER = 2**28  # bytes of JSON
_LONGEST_ERROR = 200  # characters
_MOST_SIDE = 10_000_000  # pixels, libvips' limit
_PIXELS_PER_BYTE = 256  # in camera raw: lossy DNG needs at least two bits for a block of 8 x 8 pixels

_KINDS = {formats.HEIC.name: "heic", formats.RAW.name: "raw"}


class ExternalError(Exception):
    """An image cannot be decoded. The message is the reason, in one line."""


@dataclass(frozen=True, kw_only=True)
class External:
    """An image whose header a separate process has read. The process decodes the pixels on request."""

    width: int
    """Width and height of the upright image, in pixels."""
    height: int
    bands: int
    bits: int
    """Bits per sample: 8, or more in the upper bits of 16."""
    frames: int
    """Number of images in the file; only the primary one is read."""
    notes: tuple[str, ...]
    icc: bytes | None
    exif: bytes | None
    xmp: bytes | None
    process: "_Process"

    def placeholder(self) -> Any:
        """A black pyvips image with this size and these metadata, for code that reads headers."""
        image = vips.blank(self.width, self.height, self.bands, wide=self.bits > 8)
        image.set_type(vips.INTEGER, "bits-per-sample", self.bits)
        image.set_type(vips.INTEGER, "n-pages", self.frames)
        for field, value in (
            ("icc-profile-data", self.icc),
            ("exif-data", self.exif),
            ("xmp-data", self.xmp),
        ):
            if value:
                vips.set_blob(image, field, value)
        return image

    def pixels(self) -> NDArray[Any]:
        """The samples (H, W, C) of the upright image, uint8 or uint16. Raises ExternalError, TimeoutError."""
        self.process.send(b"\1")
        answer = self.process.answer()
        shape, kind = tuple(answer["shape"]), np.dtype(answer["type"])
        if shape[2] != self.bands or shape[0] * shape[1] > 2 * self.width * self.height:
            raise ExternalError(f"its pixels are {shape}, but its header claims {self.width} x {self.height}")
        samples = np.empty(shape, kind)
        self.process.fill(samples.data.cast("B"))
        return samples


@contextlib.contextmanager
def external(data: Encoded, picture_format: Format, seconds: float) -> Iterator[External]:
    """Yield the image of a HEIC or camera raw file. The separate process ends with the block.

    Raises ExternalError, and TimeoutError if the process takes longer than `seconds` in total.
    """
    with tempfile.TemporaryFile() as printed:
        process = _Process(_KINDS[picture_format.name], printed.fileno(), seconds)
        try:
            process.send(len(data).to_bytes(8, "little"), data)
            found = _described(process.answer(), process)
            if picture_format is formats.RAW and found.width * found.height > _PIXELS_PER_BYTE * len(data):
                claim = f"{found.width} x {found.height} pixels"
                raise ExternalError(f"it claims {claim}, more than its {len(data)} bytes can hold")
            yield found
        finally:
            process.end()


def _described(answer: dict[str, Any], process: "_Process") -> External:
    """The image that a header describes. Raises ExternalError for an impossible size."""
    width, height = int(answer["width"]), int(answer["height"])
    if not (0 < width <= _MOST_SIDE and 0 < height <= _MOST_SIDE):
        raise ExternalError(f"it claims {width} x {height} pixels")
    icc, exif, xmp = (
        base64.b64decode(answer[key]) if answer.get(key) else None for key in ("icc", "exif", "xmp")
    )
    notes = list(answer["notes"])
    if icc is None and not is_srgb(*answer["colours"]):
        icc = of_code_points(*answer["colours"], gray=int(answer["bands"]) < 3)
        if icc is None:
            notes.append("declares HDR or rare colours without a colour profile; they are read as sRGB")
    return External(
        width=width,
        height=height,
        bands=int(answer["bands"]),
        bits=int(answer["bits"]),
        frames=int(answer.get("frames", 1)),
        notes=tuple(notes),
        icc=icc,
        exif=exif,
        xmp=xmp,
        process=process,
    )


class _Process:
    """The separate process, with a time limit."""

    def __init__(self, kind: str, printed: int, seconds: float) -> None:
        """Start the process. `printed`: descriptor of a file for its standard error."""
        self._process = subprocess.Popen(  # noqa: S603 - this Python and this package, no shell
            child.command("uformer.image.external_process", kind),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=printed,
            process_group=0,  # Ctrl-C must not reach it: a killed decoder would look like a damaged file
            env=child.environment(),
        )
        self._late = threading.Event()
        self._timer = threading.Timer(min(seconds, threading.TIMEOUT_MAX), self._stop)
        self._timer.daemon = True
        self._timer.start()

    def send(self, *parts: Encoded) -> None:
        """Write bytes to its standard input. If the process has died, `answer` reports it."""
        stdin = self._process.stdin
        with contextlib.suppress(OSError):
            for part in parts:
                stdin.write(part)  # type: ignore[union-attr]
            stdin.flush()  # type: ignore[union-attr]

    def answer(self) -> dict[str, Any]:
        """Return its next JSON answer. Raises ExternalError if it reports an error or has crashed."""
        length = bytearray(8)
        self.fill(memoryview(length))
        size = int.from_bytes(length, "little")
        if size > _LONGEST_ANSWER:
            raise ExternalError(f"it holds {size} bytes of metadata")
        text = bytearray(size)
        self.fill(memoryview(text))
        answer: dict[str, Any] = json.loads(text)
        if "error" in answer:
            raise ExternalError(one_line(answer["error"], _LONGEST_ERROR))
        return answer

    def fill(self, buffer: memoryview) -> None:
        """Fill the buffer from its standard output.

        Raises ExternalError if the process crashed, TimeoutError if it was killed at the time limit.
        """
        done = 0
        while done < len(buffer):
            count = self._process.stdout.readinto(buffer[done:])  # type: ignore[union-attr]
            if not count:
                if self._late.is_set():
                    raise TimeoutError
                raise ExternalError("the decoder crashed; the data is damaged")
            done += count

    def end(self) -> None:
        """Stop the process if it is still running, and release its pipes."""
        self._timer.cancel()
        self._process.kill()
        for stream in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                stream.close()  # type: ignore[union-attr]
        self._process.wait()

    def _stop(self) -> None:
        self._late.set()
        self._process.kill()
