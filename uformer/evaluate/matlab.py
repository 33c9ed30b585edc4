"""The .mat files of SIDD and DND: blocks in, submissions out. Needs the extra `eval` (scipy, h5py)."""

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

_BLOCKS = "uint8 (pictures, blocks, height, width, 3)"
_ERRORS = (OSError, ValueError, TypeError, KeyError, IndexError, NotImplementedError, EOFError, zlib.error)


def read_blocks(path: Path, variable: str) -> Blocks:
    """SIDD's blocks, (pictures, blocks, H, W, 3) uint8, of the MATLAB 5 file that holds them.

    Raises PictureError for a file that is missing, damaged, or holds something else.
    """
    io = require("scipy.io", "eval")
    try:
        values = io.loadmat(path, variable_names=[variable]).get(variable)
    except (*_ERRORS, io.matlab.MatReadError) as error:
        raise PictureError(f"{path}: cannot be read as MATLAB's: {_reason(error)}") from None
    if not isinstance(values, np.ndarray):
        raise PictureError(
            f"{path}: {variable} is {'nothing' if values is None else 'no array'}, expected {_BLOCKS}"
        )
    _check_blocks(path, variable, str(values.dtype), values.shape)
    return values


def shape_of_blocks(path: Path, variable: str) -> tuple[int, int, int, int]:
    """(pictures, blocks, H, W) of what `read_blocks` would read, from the file's header; errors as there."""
    io = require("scipy.io", "eval")
    try:
        found = {name: (kind, shape) for name, shape, kind in io.whosmat(path)}
    except (*_ERRORS, io.matlab.MatReadError) as error:
        raise PictureError(f"{path}: cannot be read as MATLAB's: {_reason(error)}") from None
    if variable not in found:
        raise PictureError(f"{path}: {variable} is nothing, expected {_BLOCKS}")
    kind, shape = found[variable]
    _check_blocks(path, variable, kind, shape)
    pictures, blocks, height, width, _ = shape
    return pictures, blocks, height, width


def read_boxes(path: Path) -> list[NDArray[np.int64]]:
    """For each picture of DND, (crops, 4) of first row, first column, last row, last column, from 1 on, of its info.mat.

    Raises PictureError for a file that is missing, damaged, or holds something else.
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
        raise PictureError(f"{path}: its boundingboxes are not of four numbers each")
    return boxes


def read_dnd(path: Path) -> Pixels:
    """A noisy picture of DND, (H, W, 3) in [0, 1]. Raises PictureError for a file that is missing, damaged, or holds something else."""
    h5py = require("h5py", "eval")
    try:
        with h5py.File(path, "r") as file:
            values = np.array(file["InoisySRGB"], np.float32).T
    except (*_ERRORS, AttributeError) as error:
        raise PictureError(f"{path}: cannot be read as DND's: {_reason(error)}") from None
    if values.ndim != 3 or values.shape[2] != 3 or not np.isfinite(values).all():
        raise PictureError(f"{path}: InoisySRGB is {values.shape}, expected finite (height, width, 3)")
    return np.ascontiguousarray(values)


def write_sidd(
    path: Path, blocks: Sequence[Sequence[Pixels]], *, seconds_per_megapixel: float, method: str
) -> None:
    """SIDD's SubmitSrgb.mat, whole or not at all: a cell of each picture's restored blocks, (H, W, 3) single in [0, 1], and the time."""
    cell = np.empty((len(blocks), len(blocks[0])), object)
    for row, picture in enumerate(blocks):
        for column, block in enumerate(picture):
            cell[row, column] = block
    about = {"MethodName": method, "Authors": "", "PaperTitle": "", "Venue": ""}
    _save(path, {"DenoisedBlocksSrgb": cell, "TimeMPSrgb": seconds_per_megapixel, "OptionalData": about})


def write_dnd(path: Path, crops: Sequence[Pixels]) -> None:
    """One of DND's files to submit, whole or not at all: a cell of the picture's restored crops, (H, W, 3) single in [0, 1]."""
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
