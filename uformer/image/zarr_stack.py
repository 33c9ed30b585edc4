"""A Zarr array of many planes, or the full resolution of an OME-Zarr image.

zarr-python reads the planes one by one. `zarr_stack_writer` writes an image of the same layout. Axes come
from OME-Zarr, from the names of dimensions, or from the shape.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from uformer.errors import PictureError
from uformer.files import one_line
from uformer.image import extras, formats
from uformer.image.image import Header
from uformer.image.opening import DEFAULT_LIMITS, check_pixels
from uformer.image.samples import Samples
from uformer.image.stack import Stack, planes_of
from uformer.image.zarr_codecs import refused_codec
from uformer.zarr_folder import is_zarr

if TYPE_CHECKING:
    import zarr

DAMAGED = (OSError, ValueError, TypeError, KeyError, IndexError, RuntimeError, ArithmeticError, MemoryError)
"""What zarr raises for damaged documents and chunks."""

_MOST_CHUNK_BYTES = 2**30
_OLD_AXES = ("t", "c", "z", "y", "x")  # of OME-Zarr before it named them
_COLOURS = (3, 4)  # RGB, and RGB with alpha


@dataclass(frozen=True, kw_only=True)
class ZarrStack(Stack):
    """An open Zarr image; its pages are the planes (y, x) of the array."""

    folder: Path
    array: zarr.Array[Any]
    leading: tuple[int, ...]
    """The lengths of all axes before y and x."""
    levels: tuple[str, ...]
    """Paths of the arrays below the folder, from full resolution down; "" if the folder is the array."""
    left_out: tuple[str, ...]
    """Other arrays and groups in the folder, such as labels."""

    @property
    def count(self) -> int:
        """Number of pages."""
        return math.prod(self.leading)

    def index(self, page: int) -> tuple[int, ...]:
        """Return the position of a page on the leading axes."""
        return tuple(int(place) for place in np.unravel_index(page, self.leading)) if self.leading else ()

    def read_page(self, page: int) -> Samples:
        try:
            return np.asarray(self.array[self.index(page)])
        except DAMAGED as error:
            why = "does not fit into memory" if isinstance(error, MemoryError) else "is damaged"
            raise PictureError(f"{self.name}: page {page + 1} {why} ({one_line(error)})") from None


@contextlib.contextmanager
def opened_zarr(source: str | os.PathLike[str]) -> Iterator[ZarrStack]:
    """Open a Zarr image. Raises PictureError if it is none, or if it cannot be restored."""
    folder = Path(source)
    name = one_line(folder, 4096)
    if command := extras.missing(formats.ZARR):
        raise PictureError(f"{name}: is Zarr, which needs an extra; run: {command}")
    if not is_zarr(folder):
        raise PictureError(f"{name}: is not a Zarr: it holds no zarr.json, .zarray or .zgroup")
    try:
        stack = _read_layout(name, folder)
    except OSError as error:
        raise PictureError(f"{name}: {error.strerror or error}") from None
    yield stack


def zarr_header(source: str | os.PathLike[str]) -> Header:
    """Return the header of a Zarr image. Raises the errors of `opened_zarr`."""
    with opened_zarr(source) as stack:
        channels = len(stack.planes[0].samples)
        return Header(
            width=stack.width,
            height=stack.height,
            channels=channels,
            alpha=False,
            depth=stack.depth,
            suffix=formats.ZARR.suffixes[0],
            frames=stack.count,
            stack="is a Zarr",
        )


def documents_of(folder: Path) -> dict[str, Any]:
    """Return what describes an array or group: its "kind", "attributes" and "array" document.

    Raises PictureError if it cannot be read.
    """
    try:
        if (folder / "zarr.json").is_file():
            found = _loaded(folder / "zarr.json")
            kind, attributes = found.get("node_type"), found.get("attributes")
        else:
            kind = "array" if (folder / ".zarray").is_file() else "group"
            found = _loaded(folder / ".zarray") if kind == "array" else {}
            attributes = _loaded(folder / ".zattrs") if (folder / ".zattrs").is_file() else {}
    except (OSError, ValueError) as error:
        raise PictureError(
            f"{one_line(folder, 4096)}: its documents are damaged ({one_line(error)})"
        ) from None
    return {"kind": kind, "attributes": attributes if isinstance(attributes, dict) else {}, "array": found}


def _loaded(path: Path) -> dict[str, Any]:
    found = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(found, dict):
        raise ValueError(f"{path.name} is not an object")  # noqa: TRY004 - the caller catches it
    return found


def _read_layout(name: str, folder: Path) -> ZarrStack:
    document = documents_of(folder)
    names: object = None
    levels: tuple[str, ...] = ("",)
    left_out: tuple[str, ...] = ()
    if document["kind"] != "array":
        image = _image_of(name, folder, document["attributes"])
        levels, names = _levels(name, image), image.get("axes")
        inside = {PurePosixPath(level).parts[0] for level in levels}
        left_out = tuple(sorted(_nodes(folder) - inside))
    arrays = [_opened_array(name, folder / level) for level in levels]
    array, shape = arrays[0], arrays[0].shape
    if document["kind"] == "array":
        names = array.metadata.to_dict().get("dimension_names") or array.attrs.get("_ARRAY_DIMENSIONS")
    elif names is None and len(shape) == len(_OLD_AXES):
        names = _OLD_AXES
    for level, smaller in zip(levels[1:], arrays[1:], strict=True):
        if (
            smaller.dtype != array.dtype
            or len(smaller.shape) != len(shape)
            or any(not 0 < part <= whole for part, whole in zip(smaller.shape, shape, strict=True))
        ):
            raise PictureError(f"{name}: level {level!r} is not a smaller copy of level {levels[0]!r}")
    axes = _names(names, len(shape))
    trailing = _trailing(name, axes, shape)
    height, width = shape[len(shape) - trailing - 2 :][:2]
    leading = tuple(shape[: len(shape) - trailing - 2])
    _check_size(name, array, height, width, math.prod(leading))
    channels = np.zeros(leading, int)
    if axes and "c" in axes[: len(leading)]:
        channels = np.indices(leading)[axes.index("c")]
    return ZarrStack(
        name=name,
        folder=folder,
        array=array,
        leading=leading,
        levels=levels,
        left_out=left_out,
        planes=planes_of(channels.ravel().tolist(), _parts(shape[-1] if trailing else 1)),
        height=height,
        width=width,
        dtype=np.dtype(array.dtype).newbyteorder("="),
    )


def _image_of(name: str, folder: Path, attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the multiscale image of a group of OME-Zarr."""
    ome = attributes.get("ome", attributes)
    images = ome.get("multiscales") if isinstance(ome, dict) else None
    if not isinstance(images, list) or not images:
        inside = sorted(_nodes(folder))
        raise PictureError(
            f"{name}: is a Zarr group without an image of its own; name an image in it"
            + (f", such as {folder / inside[0]}" if inside else "")
        )
    if len(images) > 1:
        raise PictureError(f"{name}: holds {len(images)} images in one group, and only one can be restored")
    return cast(Mapping[str, Any], images[0] if isinstance(images[0], dict) else {})


def _nodes(folder: Path) -> set[str]:
    """Return the names of the arrays and groups in a group."""
    return {path.name for path in folder.iterdir() if is_zarr(path)}


def _levels(name: str, image: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the paths of the arrays of an image, from full resolution down."""
    listed = image.get("datasets")
    found: list[str] = []
    for each in listed if isinstance(listed, list) else []:
        path = each.get("path") if isinstance(each, dict) else None
        parts = PurePosixPath(path).parts if isinstance(path, str) else ()
        if not parts or parts[0] == "/" or ".." in parts:
            raise PictureError(f"{name}: {one_line(path)!r} is not the path of an array in it")
        found.append(str(path))
    if not found:
        raise PictureError(f"{name}: its metadata lists no arrays")
    return tuple(found)


def _opened_array(name: str, folder: Path) -> zarr.Array[Any]:
    """Open an array whose codecs are known and whose samples are numbers."""
    import zarr  # noqa: PLC0415 - takes 0.3 s, and only Zarr needs it

    if not is_zarr(folder):
        raise PictureError(f"{name}: its array {folder.name!r} is missing")
    if refused := refused_codec(documents_of(folder)["array"]):
        raise PictureError(f"{name}: is compressed with {one_line(refused)!r}, which is not read here")
    try:
        array = zarr.open_array(folder, mode="r")
    except DAMAGED as error:
        why = one_line(error)
        raise PictureError(f"{name}: its array {folder.name!r} cannot be read ({why})") from None
    if array.dtype.kind not in "uif" or array.dtype.itemsize > 8:
        raise PictureError(f"{name}: has samples of type {array.dtype}; integers or floats are expected")
    if len(array.shape) < 2 or 0 in array.shape:
        raise PictureError(f"{name}: has the shape {array.shape}; an image needs at least two axes")
    return array


def _names(names: object, count: int) -> tuple[str, ...] | None:
    """Return the names of the axes in lower case; None if they are not all known."""
    if not isinstance(names, list | tuple) or len(names) != count:
        return None
    plain = [each.get("name") if isinstance(each, dict) else each for each in names]
    return (
        tuple(str(each).lower() for each in plain) if all(isinstance(each, str) for each in plain) else None
    )


def _trailing(name: str, axes: tuple[str, ...] | None, shape: tuple[int, ...]) -> int:
    """Return the number of axes after y and x: one for channels, or none."""
    if axes is None or not {"y", "x"} <= set(axes):
        return int(len(shape) > 2 and shape[-1] in _COLOURS)
    if axes[-2:] == ("y", "x"):
        return 0
    if axes[-3:] == ("y", "x", "c"):
        return 1
    raise PictureError(f"{name}: has the axes {', '.join(axes)}; the last two must be y, x")


def _parts(samples: int) -> list[tuple[int, ...]]:
    """Return the samples of a pixel that are restored together; alpha belongs to no part."""
    return [(0, 1, 2)] if samples in _COLOURS else [(index,) for index in range(samples)]


def _check_size(name: str, array: zarr.Array[Any], height: int, width: int, pages: int) -> None:
    """Raise PictureError for an image over a limit."""
    limits = DEFAULT_LIMITS
    check_pixels(f"{name}: has planes of", width, height, limits)
    if pages > limits.max_pages:
        raise PictureError(f"{name}: holds {pages} planes, over the limit of {limits.max_pages}")
    chunk = math.prod(array.shards or array.chunks) * array.dtype.itemsize
    if chunk > _MOST_CHUNK_BYTES:
        raise PictureError(
            f"{name}: has chunks of {chunk / 2**30:.1f} GiB, over the limit of 1 GiB; save it in smaller ones"
        )
