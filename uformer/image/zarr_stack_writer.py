"""Write a Zarr of the same layout as a stack: its documents are copied, and its arrays get other samples.

Type, chunks, compression, axes and all metadata stay as they are. The lower levels of a pyramid are made from
the level above them, as means.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from uformer.errors import PictureError
from uformer.files import one_line
from uformer.image.samples import Samples
from uformer.image.stack import WritePage
from uformer.image.zarr_stack import DAMAGED, ZarrStack
from uformer.staging import staging
from uformer.zarr_folder import DOCUMENTS, is_zarr

if TYPE_CHECKING:
    import zarr

_ALL = ".zmetadata"
"""The copy of all documents that format 2 may have."""


@contextlib.contextmanager
def writing_zarr(stack: ZarrStack, path: Path) -> Iterator[WritePage]:
    """Return a function that writes the pages of `stack` with other samples, to a folder that appears whole.

    A Zarr that lies at `path` is replaced. Raises PictureError if the folder cannot be written.
    """
    import zarr  # noqa: PLC0415 - takes 0.3 s, and only Zarr needs it

    path = Path(os.path.realpath(path))
    name = one_line(path, 4096)
    if path.exists() and not is_zarr(path):
        raise PictureError(f"{name}: exists and is not a Zarr")
    with contextlib.ExitStack() as staged:
        with _explained(name):
            folder = staged.enter_context(staging(path.parent))
            temporary = folder / path.name
            _copy_documents(stack, temporary)
            arrays = [zarr.open_array(temporary / level, mode="r+") for level in stack.levels]

        def write_page(page: int, samples: Samples) -> None:
            with _explained(name):
                shape = arrays[0].shape[len(stack.leading) :]
                arrays[0][stack.index(page)] = samples.reshape(shape)

        yield write_page
        with _explained(name):
            for larger, smaller in itertools.pairwise(arrays):
                _reduce(larger, smaller, len(stack.leading))
            _list_documents(stack, temporary)
            _replace(path, temporary, folder / f"{path.name}.old")


@contextlib.contextmanager
def _explained(name: str) -> Iterator[None]:
    """Turn what zarr and the file system raise into a PictureError of one line."""
    try:
        yield
    except PictureError:
        raise
    except DAMAGED as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else one_line(error)
        raise PictureError(f"{name}: cannot be written: {why}") from None


def _replace(path: Path, new: Path, aside: Path) -> None:
    """Move a folder to its place, and what lies there aside; that comes back if the move fails."""
    if path.exists():
        path.rename(aside)
    try:
        new.rename(path)
    except BaseException:
        if aside.exists():
            aside.rename(path)
        raise


def _copy_documents(stack: ZarrStack, target: Path) -> None:
    """Copy the documents of the image, its levels and the groups between them."""
    folders = {PurePosixPath()}
    for level in stack.levels:
        folders |= {PurePosixPath(level), *PurePosixPath(level).parents}
    for below in sorted(folders):
        (target / below).mkdir(parents=True, exist_ok=True)
        for name in DOCUMENTS:
            if (stack.folder / below / name).is_file():
                shutil.copyfile(stack.folder / below / name, target / below / name)
    root = target / "zarr.json"
    if root.is_file():  # it may list what is left out
        found = json.loads(root.read_text(encoding="utf-8"))
        if found.pop("consolidated_metadata", None) is not None:
            root.write_text(json.dumps(found, indent=2), encoding="utf-8")


def _list_documents(stack: ZarrStack, target: Path) -> None:
    """Write the copy of all documents in one place ("consolidated metadata") if the stack has it."""
    import zarr  # noqa: PLC0415 - takes 0.3 s, and only Zarr needs it

    root = stack.folder / "zarr.json"
    found = json.loads(root.read_text(encoding="utf-8")) if root.is_file() else {}
    if found.get("consolidated_metadata") is not None or (stack.folder / _ALL).is_file():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # format 3 has no standard for it
            zarr.consolidate_metadata(str(target))


def _reduce(larger: zarr.Array[Any], smaller: zarr.Array[Any], leading: int) -> None:
    """Fill a level of a pyramid with the means of the level above, plane by plane."""
    edges = [bins(whole, part) for whole, part in zip(larger.shape, smaller.shape, strict=True)]
    for place in np.ndindex(smaller.shape[:leading]):
        chosen = tuple(slice(edges[axis][at], edges[axis][at + 1]) for axis, at in enumerate(place))
        plane = np.asarray(larger[chosen]).mean(axis=tuple(range(leading)), dtype=np.float64)
        for axis, bounds in enumerate(edges[leading:]):
            plane = _means(plane, bounds, axis)
        rounded = plane if smaller.dtype.kind == "f" else np.rint(plane)
        smaller[place] = rounded.astype(smaller.dtype)


def bins(whole: int, part: int) -> NDArray[np.int64]:
    """Return the `part` + 1 edges between which `whole` samples are averaged to `part` samples.

    All bins have the same number of samples, and a rest is dropped, or the last bin is shorter. If the
    lengths fit neither, bins differ by one sample.
    """
    down, up = whole // part, -(-whole // part)
    if whole - part * down < down:
        return np.arange(part + 1) * down
    if (part - 1) * up < whole:
        return np.minimum(np.arange(part + 1) * up, whole)
    return np.arange(part + 1) * whole // part


def _means(values: NDArray[np.float64], edges: NDArray[np.int64], axis: int) -> NDArray[np.float64]:
    sums = np.add.reduceat(values.take(range(edges[-1]), axis=axis), edges[:-1], axis=axis)
    shape = [1] * values.ndim
    shape[axis] = -1
    return sums / np.diff(edges).reshape(shape)
