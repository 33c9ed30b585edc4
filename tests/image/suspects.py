"""Files that only libvips' texts would tell apart: good ones with decoder warnings, and damaged ones."""

import io
from pathlib import Path

import numpy as np
import PIL.Image
import pyvips


def suspects(number: int, side: int = 48) -> dict[str, bytes]:
    """Files by name, different for each number; the names of good ones begin with "good"."""
    rng = np.random.default_rng(number)
    image = PIL.Image.fromarray(
        np.add.outer(rng.integers(0, 128, (side, 1, 3)), rng.integers(0, 128, side))[:, 0]
        .swapaxes(1, 2)
        .astype(np.uint8)
    )
    baseline, progressive = (_saved(image, "JPEG", quality=95, progressive=each) for each in (False, True))
    restarts = _saved(image, "JPEG", quality=95, restart_marker_blocks=2)
    png, tiff, webp = (
        _saved(image, "PNG"),
        _saved(image, "TIFF", compression="tiff_lzw"),
        _saved(image, "WEBP"),
    )
    return {
        "good_baseline.jpg": with_strays(baseline),
        "good_progressive.jpg": with_strays(progressive),
        "good_restarts.jpg": with_strays(restarts),
        "good_behind_scan.jpg": behind_first_scan(progressive),
        "good.png": png,
        "good.tif": bytes(pyvips.Image.new_from_buffer(png, "").tiffsave_buffer(compression="deflate")),
        "cut_baseline.jpg": cut(baseline),
        "cut_progressive.jpg": cut(progressive),
        "cut_restarts.jpg": cut(restarts),
        "cut.jpg": baseline[: len(baseline) * 6 // 10],
        "cut.png": png[: len(png) * 6 // 10],
        "sum.png": png[:45] + bytes([png[45] ^ 0xA4]) + png[46:],
        "cut.tif": tiff[: len(tiff) * 6 // 10],
        "cut.webp": webp[: len(webp) * 6 // 10],
    }


def save_suspects(folder: Path, count: int = 8) -> dict[Path, bool]:
    """Write suspects into a folder; return whether each is good, with good and damaged ones alternating."""
    folder.mkdir(parents=True, exist_ok=True)
    found = {}
    for number in range(count):
        for name, data in sorted(suspects(number).items(), key=lambda each: each[0][-9:]):
            path = folder / f"{number}_{name}"
            path.write_bytes(data)
            found[path] = name.startswith("good")
    return found


def with_strays(jpeg: bytes) -> bytes:
    """The JPEG with four extra bytes between two segments, about which libjpeg warns."""
    after_jfif = 4 + int.from_bytes(jpeg[4:6], "big")
    return jpeg[:after_jfif] + bytes(4) + jpeg[after_jfif:]


def behind_first_scan(jpeg: bytes) -> bytes:
    """The progressive JPEG with extra bytes between its first scan and the next segment."""
    end = jpeg.index(b"\xff\xc4", jpeg.index(b"\xff\xda"))
    return jpeg[:end] + b"stray bytes of the camera" + jpeg[end:]


def cut(jpeg: bytes) -> bytes:
    """The first part of a JPEG with an end marker: libjpeg warns and fills the rest with gray."""
    return jpeg[: len(jpeg) * 6 // 10] + b"\xff\xd9"


def _saved(image: PIL.Image.Image, form: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()
