"""The planes of an image layer, and restoring them. Nothing here imports napari.

A layer is a stack of planes: the last two axes of its data (three for RGB) are a plane, and all axes before
them (time, depth) number the planes. Planes share one range of values, so that a time series does not
flicker.
"""

import contextlib
import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uformer.errors import PictureError
from uformer.image.samples import Values, depth_of
from uformer.image.value_range import ValueRange, choose_for, sampled_planes
from uformer.notices import Notify
from uformer.restore.forms import through_array, to_values
from uformer.restore.progress import Progress
from uformer.restore.restorer import Restorer

Index = tuple[int, ...]
"""The position of a plane on the axes that number the planes; empty for a layer of one plane."""

_EACH_AXIS = ("scale", "translate", "units", "axis_labels")
_ALL_AXES = ("rotate", "shear", "affine")
_GRAY = ("colormap", "contrast_limits", "gamma")
RUN = "run"
"""The run folder in the folder of a training (see `learning`)."""
_OF_A_RUN = ("best", "last")  # weights files that are named after the folder of their run


class Stopped(Exception):  # noqa: N818 - what the user wants is no error
    """The user stopped a job."""


class Monitor:
    """Tells a window how far a job is that runs in a thread, and the job whether it should stop."""

    def __init__(self) -> None:
        self.share = 0.0
        self.text = "starting"
        self.should_stop: Callable[[], bool] = lambda: False

    def show(self, share: float, text: str) -> None:
        """Note the share that is done, from 0 to 1, and a text. Raises Stopped if the job should stop."""
        self.share, self.text = share, text
        if self.should_stop():
            raise Stopped


@dataclass(frozen=True)
class Planes:
    """The planes of a layer. `data` is any array: of numpy, dask or zarr. It is read plane by plane."""

    data: Any
    rgb: bool

    @classmethod
    def of(cls, layer: Any) -> "Planes":
        """Return the planes of a layer at full size. Raises PictureError for bool and complex values."""
        found = cls(layer.data[0] if layer.multiscale else layer.data, bool(layer.rgb))
        if found.dtype.kind not in "uif":
            raise PictureError(
                f"the layer {layer.name!r} holds {found.dtype} values; expected integers or floats"
            )
        return found

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the values, in native byte order."""
        return np.dtype(self.data.dtype).newbyteorder("=")

    @property
    def depth(self) -> int:
        """Bits per sample, as the restorer counts them: 8, 16, and 32 for types without a white."""
        return depth_of(self.dtype)

    @property
    def leading(self) -> Index:
        """The lengths of the axes that number the planes."""
        return tuple(int(length) for length in self.data.shape[: -3 if self.rgb else -2])

    @property
    def size(self) -> tuple[int, ...]:
        """The shape of a plane."""
        return tuple(int(length) for length in self.data.shape[len(self.leading) :])

    @property
    def indices(self) -> list[Index]:
        """The index of each plane, in order."""
        return list(np.ndindex(self.leading))

    def read(self, index: Index) -> NDArray[Any]:
        """Return a plane, (H, W) or (H, W, C)."""
        return np.asarray(self.data[index]).astype(self.dtype, copy=False)

    def values(self, index: Index) -> Values:
        """Return a plane without alpha as values (H, W, 1 or 3). Raises PictureError if one is not finite."""
        plane = self.read(index)
        with naming(self, index):
            return to_values(plane[..., :3] if self.rgb else plane[..., None])


@contextlib.contextmanager
def naming(planes: Planes, index: Index) -> Iterator[None]:
    """Name the plane in a PictureError of the block, if there are several."""
    try:
        yield
    except PictureError as error:
        if len(planes.indices) == 1:
            raise
        raise PictureError(f"plane {numbers(index)}: {error}") from None


def numbers(index: Index) -> str:
    """Return an index as napari's sliders show it: "3, 0"."""
    return ", ".join(map(str, index))


def find_range(planes: Planes, asked: str, notify: Notify) -> ValueRange:
    """Return the range of values that all planes share. `asked`: auto, full or LOW:HIGH; see `choose_for`."""

    def read(index: Index, every: int) -> Values:
        return planes.values(index)[::every, ::every]

    size, depth = (planes.size[0], planes.size[1]), planes.depth
    sample = sampled_planes(planes.indices, read, size=size, asked=asked, depth=depth)
    return choose_for(asked, sample, depth, notify=notify)


def restore_planes(
    restorer: Restorer,
    planes: Planes,
    indices: Sequence[Index],
    monitor: Monitor,
    notify: Notify,
    used: ValueRange | None = None,
) -> NDArray[Any]:
    """Restore some planes and return them in this order, (N, H, W) or (N, H, W, C), in the type of the layer.

    Alpha stays unchanged. `used`: the range of values; default: `find_range`. Raises PictureError, and
    Stopped.
    """
    if used is None:
        monitor.show(0, "finding the range of values")
        used = find_range(planes, restorer.range, notify)
    shape = (len(indices), *planes.size)
    try:
        restored = np.empty(shape, planes.dtype)
    except MemoryError:
        size = planes.dtype.itemsize * np.prod(shape, dtype=float) / 1e9
        raise PictureError(f"the restored layer takes {size:.3g} GB, more than is free") from None
    for number, index in enumerate(indices):

        def progress(done: int, total: int, number: int = number) -> None:
            share = (number + done / total) / len(indices)
            monitor.show(share, f"plane {number + 1} of {len(indices)}" if len(indices) > 1 else "restoring")

        with naming(planes, index):
            restored[number] = restore_plane(restorer, planes, index, used, progress, notify)
    return restored


def restore_plane(
    restorer: Restorer, planes: Planes, index: Index, used: ValueRange, progress: Progress, notify: Notify
) -> NDArray[Any]:
    """Restore one plane."""

    def run(values: Values, _depth: int) -> Values:
        return restorer.restore_pixels(values, used=used, progress=progress, notify=notify)

    return through_array(planes.read(index), run, channels=restorer.config.in_channels)


def label_of(task: str, weights: str | None) -> str:
    """Return what a restored layer is named after: the task, or the weights, or the folder of their run."""
    if weights is None:
        return task
    path = Path(weights)
    path = path.absolute().parent if path.stem in _OF_A_RUN else path
    path = path.parent if path.name == RUN else path
    return path.name.removesuffix(".safetensors").removesuffix(".onnx")


def layer_options(layer: Any, label: str, plane: Index = ()) -> dict[str, Any]:
    """Return the arguments of `Viewer.add_image` for a restored layer, or for one restored plane of it.

    The result lies where the layer lies and looks like it. A plane of a stack is a flat layer, which napari
    shows at every position of the sliders.
    """
    place = f", plane {numbers(plane)}" if plane else ""
    options = {"name": f"{layer.name} restored ({label}){place}", "rgb": bool(layer.rgb)}
    for name in ("blending", *_EACH_AXIS, *(() if plane else _ALL_AXES), *(() if layer.rgb else _GRAY)):
        value = getattr(layer, name)
        options[name] = value[-2:] if plane and name in _EACH_AXIS else copy.copy(value)
    return options


def plane_at(planes: Planes, position: Sequence[float]) -> Index:
    """Return the index of the plane nearest to a position in the layer's data."""
    pairs = zip(position, planes.leading, strict=False)
    return tuple(min(max(round(float(place)), 0), length - 1) for place, length in pairs)
