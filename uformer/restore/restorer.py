"""Restorer: a degraded picture in any form in, the restored picture in the same form out."""

from __future__ import annotations

import dataclasses
import functools
import importlib.util
import math
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uformer.config import UformerConfig
from uformer.errors import OptionError, PictureError
from uformer.image.image import Image
from uformer.image.read import read
from uformer.image.write import encode, write
from uformer.notices import Notify, warn
from uformer.restore import forms
from uformer.restore.backends import onnx
from uformer.restore.backends.base import Backend
from uformer.restore.footprint import fits_in_memory, picture_memory
from uformer.restore.networks import Networks
from uformer.restore.options import RestoreOptions, memory_in_bytes
from uformer.restore.tiles import Rows, TilePlan, blend, cut, plan_freely, plan_tiles
from uformer.system_memory import available_memory
from uformer.weights import checkpoint, registry
from uformer.weights.create import weights_file

Pixels = NDArray[np.float32]
Progress = Callable[[int, int], None]
"""Called after each tile with the tiles done and their number."""

LARGEST_TILE = 832  # pixels a side; larger ones were no faster
LARGEST_OF_A_BAND = 640  # where a picture is not in memory, and a row of its tiles is what counts
OVERLAP = 32  # pixels; see tiles.py for what it costs in exactness
MARGIN = 8  # pixels of extension around a picture: then a flat one comes back within one level of 8 bits (docs/memory.md)
SHARE_OF_MEMORY = 0.5


class Restorer:
    """Restores pictures with one set of weights; made once, it is used for many.

    `options.task` is not used here: the weights decide. `threads`: of OpenVINO and onnxruntime, where several restorers share a machine; by
    default the physical cores. Raises OptionError for options that cannot be met.
    """

    def __init__(
        self, config: UformerConfig, state: checkpoint.State, options: RestoreOptions = RestoreOptions(), *, threads: int | None = None
    ) -> None:
        if config.in_channels != config.out_channels:
            raise OptionError(f"weights of {config.in_channels} channels in, {config.out_channels} out cannot restore a picture file")
        self.config = config
        self.options = options
        self._state = state
        self._threads = threads
        self._kind = _choose_backend(options)
        self._networks = Networks()

    def __getstate__(self) -> dict[str, Any]:
        """Without the backends, which hold what cannot be pickled and are made again when they are needed."""
        made_again = ("_torch_backend", "_onnx_backend")
        return {**{name: value for name, value in self.__dict__.items() if name not in made_again}, "_networks": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _networks=Networks())

    @classmethod
    def from_pretrained(cls, name_or_path: str | os.PathLike[str] | None = None, **options: Any) -> Restorer:
        """A restorer from weights by name or file, by default those that ship for `task`; further options as of RestoreOptions.

        Raises OptionError for an unknown name or task, CheckpointError for a file that is no checkpoint.
        """
        if name_or_path is not None:
            options["weights"] = os.fspath(name_or_path)
        return cls.from_options(_make_options(options))

    @classmethod
    def from_options(cls, options: RestoreOptions, *, threads: int | None = None) -> Restorer:
        """A restorer with the weights that the options name, or with those that ship for their task; errors as of `from_pretrained`."""
        path = registry.for_task(options.task).verify() if options.weights is None else weights_file(options.weights)
        if onnx.is_onnx(path):
            return cls(onnx.read_config(path), {}, options, threads=threads)
        config, state = checkpoint.read(path)
        return cls(config, state, options, threads=threads)

    @property
    def backend(self) -> str:
        """Who computes: openvino, torch, or onnx for the weights of an .onnx file."""
        return self._kind

    @property
    def precision(self) -> str:
        """In what numbers: fp32, bf16, fp16 (or int8, of an .onnx file). Raises OptionError where the one asked for is not there."""
        side = self.grain
        return self._make_backend(side, side).precision

    def __call__(self, picture: Any, *, progress: Progress | None = None) -> Any:
        """Restore a picture and give it back in the form that it came in.

        A numpy array (H, W) or (H, W, C) or a torch tensor (C, H, W) or (B, C, H, W), uint8, uint16 or float in [0, 1]; a
        Pillow image; bytes of a picture file, which become bytes of the same format; or a path, whose restored
        picture is written beside it as NAME.restored.EXT, replacing a file of that name, and whose path is given back.
        Raises PictureError, and OptionError where the precision or the device that was asked for is not there.
        """
        run = functools.partial(self.restore_pixels, progress=progress)
        if isinstance(picture, np.ndarray):
            return forms.through_array(picture, run, channels=self.config.in_channels)
        if forms.is_tensor(picture):
            return forms.through_tensor(picture, run, channels=self.config.in_channels)
        if forms.is_pil(picture):
            return forms.through_pil(picture, run)
        if isinstance(picture, Image):
            return self.restore_image(picture, progress=progress)
        if isinstance(picture, bytes | bytearray | memoryview):
            image = read(bytes(picture))
            return encode(self.restore_image(image, progress=progress), image.suffix)
        if isinstance(picture, str | os.PathLike):
            path = default_output(Path(picture))
            write(self.restore_image(read(picture), progress=progress), path)
            return str(path) if isinstance(picture, str) else path
        raise PictureError(f"cannot restore a {type(picture).__name__}; expected a path, bytes, an array, a tensor or a Pillow image")

    def restore_image(self, image: Image, *, progress: Progress | None = None, notify: Notify = warn) -> Image:
        """Restore an Image: its pixels change; alpha, depth and metadata stay."""
        return image.with_pixels(self.restore_pixels(image.pixels, progress=progress, notify=notify))

    def restore_pixels(self, pixels: Pixels, *, progress: Progress | None = None, notify: Notify = warn) -> Pixels:
        """Restore (H, W, C) float32 in [0, 1] to the same; gray pixels pass through a colour network and come back gray."""
        if self.options.strength == 0:
            return pixels
        planar = pixels.transpose(2, 0, 1)
        restored = np.empty_like(pixels, order="C")
        rows_of = self.restore_rows(lambda start, end: planar[:, start:end], pixels.shape, progress=progress, notify=notify)
        for first, rows in rows_of:
            restored[first : first + len(rows)] = rows
        return restored

    def restore_rows(
        self, read: Rows, shape: tuple[int, ...], *, progress: Progress | None = None, notify: Notify = warn
    ) -> Iterator[tuple[int, Pixels]]:
        """Restore a picture of `shape` (H, W, C) a band at a time, so that it need not be in memory.

        `read` gives the rows from one to before another as (C, n, W) float32 in [0, 1], and is asked from top to bottom, for rows of a
        row of tiles at a time. Yields the number of the first row and the rows (n, W, C), good until the next are asked for. When the
        device runs out of memory, a tile that nobody asked for is halved, and all begins again at the top.
        """
        height, width, channels = shape
        if channels not in (1, self.config.in_channels) and self.config.in_channels != 1:
            raise PictureError(f"a picture of {channels} channels; these weights restore {self.config.in_channels}")
        largest = self.options.tile or self._largest_tile(height, width)
        while True:
            tiles = self._plan(height, width, largest)
            self._drop_networks(height, width, tiles.tile)
            try:
                for first, rows in blend(self._run(cut(read, tiles), tiles, progress, notify), tiles):
                    if self.options.strength != 1:
                        _mix(rows, read(first, first + rows.shape[1]), self.options.strength)
                    yield first, np.clip(rows, 0, 1, out=rows).transpose(1, 2, 0)
            except MemoryError:
                side = max(tiles.tile)
                if self.options.tile is not None or side <= self.config.multiple:
                    raise PictureError(f"out of memory with tiles of {side}; try a smaller --tile, or another device") from None
                largest = side // 2
                self._networks.clear()
                notify(f"out of memory with tiles of {side}; going on with {largest}")
            else:
                return

    def tile_for(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the tiles that a picture of these sides is restored in, if memory does not run out."""
        return self._plan(height, width, self.options.tile or self._largest_tile(height, width)).tile

    @functools.cached_property
    def memory_budget(self) -> int:
        """Bytes that the whole process may take: what `memory` says, or else half of what was free when this was first asked."""
        if self.options.memory is None:
            return int(available_memory() * SHARE_OF_MEMORY)
        return memory_in_bytes(self.options.memory, free=available_memory())

    @property
    def grain(self) -> int:
        """Pixels; sides and starts of tiles are multiples of it: whole windows in all but the two lowest levels."""
        if self._kind == "onnx":
            return self.config.multiple  # such a file pads to this by itself, by reflection
        return max(self.config.multiple // 4, self.config.stride)

    def _plan(self, height: int, width: int, largest: int) -> TilePlan:
        overlap = min(OVERLAP, self.config.multiple // 2) if self.options.overlap is None else self.options.overlap
        shared = {"overlap": overlap, "multiple": self.grain, "align": self.grain, "margin": MARGIN}
        if self.options.tile is None:
            return plan_freely(height, width, largest=largest, **shared)
        if self.options.overlap is None:
            largest = max(largest, overlap + self.grain)
        return plan_tiles(height, width, tile=largest, **shared)

    def _run(self, tiles: Iterator[Pixels], planned: TilePlan, progress: Progress | None, notify: Notify) -> Iterator[Pixels]:
        for done, tile in enumerate(tiles, start=1):
            restored = self._restore_tile(tile, notify)
            if progress:
                progress(done, planned.count)
            yield restored

    def _restore_tile(self, tile: Pixels, notify: Notify) -> Pixels:
        """(C, h, w) to the same, whatever the channels of picture and network; a tile without colour gets none."""
        if len(tile) == self.config.in_channels:
            restored = self._restore_colours(tile, notify)
            neutral = len(tile) > 1 and np.array_equal(tile, np.broadcast_to(tile[:1], tile.shape))
            return np.repeat(restored.mean(axis=0, keepdims=True), len(tile), axis=0) if neutral else restored
        if self.config.in_channels == 1:
            return np.concatenate([self._restore_colours(plane[None], notify) for plane in tile])
        return self._restore_colours(np.repeat(tile, self.config.in_channels, axis=0), notify).mean(axis=0, keepdims=True)

    def _restore_colours(self, tile: Pixels, notify: Notify) -> Pixels:
        """(C, h, w) to the same, C being the network's.

        With `ensemble`, the mean over the eight symmetries g of the square of g^-1(f(g(tile))), f being the network.
        """
        if not self.options.ensemble:
            return self._restore_once(tile, notify)
        total = np.zeros_like(tile)
        for flip in (False, True):
            for quarters in range(4):
                turned = np.rot90(tile[:, :, ::-1] if flip else tile, quarters, axes=(1, 2))
                restored = np.rot90(self._restore_once(turned, notify), -quarters, axes=(1, 2))
                total += restored[:, :, ::-1] if flip else restored
        return total / np.float32(8)

    def _restore_once(self, tile: Pixels, notify: Notify) -> Pixels:
        backend = self._backend_for(*tile.shape[1:])
        batch = np.ascontiguousarray(tile[None])
        restored = backend(batch)
        if not np.isfinite(restored).all() and backend.precision != "fp32":
            notify(f"a tile came out not finite in {backend.precision}; running it again in fp32")
            restored = backend.in_fp32()(batch)
        if not np.isfinite(restored).all():
            raise PictureError("the network gives values that are not finite; are its weights sound?")
        return restored[0]

    def _largest_tile(self, height: int, width: int) -> int:
        """Side of the largest tile with which a picture stays within the budget.

        Raises OptionError where the memory that was asked for does not suffice for the smallest.
        """
        if not self._network_memory()[0]:
            return LARGEST_TILE
        smallest = self.config.multiple
        whole = fits_in_memory(height * width, self.memory_budget)

        def needed(side: int) -> int:
            return self._memory_needed(height, width, (side, side))

        for side in range(max(LARGEST_TILE if whole else LARGEST_OF_A_BAND, smallest), smallest - 1, -self.grain):
            if needed(side) <= self.memory_budget:
                return side
        if self.options.memory is not None:
            raise OptionError(f"memory: {self.options.memory} is too little here; this picture needs {math.ceil(needed(smallest) / 1e6)}MB")
        return smallest

    def _memory_needed(self, height: int, width: int, tile: tuple[int, int]) -> int:
        """Bytes that the process takes for a picture of these sides and tiles of this size."""
        each, fixed = self._network_memory()
        return fixed + tile[0] * tile[1] * each + picture_memory(height, width, tile[0], self.memory_budget)

    def _drop_networks(self, height: int, width: int, tile: tuple[int, int]) -> None:
        """Drop networks of earlier pictures until the rest fit in the budget beside this picture.

        Without a tight budget, all take no more than one of the largest tile.
        """
        if self._kind != "openvino":
            return
        needed = {tile, tile[::-1]} if self.options.ensemble else {tile}
        most = self._kept_memory(LARGEST_TILE, LARGEST_TILE)
        room = self.memory_budget - self._memory_needed(height, width, tile) + self._kept_memory(*tile)
        self._networks.make_room(min(room, most) - sum(self._kept_memory(*size) for size in needed), needed)

    def _kept_memory(self, height: int, width: int) -> int:
        """Bytes that a compiled network for tiles of a size takes beside another one; nothing where one serves all sizes."""
        if self._kind != "openvino":
            return 0
        from uformer.restore.backends import openvino  # noqa: PLC0415 - openvino takes long to import

        each = openvino.memory_per_pixel(self.config, self.options.precision)
        return openvino.network_memory(self.config) + height * width * each

    def _network_memory(self) -> tuple[int, int]:
        """Bytes that the network takes for each pixel of a tile, and beside; nothing where it is not in the process's own memory."""
        if self._kind == "torch":
            from uformer.restore.backends import pytorch  # noqa: PLC0415 - torch is optional

            on_cpu = pytorch.choose_device(self.options.device) == "cpu"
            return (pytorch.memory_per_pixel(self.config), pytorch.fixed_memory(self.config)) if on_cpu else (0, 0)
        if self._kind == "onnx":
            return onnx.memory_per_pixel(self.config), onnx.fixed_memory(self.options.weights or "")
        from uformer.restore.backends import openvino  # noqa: PLC0415 - openvino takes long to import

        return openvino.memory_per_pixel(self.config, self.options.precision), openvino.fixed_memory(self.config)

    def _backend_for(self, height: int, width: int) -> Backend:
        """The network for tiles of a size."""
        cost = self._kept_memory(height, width)
        return self._networks.get((height, width), cost, lambda: self._make_backend(height, width))

    def _make_backend(self, height: int, width: int) -> Backend:
        if self._kind == "torch":
            return self._torch_backend
        if self._kind == "onnx":
            return self._onnx_backend
        from uformer.restore.backends.openvino import OpenVINOBackend  # noqa: PLC0415 - openvino takes long to import

        return OpenVINOBackend(
            self.config, self._state, height=height, width=width, precision=self.options.precision, threads=self._threads
        )

    @functools.cached_property
    def _torch_backend(self) -> Backend:
        from uformer.restore.backends.pytorch import TorchBackend  # noqa: PLC0415 - torch is optional

        return TorchBackend(self.config, self._state, device=self.options.device, precision=self.options.precision)

    @functools.cached_property
    def _onnx_backend(self) -> Backend:
        return onnx.OnnxBackend(self.options.weights or "", precision=self.options.precision, threads=self._threads)


def _mix(restored: Pixels, original: Pixels, strength: float) -> None:
    """original + strength (restored - original), in place of the restored."""
    restored -= original
    restored *= np.float32(strength)
    restored += original


def restore(picture: Any, task: str = "denoise", **options: Any) -> Any:
    """Restore one picture, in whatever form (see `Restorer.__call__`), and give it back in the same form; options as of RestoreOptions.

    The restorer of the last few choices of options is kept, so that a loop over pictures loads its weights once; a weights
    file that has changed is loaded again.
    """
    chosen, file = _make_options({"task": task, **options}), None
    if chosen.weights is not None and chosen.weights not in registry.WEIGHTS:
        path = weights_file(chosen.weights).absolute()
        if path.exists():
            chosen, file = dataclasses.replace(chosen, weights=str(path)), (path.stat().st_mtime_ns, path.stat().st_size)
    return _restorer(chosen, file)(picture)


@functools.lru_cache(maxsize=4)
def _restorer(options: RestoreOptions, _file: tuple[int, int] | None) -> Restorer:
    return Restorer.from_options(options)


def _make_options(values: dict[str, Any]) -> RestoreOptions:
    try:
        return RestoreOptions(**values)
    except TypeError:
        known = [field.name for field in dataclasses.fields(RestoreOptions)]
        unknown = next(name for name in values if name not in known)
        raise OptionError(f"unknown option {unknown!r}; known: {', '.join(known)}") from None


def default_output(path: Path) -> Path:
    """NAME.restored.EXT beside NAME.EXT. Raises PictureError for a folder, or a path with no name."""
    if not path.name or path.is_dir():
        raise PictureError(f"{str(path)!r} is a folder, not a picture")
    return path.with_name(f"{path.stem}.restored{path.suffix}")


def _choose_backend(options: RestoreOptions) -> str:
    if options.weights is not None and onnx.is_onnx(options.weights):
        if options.backend != "auto" or options.device not in ("auto", "cpu"):
            asked = f"backend: {options.backend!r}" if options.backend != "auto" else f"device: {options.device!r}"
            raise OptionError(f"{asked} cannot run {options.weights}: .onnx files are run by onnxruntime on the cpu")
        return "onnx"
    if options.backend == "openvino" and options.device not in ("auto", "cpu"):
        raise OptionError(f"device: the openvino backend computes on the cpu, not on {options.device!r}; use --backend torch")
    if options.backend != "auto":
        return options.backend
    if options.device == "cpu":
        return "openvino"
    if options.device != "auto":
        return "torch"
    return "torch" if _gpu_in_sight() else "openvino"


def _gpu_in_sight() -> bool:
    """Whether torch is installed and would compute on a GPU; torch is imported only where a GPU is likely."""
    if importlib.util.find_spec("torch") is None:
        return False
    likely = Path("/dev/nvidiactl").exists() or Path("/dev/kfd").exists() or sys.platform in ("darwin", "win32")
    if not likely:
        return False
    from uformer.restore.backends.pytorch import choose_device  # noqa: PLC0415 - torch is optional

    return choose_device("auto") != "cpu"
