"""Benchmarks whose truth a server keeps: restore their pictures, and write the files that the server takes."""

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from uformer.errors import PictureError
from uformer.evaluate import kaggle, matlab
from uformer.evaluate.cases import check_files
from uformer.evaluate.evaluation import Advance, Failure
from uformer.evaluate.protocols import Protocol
from uformer.image.image import Pixels
from uformer.notices import Notify, warn
from uformer.restore.restorer import Restorer

_Restore = Callable[[Pixels], Pixels]
SIDD_FILE = "SubmitSrgb.csv"
SIDD_OLD_FILE = "SubmitSrgb.mat"
_NOISY = "BenchmarkNoisyBlocksSrgb"
_INFO = "info.mat"


@dataclass(frozen=True)
class Submission:
    """What will be written, known before anything is restored."""

    files: tuple[str, ...]
    """All that are written."""
    upload: str
    """Which of them the server takes, in words."""
    crops: int
    """How many blocks or crops are restored."""
    lacks: str
    """What keeps it from being a whole submission; "" where nothing does."""


def plan_submission(protocol: Protocol, folder: Path) -> Submission:
    """What a folder gives. Raises OptionError where the benchmark's own files are missing, PictureError where they cannot be read."""
    if protocol.kind == "sidd-benchmark":
        check_files(folder, [f"{_NOISY}.mat"], protocol)
        pictures, blocks, height, width = matlab.shape_of_blocks(folder / f"{_NOISY}.mat", _NOISY)
        lacks = _lacks(protocol, [[(height, width)] * blocks] * pictures)
        return Submission((SIDD_FILE, SIDD_OLD_FILE), SIDD_FILE, pictures * blocks, lacks)
    check_files(folder, [_INFO], protocol)
    boxes = [each.tolist() for each in matlab.read_boxes(folder / _INFO)]
    names = tuple(f"{index + 1:04}.mat" for index in range(len(boxes)))
    check_files(folder, [f"images_srgb/{name}" for name in names], protocol)
    sizes = [[(bottom - top + 1, right - left + 1) for top, left, bottom, right in each] for each in boxes]
    return Submission(names, "them", sum(map(len, boxes)), _lacks(protocol, sizes))


def submit(
    restorer: Restorer,
    protocol: Protocol,
    folder: Path,
    out: Path,
    *,
    method: str,
    advance: Advance | None = None,
    notify: Notify = warn,
) -> list[Failure]:
    """Write the submission into a folder that exists, each file whole or not at all; gives back the files that could not be written.

    `method`: what the network is called. `advance` is called after each block or crop.
    Raises PictureError where the benchmark's list of crops cannot be read.
    """
    step = advance or (lambda: None)
    restore = functools.partial(restorer.restore_pixels, notify=notify)
    if protocol.kind == "sidd-benchmark":
        return _sidd(restore, folder, out, method, step)
    failures = []
    for index, boxes in enumerate(matlab.read_boxes(folder / _INFO), start=1):
        name = f"{index:04}.mat"
        failures += _attempt(name, functools.partial(_dnd, restore, folder, out, name, boxes, step))
    return failures


def _lacks(protocol: Protocol, sizes: list[list[tuple[int, int]]]) -> str:
    """What is wrong with crops of these heights and widths, of each picture."""
    if protocol.shape is None:
        return ""
    pictures, crops, side = protocol.shape
    if len(sizes) == pictures and all(each == [(side, side)] * crops for each in sizes):
        return ""
    each = {f"{width} x {height}" for picture in sizes for height, width in picture}
    found = f"{len(sizes)} pictures with {sum(map(len, sizes))} crops of {each.pop() if len(each) == 1 else 'several sizes'}"
    return f"{found}; {protocol.dataset} has {pictures} with {pictures * crops} of {side} x {side}: not a whole submission"


def _attempt(name: str, job: Callable[[], None]) -> list[Failure]:
    try:
        job()
    except PictureError as error:
        return [Failure("", name, str(error))]
    return []


def _sidd(restore: _Restore, folder: Path, out: Path, method: str, step: Advance) -> list[Failure]:
    try:
        restored, seconds = _restore_blocks(
            restore, matlab.read_blocks(folder / f"{_NOISY}.mat", _NOISY), step
        )
    except PictureError as error:
        return [Failure("", SIDD_FILE, str(error))]
    return [
        *_attempt(SIDD_FILE, lambda: kaggle.write_sidd(out / SIDD_FILE, restored)),
        *_attempt(
            SIDD_OLD_FILE,
            lambda: matlab.write_sidd(
                out / SIDD_OLD_FILE, restored, seconds_per_megapixel=seconds, method=method
            ),
        ),
    ]


def _restore_blocks(
    restore: _Restore, noisy: matlab.Blocks, step: Advance
) -> tuple[list[list[Pixels]], float]:
    """The blocks restored, (H, W, 3) in [0, 1], and the seconds that a megapixel took."""
    restored: list[list[Pixels]] = []
    started = time.perf_counter()
    for picture in noisy:
        restored.append([])
        for block in picture:
            restored[-1].append(restore(block.astype(np.float32) / np.float32(255)))
            step()
    return restored, (time.perf_counter() - started) / (noisy.size / 3 / 2**20)


def _dnd(
    restore: _Restore, folder: Path, out: Path, name: str, boxes: NDArray[np.int64], step: Advance
) -> None:
    noisy = matlab.read_dnd(folder / "images_srgb" / name)
    crops = []
    for number, (top, left, bottom, right) in enumerate(boxes.tolist(), start=1):
        if not (1 <= top <= bottom <= noisy.shape[0] and 1 <= left <= right <= noisy.shape[1]):
            raise PictureError(
                f"{name}: crop {number} lies outside of the picture of {noisy.shape[1]} x {noisy.shape[0]}"
            )
        crops.append(restore(noisy[top - 1 : bottom, left - 1 : right]))
        step()
    matlab.write_dnd(out / name, crops)
