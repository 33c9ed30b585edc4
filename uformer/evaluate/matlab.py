"""Reading the .mat files of SIDD and DND, and writing submissions. Needs the extra `eval` (SciPy, h5py)."""

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uformer.errors import PictureError
from uformer.files import atomic_file, one_line, require
from uformer.image.image import Pixels

Blocks = NDArray[np.uint8]

_BLOCKS = "uint8 (images, blocks, height, width, 3)"
_ERRORS = (OSError, ValueError, TypeError, KeyError, IndexError, NotImplementedError, EOFError, zlib.error)


def read_blocks(path: Path, variable: str) -> Blocks:
    """Read SIDD's blocks, (images, blocks, H, W, 3) uint8, from a MATLAB 5 file.

    Raises PictureError if the file is missing, damaged, or holds something else.
    """
    io = require("scipy.io", "eval")
    try:
        values = io.loadmat(path, variable_names=[variable]).get(variable)
    except (*_ERRORS, io.matlab.MatReadError) as error:
        raise PictureError(f"{path}: cannot be read as a MATLAB file: {_reason(error)}") from None
    if not isinstance(values, np.ndarray):
        raise PictureError(
            f"{path}: {variable} is {'missing' if values is None else 'not an array'}, expected {_BLOCKS}"
        )
    _check_blocks(path, variable, str(values.dtype), values.shape)
    return values


def shape_of_blocks(path: Path, variable: str) -> tuple[int, int, int, int]:
    """Read the shape (images, blocks, H, W) of the blocks from the file's header.

    Raises the errors of `read_blocks`.
    """
    io = require("scipy.io", "eval")
    try:
        found = {name: (kind, shape) for name, shape, kind in io.whosmat(path)}
    except (*_ERRORS, io.matlab.MatReadError) as error:
        raise PictureError(f"{path}: cannot be read as a MATLAB file: {_reason(error)}") from None
    if variable not in found:
        raise PictureError(f"{path}: {variable} is missing, expected {_BLOCKS}")
    kind, shape = found[variable]
    _check_blocks(path, variable, kind, shape)
    images, blocks, height, width, _ = shape
    return images, blocks, height, width


def read_boxes(path: Path) -> list[NDArray[np.int64]]:
    """Read the crops of each image of DND from info.mat.

    Each array is (crops, 4): first row, first column, last row, last column, counted from 1. Raises
    PictureError if the file is missing, damaged, or holds something else.
    """
    h5py = require("h5py", "eval")
    try:
        with h5py.File(path, "r") as file:
            info = file["info"]
            boxes = [
                np.array(info[reference]).T.astype(np.int64)
                for reference in np.asarray(info["boundingboxes"]).ravel()
            ]
    except (*_ERRORS, AttributeError) as error:
        raise PictureError(f"{path}: cannot be read as DND's info.mat: {_reason(error)}") from None
    if any(box.ndim != 2 or box.shape[1] != 4 for box in boxes):
        raise PictureError(f"{path}: each of its boundingboxes must have four numbers")
    return boxes


def read_dnd(path: Path) -> Pixels:
    """Read a noisy image of DND as (H, W, 3) in [0, 1].

    Raises PictureError if the file is missing, damaged, or holds something else.
    """
    h5py = require("h5py", "eval")
    try:
        with h5py.File(path, "r") as file:
            values = np.array(file["InoisySRGB"], np.float32).T
    except (*_ERRORS, AttributeError) as error:
        raise PictureError(f"{path}: cannot be read as an image of DND: {_reason(error)}") from None
    if values.ndim != 3 or values.shape[2] != 3 or not np.isfinite(values).all():
        raise PictureError(f"{path}: InoisySRGB is {values.shape}, expected finite (height, width, 3)")
    return np.ascontiguousarray(values)


def write_sidd(
    path: Path, blocks: Sequence[Sequence[Pixels]], *, seconds_per_megapixel: float, method: str
) -> None:
    """Write SIDD's SubmitSrgb.mat, completely or not at all.

    It holds a cell array of the restored blocks, (H, W, 3) single in [0, 1], a row per image, and the time.
    """
    cell = np.empty((len(blocks), len(blocks[0])), object)
    for row, image in enumerate(blocks):
        for column, block in enumerate(image):
            cell[row, column] = block
    about = {"MethodName": method, "Authors": "", "PaperTitle": "", "Venue": ""}
    _save(path, {"DenoisedBlocksSrgb": cell, "TimeMPSrgb": seconds_per_megapixel, "OptionalData": about})


def write_dnd(path: Path, crops: Sequence[Pixels]) -> None:
    """Write one of DND's submission files, completely or not at all.

    It holds a cell array of an image's restored crops, (H, W, 3) single in [0, 1].
    """
    cell = np.empty(len(crops), object)
    for index, crop in enumerate(crops):
        cell[index] = crop
    _save(path, {"Idenoised": cell, "israw": False, "eval_version": "1.0"})


def _check_blocks(path: Path, variable: str, kind: str, shape: tuple[int, ...]) -> None:
    if kind != "uint8" or len(shape) != 5 or shape[4] != 3 or 0 in shape:
        raise PictureError(f"{path}: {variable} is {kind} {shape}, expected {_BLOCKS}")


def _save(path: Path, values: dict[str, Any]) -> None:
    io = require("scipy.io", "eval")
    try:
        with atomic_file(path) as file:
            io.savemat(file, values, do_compression=True)
    except OSError as error:
        raise PictureError(f"{path}: cannot be written: {error.strerror or error}") from None


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or one_line(error) or type(error).__name__
