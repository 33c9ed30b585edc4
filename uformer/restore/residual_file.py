"""Keeps the network's answer for an image in a .npz file, so that the controls apply again without a network.

The file holds `residual` (C, H, W) in float16 and `shifts` in float32, see Restoration, and `about`: JSON
with the version, the networks and their weights, size and range, and the SHA-256 of the image's values.
"""

import hashlib
import json
import math
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from uformer.errors import PictureError
from uformer.files import atomic_file, sha256_of
from uformer.image.image import Header, Pixels
from uformer.image.value_range import ValueRange
from uformer.restore import memory, tones
from uformer.restore.backends.choose import weights_path
from uformer.restore.options import RestoreOptions, Tones
from uformer.restore.remix import Residual
from uformer.version import __version__

_FORMAT = 1
_HEADERS = 2**16  # more bytes than the texts and headers of a file take


@dataclass(frozen=True, eq=False)
class KeptAnswer:
    """The content of a file."""

    residual: Residual
    shifts: Pixels
    used: ValueRange
    tones: Tones
    """What the tones `auto` of the restorer were decided to be."""
    networks: tuple[dict[str, str], ...]
    """Task, weights and their SHA-256 of each network."""
    channels: int
    """The network's number of channels."""


def residual_file(output: Path) -> Path:
    """Return the file beside an output in which its residual is kept: OUTPUT.residual.npz."""
    return output.with_name(f"{output.name}.residual.npz")


def check_room_to_keep(head: Header, budget: int) -> None:
    """Raise PictureError if an image is too large to be in memory as a whole, with a limit in bytes."""
    needed = memory.whole_image(head.pixels)
    if needed > budget * memory.SHARE_FOR_IMAGE:
        most = math.ceil(needed / memory.SHARE_FOR_IMAGE / 1e9)
        raise PictureError(
            f"{head.width} x {head.height} pixels are too many to keep the residual;"
            f" set --memory to {most}GB, or leave out --keep-residual"
        )


def networks_of(options: RestoreOptions) -> tuple[dict[str, str], ...]:
    """Return task, weights and SHA-256 of the networks that the options select."""
    networks = []
    for each in options.chain:
        path = weights_path(each.network)
        networks.append({"task": each.task, "weights": each.weights or path.stem, "sha256": sha256_of(path)})
    return tuple(networks)


def save_answer(path: Path, answer: KeptAnswer, values: Pixels) -> None:
    """Write the answer for an image with these values (H, W, C). Raises OSError."""
    about = {
        "format": _FORMAT,
        "uformer": __version__,
        "networks": list(answer.networks),
        "width": values.shape[1],
        "height": values.shape[0],
        "channels": values.shape[2],
        "range": [answer.used.low, answer.used.high],
        "tones": answer.tones,
        "network_channels": answer.channels,
        "values": fingerprint(values),
    }
    with atomic_file(path) as file:
        np.savez(file, about=np.array(json.dumps(about)), residual=answer.residual, shifts=answer.shifts)


def load_answer(path: Path, values: Pixels) -> KeptAnswer:
    """Read the answer for an image with these values (H, W, C).

    Raises PictureError if the file is damaged or belongs to another image.
    """
    height, width, channels = values.shape
    shape = channels, height, width
    cells = math.ceil(height / tones.CELL), math.ceil(width / tones.CELL)
    size, image, answer = _content(path, 2 * math.prod(shape) + 4 * math.prod(cells) + _HEADERS)
    if answer is None or size != values.shape or image != fingerprint(values):
        raise PictureError(f"{path}: belongs to another image, or this one has changed since")
    residual, shifts = answer.residual, answer.shifts
    whole = residual.dtype == np.float16 and residual.shape == shape and np.isfinite(residual).all()
    if not whole or shifts.dtype != np.float32 or shifts.shape != cells or not np.isfinite(shifts).all():
        raise PictureError(f"{path}: is damaged; restore the image again with --keep-residual")
    return answer


def _content(path: Path, most: int) -> tuple[tuple[int, ...], str, KeptAnswer | None]:
    """Return size and fingerprint of the image, and the answer; no answer if it has more than `most` bytes.

    Raises PictureError for a file that is damaged or of another kind.
    """
    try:
        with zipfile.ZipFile(path) as members:
            unpacked = sum(member.file_size for member in members.infolist())
        if unpacked > most:
            return (), "", None
        with np.load(path, allow_pickle=False) as content:
            about: dict[str, Any] = json.loads(str(content["about"][()]))
            answer = KeptAnswer(
                content["residual"],
                content["shifts"],
                ValueRange(*map(float, about["range"])),
                about["tones"],
                tuple(about["networks"]),
                int(about["network_channels"]),
            )
            return (about["height"], about["width"], about["channels"]), about["values"], answer
    except (zipfile.BadZipFile, ValueError, KeyError, TypeError, EOFError, NotImplementedError):
        raise PictureError(f"{path}: is damaged, or not a file that --keep-residual wrote") from None
    except OSError as error:
        raise PictureError(f"{path}: {error.strerror or error}") from None


def fingerprint(values: Pixels) -> str:
    """Return the SHA-256 of the values of an image (H, W, C) in float32."""
    return hashlib.sha256(np.ascontiguousarray(values, "<f4").data).hexdigest()
