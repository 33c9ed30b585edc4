"""Benchmarks whose truth a server keeps: restore their pictures, and write the files that the server takes."""

import functools
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from uformer.errors import PictureError
from uformer.evaluate import matlab
from uformer.evaluate.protocols import Protocol
from uformer.evaluate.run import Advance, Failure
from uformer.evaluate.samples import check_files
from uformer.restore.restorer import Restorer

Pixels = NDArray[np.float32]
SIDD_FILE = "SubmitSrgb.mat"
_NOISY = "BenchmarkNoisyBlocksSrgb"
_INFO = "info.mat"


def submission_files(protocol: Protocol, folder: Path) -> list[str]:
    """The names of the files that a submission consists of.

    Raises OptionError where the benchmark's own files are missing, PictureError where its list of crops cannot be read.
    """
    if protocol.kind == "sidd-benchmark":
        check_files(folder, [f"{_NOISY}.mat"], protocol)
        return [SIDD_FILE]
    check_files(folder, [_INFO], protocol)
    names = [f"{index + 1:04}.mat" for index in range(len(matlab.read_boxes(folder / _INFO)))]
    check_files(folder, [f"images_srgb/{name}" for name in names], protocol)
    return names


def submit(
    restorer: Restorer, protocol: Protocol, folder: Path, out: Path, *, method: str, advance: Advance | None = None
) -> list[Failure]:
    """Write the submission into a folder that exists, each file whole or not at all; gives back the files that could not be written.

    `method`: what the network is called. `advance` is called after each block or crop.
    Raises PictureError where the benchmark's list of crops cannot be read.
    """
    step = advance or (lambda: None)
    jobs: list[tuple[str, Callable[[], None]]] = []
    if protocol.kind == "sidd-benchmark":
        jobs.append((SIDD_FILE, functools.partial(_sidd, restorer, folder, out, method, step)))
    else:
        for index, boxes in enumerate(matlab.read_boxes(folder / _INFO), start=1):
            jobs.append((f"{index:04}.mat", functools.partial(_dnd, restorer, folder, out, f"{index:04}.mat", boxes, step)))
    failures = []
    for name, job in jobs:
        try:
            job()
        except PictureError as error:
            failures.append(Failure("", name, str(error)))
    return failures


def _sidd(restorer: Restorer, folder: Path, out: Path, method: str, step: Advance) -> None:
    noisy = matlab.read_blocks(folder / f"{_NOISY}.mat", _NOISY)
    restored: list[list[Pixels]] = []
    started = time.perf_counter()
    for picture in noisy:
        restored.append([])
        for block in picture:
            restored[-1].append(restorer.restore_pixels(block.astype(np.float32) / np.float32(255)))
            step()
    megapixels = noisy.size / 3 / 2**20
    matlab.write_sidd(out / SIDD_FILE, restored, seconds_per_megapixel=(time.perf_counter() - started) / megapixels, method=method)


def _dnd(restorer: Restorer, folder: Path, out: Path, name: str, boxes: NDArray[np.int64], step: Advance) -> None:
    noisy = matlab.read_dnd(folder / "images_srgb" / name)
    crops = []
    for number, (top, left, bottom, right) in enumerate(boxes.tolist(), start=1):
        if not (1 <= top <= bottom <= noisy.shape[0] and 1 <= left <= right <= noisy.shape[1]):
            raise PictureError(f"{name}: crop {number} lies outside of the picture of {noisy.shape[1]} x {noisy.shape[0]}")
        crops.append(restorer.restore_pixels(noisy[top - 1 : bottom, left - 1 : right]))
        step()
    matlab.write_dnd(out / name, crops)
