"""Submissions to benchmarks whose ground truth is not public: restore their images and write the files."""

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
    """The contents of a submission, known before anything is restored."""

    files: tuple[str, ...]
    """Names of all files that are written."""
    upload: str
    """The files to upload, as text for the user."""
    crops: int
    """Number of blocks or crops to restore."""
    lacks: str
    """Why the submission is incomplete; "" if it is complete."""


def plan_submission(protocol: Protocol, folder: Path) -> Submission:
    """Return the submission that a folder's data allows.

    Raises OptionError if files of the benchmark are missing, and PictureError if they cannot be read.
    """
    if protocol.kind == "sidd-benchmark":
        check_files(folder, [f"{_NOISY}.mat"], protocol)
        images, blocks, height, width = matlab.shape_of_blocks(folder / f"{_NOISY}.mat", _NOISY)
        lacks = _lacks(protocol, [[(height, width)] * blocks] * images)
        return Submission((SIDD_FILE, SIDD_OLD_FILE), SIDD_FILE, images * blocks, lacks)
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
    """Write the submission to an existing folder; return the files that could not be written.

    Each file is written completely or not at all. `method`: name of the network. `advance` is called after
    each block or crop. Raises PictureError if the benchmark's list of crops cannot be read.
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
    """Return why crops of these (height, width), listed per image, are incomplete; "" if they are not."""
    if protocol.shape is None:
        return ""
    images, crops, side = protocol.shape
    if len(sizes) == images and all(each == [(side, side)] * crops for each in sizes):
        return ""
    distinct = {f"{width} x {height}" for each in sizes for height, width in each}
    size = distinct.pop() if len(distinct) == 1 else "several sizes"
    found = f"found {len(sizes)} images with {sum(map(len, sizes))} crops of {size}"
    needed = f"{protocol.dataset} has {images} images with {images * crops} crops of {side} x {side}"
    return f"{found}; {needed}: incomplete submission"


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
    """Return the restored blocks of each image, (H, W, 3) in [0, 1], and the seconds per megapixel."""
    restored: list[list[Pixels]] = []
    started = time.perf_counter()
    for image in noisy:
        restored.append([])
        for block in image:
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
                f"{name}: crop {number} lies outside the image of {noisy.shape[1]} x {noisy.shape[0]} pixels"
            )
        crops.append(restore(noisy[top - 1 : bottom, left - 1 : right]))
        step()
    matlab.write_dnd(out / name, crops)
