"""Restorer: takes a degraded image in any form and returns the restored image in the same form."""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from uformer.config import UformerConfig
from uformer.errors import OptionError, PictureError
from uformer.image.formats import by_suffix
from uformer.image.image import Image, Pixels
from uformer.image.prepare import check
from uformer.image.read import read
from uformer.image.value_range import FULL, MOST_OUTSIDE, ValueRange, choose, sampled, share_outside
from uformer.image.write import encode, write
from uformer.notices import Notify, ignore, warn
from uformer.output import check_output
from uformer.restore import forms, memory
from uformer.restore.network import Network
from uformer.restore.options import RestoreOptions, make_options
from uformer.restore.tiles import Rows, TilePlan, blend, cut, plan_freely, plan_tiles

Progress = Callable[[int, int], None]
"""Called after each tile with the number of finished tiles and the number of all tiles."""

OVERLAP = 32  # pixels
MARGIN = 8  # pixels around an image: enough for a flat image to stay within one 8-bit level (docs/memory.md)


class Restorer:
    """Restores any number of images with one network.

    `options`: how to restore; the fields of NetworkOptions are ignored here. `share`: see
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
            raise OptionError(
                f"weights with {channels} input and {out} output channels cannot restore images;"
                " both numbers must be the same"
            )
        self.network = network
        self.options = options
        self._share = share

    @classmethod
    def from_pretrained(cls, name_or_path: str | os.PathLike[str] | None = None, **options: Any) -> Restorer:
        """Load weights by name or file, by default those that ship for `task`, and return a restorer.

        `options`: the fields of RestoreOptions.
        Raises OptionError for an unknown name or task, CheckpointError for a file that is not a checkpoint.
        """
        if name_or_path is not None:
            options["weights"] = os.fspath(name_or_path)
        return cls.from_options(make_options(options))

    @classmethod
    def from_options(cls, options: RestoreOptions) -> Restorer:
        """Return a restorer with the network that the options select. Errors: see `from_pretrained`.

        For several tasks, use `uformer.restore`, or one restorer for each.
        """
        if options.tasks is not None:
            raise OptionError(f"tasks: {options.tasks!r} is not possible here; set task to a single task")
        return cls(Network.load(options.network), options)

    def with_options(self, options: RestoreOptions) -> Restorer:
        """Return a restorer with other options and the same network, which is not loaded again.

        Raises ValueError for options that select another network.
        """
        if options.network != self.options.network:
            raise ValueError(f"{options.network} is not the network of this restorer, {self.options.network}")
        return type(self)(self.network, options, share=self._share)

    @property
    def stages(self) -> tuple[Restorer, ...]:
        """The restorers that an image passes, one after the other: only this one, except in a Chain."""
        return (self,)

    @property
    def config(self) -> UformerConfig:
        return self.network.config

    @property
    def backend(self) -> str:
        """The inference backend: openvino, torch, or onnx for an .onnx file."""
        return self.network.backend_name

    @property
    def precision(self) -> str:
        """The numeric precision: fp32, bf16 or fp16 (or int8, for an .onnx file).

        Raises OptionError if the requested precision is not available.
        """
        return self.network.backend.precision

    @property
    def grain(self) -> int:
        """The number of pixels of which the sides and starts of tiles are multiples."""
        return self.network.backend.grain

    @property
    def memory_budget(self) -> int:
        """The memory limit of the whole process in bytes: `options.memory`, by default half of free memory.

        Free memory is `Network.free_memory`.
        """
        free = self.network.free_memory
        return memory.process_budget(self.options.memory, free=free, share=self._share)

    def __call__(
        self,
        picture: Any,
        *,
        output: str | os.PathLike[str] | None = None,
        overwrite: bool = False,
        progress: Progress | None = None,
    ) -> Any:
        """Restore an image and return it in the form in which it was passed.

        `picture` is one of these:

        - a numpy array (H, W) or (H, W, C), or a torch tensor (C, H, W) or (B, C, H, W), of type uint8,
          uint16 or float;
        - a Pillow image;
        - the bytes of an image file, which become bytes of the same format;
        - the path of an image file. The result is written to `output`, by default NAME.restored.EXT beside
          the input, and its path is returned. For HEIC and camera raw, EXT is jpg and tif; an `output` of
          camera raw may also end in .dng. An existing file is replaced only with `overwrite`.

        Raises PictureError for an image that cannot be restored, OptionError if the requested precision or
        device is not available, or if the output exists or cannot be written.
        """
        is_path = isinstance(picture, str | os.PathLike)
        if output is not None and not is_path:
            raise OptionError("output: needs the path of an image file; other results are returned")
        run = functools.partial(self._restore_values, progress=progress)
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
            restored = self.restore_image(image, progress=progress)
            return encode(restored, image.suffix, quality=self.options.quality)
        if is_path:
            path = forms.default_output(Path(picture)) if output is None else Path(output)
            if output is not None:
                forms.check_suffix(path)
            check_output(path, overwrite=overwrite, source=Path(picture), how="pass overwrite=True")
            image = read(picture)
            check(image, by_suffix(path.suffix), "keep", notify=ignore)  # before the network runs for nothing
            restored = self.restore_image(image, progress=progress)
            write(restored, path, quality=self.options.quality)
            return str(path) if isinstance(picture, str) else path
        raise PictureError(
            f"cannot restore a {type(picture).__name__};"
            " expected a path, bytes, an array, a tensor or a Pillow image"
        )

    def restore_image(
        self,
        image: Image,
        *,
        used: ValueRange | None = None,
        progress: Progress | None = None,
        notify: Notify = warn,
    ) -> Image:
        """Restore the pixels of an Image; alpha, bit depth and metadata stay unchanged.

        `used`: the range of its values; default: `range_of` the image.
        """
        values = image.values
        used = used or self.range_of(sampled(values), image.depth, notify=notify)
        restored = self.restore_pixels(values, used=used, progress=progress, notify=notify)
        return image if restored is values else image.with_values(restored)

    def range_of(self, sample: Pixels, depth: int, *, notify: Notify = warn) -> ValueRange:
        """Return the range of values that is scaled to [0, 1] for the network, as the options select it.

        `sample`: values of the image, from `value_range.sampled`. `depth`: its bits per sample. Raises
        PictureError for float values outside [0, 1] if the full range is requested.
        """
        used = choose(self.options.range, sample, depth)
        if used == FULL and depth == 32 and (share := share_outside(sample)):
            if self.options.range == "full" and share > MOST_OUTSIDE:
                raise PictureError(
                    f"the image has float samples from {sample.min():g} to {sample.max():g}, {share:.0%} "
                    "of them outside 0 to 1; use --range auto, or scale them so that white is 1"
                )
            notify("the image has samples outside 0 to 1; the excess is kept unchanged")
        return used

    def _restore_values(self, values: Pixels, depth: int, *, progress: Progress | None) -> Pixels:
        used = self.range_of(sampled(values), depth)
        return self.restore_pixels(values, used=used, progress=progress)

    def restore_pixels(
        self,
        pixels: Pixels,
        *,
        used: ValueRange = FULL,
        progress: Progress | None = None,
        notify: Notify = warn,
    ) -> Pixels:
        """Restore (H, W, C) float32 to the same shape.

        `used`: the range of values that the network sees as [0, 1]. What lies outside is kept. A gray image
        goes through a colour network and stays gray.
        """
        if self.options.strength == 0:
            return pixels
        restored = np.empty_like(pixels, order="C")
        rows_of = self.restore_rows(
            lambda start, end: used.to_unit(pixels[start:end]).transpose(2, 0, 1),
            pixels.shape,
            progress=progress,
            notify=notify,
        )
        for first, rows in rows_of:
            last = first + len(rows)
            restored[first:last] = used.from_unit(rows, pixels[first:last])
        return restored

    def restore_rows(
        self, read: Rows, shape: tuple[int, ...], *, progress: Progress | None = None, notify: Notify = warn
    ) -> Iterator[tuple[int, Pixels]]:
        """Restore an image of `shape` (H, W, C) in bands of rows, so that it need not fit in memory.

        `read(first, last)` returns the rows from `first` up to but not including `last`, as (C, n, W) float32
        in [0, 1]. It is called from top to bottom, once for each row of tiles. Yields the number of the first
        row and the restored rows (n, W, C); their buffer is reused by the next iteration. If the device runs
        out of memory and no tile size was requested, the tile is halved and the image starts again at row 0.
        """
        height, width, channels = shape
        if channels not in (1, self.config.in_channels) and self.config.in_channels != 1:
            raise PictureError(
                f"the image has {channels} channels; these weights restore {self.config.in_channels}"
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
                        f"out of memory with tiles of {side} pixels; try a smaller --tile or another --device"
                    ) from None
                largest = side // 2
                self.network.clear()
                notify(f"out of memory with tiles of {side} pixels; retrying with {largest}")
            else:
                return

    def tile_for(self, height: int, width: int) -> tuple[int, int]:
        """Return height and width of the tiles for an image of this size, unless memory runs out."""
        return self._plan(height, width, self.options.tile or self._largest_tile(height, width)).tile

    def _largest_tile(self, height: int, width: int) -> int:
        """Return the side of the largest tile with which an image stays within the memory limit.

        Raises OptionError if the requested limit is too low for the smallest tile.
        """
        budget, grain = self.memory_budget, self.grain
        smallest = max(self.config.multiple, math.ceil((self._overlap + grain) / grain) * grain)
        network = self.network.backend.memory
        if network is None:
            return memory.LARGEST_TILE
        side = memory.largest_tile(network, height, width, budget, smallest=smallest, step=grain)
        if side is None and self.options.memory is not None:
            enough = memory.needed(network, height, width, (smallest, smallest), budget)
            raise OptionError(
                f"memory: {self.options.memory} is too little;"
                f" this image needs at least {math.ceil(enough / 1e6)}MB"
            )
        return side or smallest

    @property
    def _overlap(self) -> int:
        """The overlap of neighbouring tiles in pixels."""
        if self.options.overlap is not None:
            return self.options.overlap
        return min(OVERLAP, self.config.multiple // 2)

    def _plan(self, height: int, width: int, largest: int) -> TilePlan:
        shared = {"overlap": self._overlap, "multiple": self.grain, "align": self.grain, "margin": MARGIN}
        if self.options.tile is None:
            return plan_freely(height, width, largest=largest, **shared)
        if self.options.overlap is None:
            largest = max(largest, self._overlap + self.grain)
        return plan_tiles(height, width, tile=largest, **shared)

    def _make_room(self, height: int, width: int, tile: memory.Size) -> None:
        """Drop graphs that were compiled for earlier images until this image fits in the memory limit."""
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
        """Restore (C, h, w) to the same shape, whatever the channels of image and network.

        A tile without colour stays without colour.
        """
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
        """Restore (C, h, w) to the same shape, where C is the network's number of channels.

        With `ensemble`, return the mean of g^-1(f(g(tile))) over the eight symmetries g of the square, where
        f is the network.
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
    """Set `restored` to original + strength * (restored - original), in place."""
    restored -= original
    restored *= np.float32(strength)
    restored += original
