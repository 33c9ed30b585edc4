"""Restorer: a degraded image in any form in, the restored image in the same form out."""

from __future__ import annotations

import functools
import math
import os
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
from uformer.restore import forms, memory
from uformer.restore.network import Network
from uformer.restore.options import RestoreOptions, make_options
from uformer.restore.tiles import Rows, TilePlan, blend, cut, plan_freely, plan_tiles

Pixels = NDArray[np.float32]
Progress = Callable[[int, int], None]
"""Called after each tile with the tiles done and their number."""

OVERLAP = 32  # pixels; see tiles.py for what it costs in exactness
MARGIN = 8  # pixels around an image; a flat one then comes back within one 8-bit level (docs/memory.md)


class Restorer:
    """Restores images with one network; made once, it is used for many.

    `options`: those that choose a network (NetworkOptions) are not read here. `share`: as of
    `memory.process_budget`. Raises OptionError for weights that cannot restore an image.
    """

    def __init__(
        self,
        network: Network,
        options: RestoreOptions = RestoreOptions(),
        *,
        share: float = 1.0,
    ) -> None:
        channels, out = network.config.in_channels, network.config.out_channels
        if channels != out:
            raise OptionError(f"weights of {channels} channels in, {out} out cannot restore a picture file")
        self.network = network
        self.options = options
        self._share = share

    @classmethod
    def from_pretrained(cls, name_or_path: str | os.PathLike[str] | None = None, **options: Any) -> Restorer:
        """A restorer from weights by name or file, by default those that ship for `task`.

        `options`: as of RestoreOptions.
        Raises OptionError for an unknown name or task, CheckpointError for a file that is no checkpoint.
        """
        if name_or_path is not None:
            options["weights"] = os.fspath(name_or_path)
        return cls.from_options(make_options(options))

    @classmethod
    def from_options(cls, options: RestoreOptions) -> Restorer:
        """A restorer with the network that the options name; errors as of `from_pretrained`."""
        return cls(Network.load(options.network), options)

    def with_options(self, options: RestoreOptions) -> Restorer:
        """A restorer with other options and the same network, which is not loaded again.

        Raises ValueError for options that ask for another network.
        """
        if options.network != self.options.network:
            raise ValueError(f"{options.network} is not the network of this restorer, {self.options.network}")
        return type(self)(self.network, options, share=self._share)

    @property
    def config(self) -> UformerConfig:
        return self.network.config

    @property
    def backend(self) -> str:
        """Who computes: openvino, torch, or onnx for the weights of an .onnx file."""
        return self.network.backend_name

    @property
    def precision(self) -> str:
        """The numbers it computes in: fp32, bf16, fp16 (or int8, for an .onnx file).

        Raises OptionError where the one asked for is not there.
        """
        return self.network.backend.precision

    @property
    def grain(self) -> int:
        """Pixels; sides and starts of tiles are multiples of it."""
        return self.network.backend.grain

    @property
    def memory_budget(self) -> int:
        """Bytes that the whole process may take: what `options.memory` says, by default half of what was free.

        The free memory is that of `Network.free_memory`.
        """
        free = self.network.free_memory
        return memory.process_budget(self.options.memory, free=free, share=self._share)

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
            path = forms.default_output(Path(picture))
            write(self.restore_image(read(picture), progress=progress), path)
            return str(path) if isinstance(picture, str) else path
        raise PictureError(
            f"cannot restore a {type(picture).__name__}; expected a path, bytes, an array, a tensor or a Pillow image"
        )

    def restore_image(
        self, image: Image, *, progress: Progress | None = None, notify: Notify = warn
    ) -> Image:
        """Restore an Image: its pixels change; alpha, depth and metadata stay."""
        return image.with_pixels(self.restore_pixels(image.pixels, progress=progress, notify=notify))

    def restore_pixels(
        self, pixels: Pixels, *, progress: Progress | None = None, notify: Notify = warn
    ) -> Pixels:
        """Restore (H, W, C) float32 in [0, 1] to the same; gray pixels pass through a colour network and come back gray."""
        if self.options.strength == 0:
            return pixels
        planar = pixels.transpose(2, 0, 1)
        restored = np.empty_like(pixels, order="C")
        rows_of = self.restore_rows(
            lambda start, end: planar[:, start:end], pixels.shape, progress=progress, notify=notify
        )
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
            raise PictureError(
                f"a picture of {channels} channels; these weights restore {self.config.in_channels}"
            )
        largest = self.options.tile or self._largest_tile(height, width)
        while True:
            tiles = self._plan(height, width, largest)
            self._make_room(height, width, tiles.tile)
            try:
                for first, rows in blend(self._run(cut(read, tiles), tiles, progress, notify), tiles):
                    if self.options.strength != 1:
                        _mix(rows, read(first, first + rows.shape[1]), self.options.strength)
                    yield first, np.clip(rows, 0, 1, out=rows).transpose(1, 2, 0)
            except MemoryError:
                side = max(tiles.tile)
                if self.options.tile is not None or side <= self.config.multiple:
                    raise PictureError(
                        f"out of memory with tiles of {side}; try a smaller --tile, or another device"
                    ) from None
                largest = side // 2
                self.network.clear()
                notify(f"out of memory with tiles of {side}; going on with {largest}")
            else:
                return

    def tile_for(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the tiles that a picture of these sides is restored in, if memory does not run out."""
        return self._plan(height, width, self.options.tile or self._largest_tile(height, width)).tile

    def _largest_tile(self, height: int, width: int) -> int:
        """Side of the largest tile with which an image stays within the budget.

        Raises OptionError where the memory that was asked for does not suffice for the smallest.
        """
        budget, smallest = self.memory_budget, self.config.multiple
        network = self.network.backend.memory
        if network is None:
            return memory.LARGEST_TILE
        side = memory.largest_tile(network, height, width, budget, smallest=smallest, step=self.grain)
        if side is None and self.options.memory is not None:
            enough = memory.needed(network, height, width, (smallest, smallest), budget)
            said, megabytes = self.options.memory, math.ceil(enough / 1e6)
            raise OptionError(f"memory: {said} is too little here; this picture needs {megabytes}MB")
        return side or smallest

    def _plan(self, height: int, width: int, largest: int) -> TilePlan:
        overlap = (
            min(OVERLAP, self.config.multiple // 2) if self.options.overlap is None else self.options.overlap
        )
        shared = {"overlap": overlap, "multiple": self.grain, "align": self.grain, "margin": MARGIN}
        if self.options.tile is None:
            return plan_freely(height, width, largest=largest, **shared)
        if self.options.overlap is None:
            largest = max(largest, overlap + self.grain)
        return plan_tiles(height, width, tile=largest, **shared)

    def _make_room(self, height: int, width: int, tile: memory.Size) -> None:
        """Drop what was compiled for earlier images until the rest fits in the budget beside this image."""
        network = self.network.backend.memory
        if network is not None:
            used = {tile, tile[::-1]} if self.options.ensemble else {tile}
            room = memory.room_for_others(network, height, width, tile, used, self.memory_budget)
            self.network.make_room(room, used)

    def _run(
        self, tiles: Iterator[Pixels], planned: TilePlan, progress: Progress | None, notify: Notify
    ) -> Iterator[Pixels]:
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
        return self._restore_colours(np.repeat(tile, self.config.in_channels, axis=0), notify).mean(
            axis=0, keepdims=True
        )

    def _restore_colours(self, tile: Pixels, notify: Notify) -> Pixels:
        """(C, h, w) to the same, C being the network's.

        With `ensemble`, the mean over the eight symmetries g of the square of g^-1(f(g(tile))), f being the network.
        """
        if not self.options.ensemble:
            return self.network.run(tile, notify)
        total = np.zeros_like(tile)
        for flip in (False, True):
            for quarters in range(4):
                turned = np.rot90(tile[:, :, ::-1] if flip else tile, quarters, axes=(1, 2))
                restored = np.rot90(self.network.run(turned, notify), -quarters, axes=(1, 2))
                total += restored[:, :, ::-1] if flip else restored
        return total / np.float32(8)


def _mix(restored: Pixels, original: Pixels, strength: float) -> None:
    """original + strength (restored - original), in place of the restored."""
    restored -= original
    restored *= np.float32(strength)
    restored += original
