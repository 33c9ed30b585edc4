"""Restorer: takes a degraded image in any form and returns the restored image in the same form."""

from __future__ import annotations

import copy
import itertools
import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uformer.config import UformerConfig
from uformer.errors import OptionError, PictureError
from uformer.image.image import Image, Pixels
from uformer.image.read import read
from uformer.image.samples import Values
from uformer.image.value_range import FULL, Real, ValueRange, choose_for, sampled
from uformer.image.write import encode
from uformer.notices import Notify, warn
from uformer.restore import forms, memory
from uformer.restore.controls import Stream, blend_rows
from uformer.restore.masks import Mask, mask_values
from uformer.restore.network import Network
from uformer.restore.options import AUTO, Controls, RestoreOptions, make_options
from uformer.restore.planes import restore_path
from uformer.restore.progress import Progress
from uformer.restore.restoration import Held, Restoration, SpreadMap
from uformer.restore.tile_size import largest_side, make_room, plan
from uformer.restore.tiles import Bands, Rows, SpreadTo, TilePlan, blend, cut
from uformer.restore.tones import decided
from uformer.restore.views import views_of


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
        self.mask: Pixels | None = None
        """Shares of the change (H, W) that `masked` sets; None for all of it."""
        self.spread_to: SpreadTo | None = None
        """Receives the spread of the network's answers, if `observed` set it."""

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
    def from_options(cls, options: RestoreOptions, *, notify: Notify = warn) -> Restorer:
        """Return a restorer with the network that the options select. Errors: see `from_pretrained`.

        `notify`: see `Network`. For several tasks and `auto`, use `uformer.restore`, or one restorer for each
        task.
        """
        if options.chain != (options,):
            raise OptionError(
                f"tasks: {options.tasks or AUTO!r} is not possible here; set task to a single task"
            )
        return cls(Network.load(options.network, notify=notify), options)

    def with_options(self, options: RestoreOptions) -> Restorer:
        """Return a restorer with other options and the same network, which is not loaded again.

        Raises ValueError for options that select another network.
        """
        if options.network != self.options.network:
            raise ValueError(f"{options.network} is not the network of this restorer, {self.options.network}")
        restorer = copy.copy(self)
        restorer.options = options
        return restorer

    @property
    def stages(self) -> tuple[Restorer, ...]:
        """The restorers that an image passes, one after the other: only this one, except in a Chain."""
        return (self,)

    def suited(self, read: Rows, shape: tuple[int, ...], *, notify: Notify = warn) -> Restorer:
        """Return the restorer for an image: this one, except in an Auto, which looks at the image."""
        del read, shape, notify
        return self

    @property
    def config(self) -> UformerConfig:
        return self.network.config

    @property
    def controls(self) -> Controls:
        """The controls of the options, with the tones decided."""
        return decided(self.options)

    @property
    def range(self) -> str:
        """The range that the options select, or with which the weights were trained."""
        return self.options.range or self.network.range

    @property
    def backend(self) -> str:
        """The inference backend; see `Network.backend_name`."""
        return self.network.backend_name

    @property
    def precision(self) -> str:
        """The numeric precision; see `Backend.precision`. Raises OptionError if it is not available."""
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
        mask: Any = None,
        output: str | os.PathLike[str] | None = None,
        overwrite: bool = False,
        progress: Progress | None = None,
    ) -> Any:
        """Restore an image and return it in the form in which it was passed.

        `picture` is one of these:

        - a numpy array (H, W) or (H, W, C), or a torch tensor (C, H, W) or (B, C, H, W), of any numbers;
        - a Pillow image;
        - the bytes of an image file, which become bytes of the same format;
        - the path of an image file, TIFF stack or Zarr, all pages of which are restored. The result is
          written to `output`, by default NAME.restored.EXT beside the input, and its path is returned. For
          HEIC and camera raw, EXT is jpg and tif; an `output` of camera raw may also end in .dng. An existing
          file is replaced only with `overwrite`.

        `mask`: a gray image; only where it is white, the image is restored (see `masked`).

        Raises PictureError for an image that cannot be restored, OptionError if the requested precision or
        device is not available, or if the output exists or cannot be written.
        """
        restorer = self if mask is None else self.masked(mask)
        if isinstance(picture, str | os.PathLike):
            path = forms.output_for(picture, output, overwrite)
            restore_path(restorer, picture, path, progress=progress)
            return str(path) if isinstance(picture, str) else path
        if output is not None:
            raise OptionError("output: needs the path of an image file; other results are returned")
        if isinstance(picture, bytes | bytearray | memoryview):
            image = read(bytes(picture))
            restored = restorer.restore_image(image, progress=progress)
            return encode(restored, image.suffix, quality=self.options.quality)

        def run(values: Values, depth: int) -> Values:
            used = restorer.range_of(sampled(values), depth)
            return restorer.restore_pixels(values, used=used, progress=progress)

        return forms.through(picture, run, channels=self.config.in_channels)

    def infer(
        self,
        picture: Any,
        *,
        trust: bool = False,
        progress: Progress | None = None,
        notify: Notify = warn,
    ) -> Restoration:
        """Run the network on an image and return its answer, from which `blend` makes any number of results.

        `picture` and errors: as for calling the restorer. The file of a path is read only here. `trust`: keep
        the spread of the answers for `Restoration.report`. That takes four times as long without `ensemble`.
        """
        restoration = Restoration(
            Held.of(picture),
            controls=self.controls,
            channels=self.config.in_channels,
            quality=self.options.quality,
            views=views_of(ensemble=self.options.ensemble) if trust else None,
            options=self.options,
        )

        def run(values: Values, depth: int) -> Values:
            used = self.range_of(sampled(values), depth, notify=notify)
            planar = used.to_unit(values).transpose(2, 0, 1)
            spread = SpreadMap(*planar.shape[1:])
            restorer = self.observed(spread.add) if trust else self
            bands = restorer._network_rows(  # noqa: SLF001 - of a restorer of this class
                lambda start, end: planar[:, start:end], values.shape, progress, notify
            )
            restoration.add(bands, planar, used, spread)
            return values

        restoration.mask = self.mask
        restoration.through(run)
        return restoration

    def masked(self, mask: Any) -> Restorer:
        """Return a restorer for the same network that restores only where a mask is white.

        `mask`: see `mask_values`. It is stretched to each image. Raises PictureError for other values.
        """
        restorer = copy.copy(self)
        restorer.mask = mask_values(mask)
        return restorer

    def observed(self, spread_to: SpreadTo) -> Restorer:
        """Return a restorer for the same network that also passes on the spread of the network's answers.

        `spread_to` receives it before the restored rows; see `Network.restore_with_spread`.
        """
        restorer = copy.copy(self)
        restorer.spread_to = spread_to
        return restorer

    def restore_image(
        self,
        image: Image,
        *,
        used: ValueRange | None = None,
        progress: Progress | None = None,
        notify: Notify = warn,
    ) -> Image:
        """Restore the pixels of an Image; alpha, bit depth and metadata stay unchanged.

        `used`: the range of its values; default: `range_of_image`.
        """
        values = image.values
        used = used or self.range_of_image(image, notify=notify)
        restored = self.restore_pixels(values, used=used, progress=progress, notify=notify)
        return image if restored is values else image.with_values(restored)

    def range_of(self, sample: Values, depth: int, *, notify: Notify = warn) -> ValueRange:
        """Return the range of values that is scaled to [0, 1] for the network, as the options select it.

        `sample`: from `value_range.sampled`. Raises PictureError as `choose_for` does.
        """
        return choose_for(self.range, sample, depth, notify=notify)

    def range_of_image(self, image: Image, *, notify: Notify = warn) -> ValueRange:
        """Return `range_of` the values of an image."""
        return self.range_of(sampled(image.values), image.depth, notify=notify)

    def restore_pixels(
        self,
        pixels: NDArray[Real],
        *,
        used: ValueRange = FULL,
        progress: Progress | None = None,
        notify: Notify = warn,
    ) -> NDArray[Real]:
        """Restore (H, W, C) float32, or float64 for values that float32 does not hold, to the same shape.

        `used`: the range of values that the network sees as [0, 1]. What lies outside is kept. A gray image
        goes through a colour network and stays gray.
        """
        read_rows = rows_of(pixels, used)
        suited = self.suited(read_rows, pixels.shape, notify=notify)
        if suited.controls.for_channels(pixels.shape[2]).idle:
            return pixels
        restored = np.empty_like(pixels, order="C")
        for first, rows in suited.restore_rows(read_rows, pixels.shape, progress=progress, notify=notify):
            last = first + len(rows)
            restored[first:last] = used.from_unit(rows, pixels[first:last])
        return restored

    def restore_rows(
        self, read: Rows, shape: tuple[int, ...], *, progress: Progress | None = None, notify: Notify = warn
    ) -> Iterator[tuple[int, Pixels]]:
        """Restore an image of `shape` (H, W, C) in bands of rows, so that it need not fit in memory.

        `read(first, last)` returns the rows from `first` up to but not including `last`, as (C, n, W) float32
        in [0, 1]. It is called from top to bottom, once for each row of tiles, and again for rows to which
        controls or a mask are applied. Yields the number of the first row and the restored rows (n, W, C);
        their buffer is reused by the next iteration. If the device runs out of memory and no tile size was
        requested, the tile is halved and the image starts again at row 0.
        """
        height, width, channels = shape
        controls = self.controls.for_channels(channels)
        mask = None if self.mask is None else Mask(self.mask, height, width)
        if mask is not None and mask.white:
            mask = None

        def finished(bands: Bands) -> Bands:
            if controls.plain and mask is None:
                return bands
            return blend_rows(Stream(bands, read), (channels, height, width), controls, mask)

        for first, rows in self._network_rows(read, shape, progress, notify, finished):
            yield first, np.clip(rows, 0, 1, out=rows).transpose(1, 2, 0)

    def _network_rows(
        self,
        read: Rows,
        shape: tuple[int, ...],
        progress: Progress | None,
        notify: Notify,
        finished: Callable[[Bands], Bands] = lambda bands: bands,
    ) -> Bands:
        """Yield the number of the first row and the rows (C, n, W) that `finished` makes of the network's.

        The network's rows are not clipped. Arguments: see `restore_rows`, which also says what happens if
        memory runs out. Raises PictureError for a wrong number of channels.
        """
        height, width, channels = shape
        if channels not in (1, self.config.in_channels) and self.config.in_channels != 1:
            raise PictureError(
                f"the image has {channels} channels; these weights restore {self.config.in_channels}"
            )
        largest = self.options.tile or self._largest(height, width)
        while True:
            tiles = plan(self.network, self.options, height, width, largest)
            make_room(self.network, self.options, height, width, tiles.tile, self.memory_budget)
            try:
                bands = blend(self._run(cut(read, tiles), tiles, progress, notify), tiles)
                yield from finished(self._without_spread(bands))
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
        largest = self.options.tile or self._largest(height, width)
        return plan(self.network, self.options, height, width, largest).tile

    def _largest(self, height: int, width: int) -> int:
        return largest_side(self.network, self.options, height, width, self.memory_budget)

    def _run(
        self, tiles: Iterator[Pixels], planned: TilePlan, progress: Progress | None, notify: Notify
    ) -> Iterator[Pixels]:
        done, at_once = 0, self.network.for_size(*planned.tile).batch
        while batch := list(itertools.islice(tiles, at_once)):
            for restored in self._restored(np.stack(batch), notify):
                done += 1
                if progress:
                    progress(done, planned.count)
                yield restored

    def _restored(self, tiles: Pixels, notify: Notify) -> Pixels:
        ensemble = self.options.ensemble
        if self.spread_to is None:
            return self.network.restore(tiles, notify, ensemble=ensemble)
        answer = self.network.restore_with_spread(tiles, notify, ensemble=ensemble)
        return np.concatenate(answer, axis=1)  # the spread is blended like one more channel

    def _without_spread(self, bands: Bands) -> Bands:
        """Pass the last channel on to whoever receives the spread, and yield the others."""
        for first, rows in bands:
            if self.spread_to is None:
                yield first, rows
            else:
                self.spread_to(first, rows[-1])
                yield first, rows[:-1]


def rows_of(pixels: Values, used: ValueRange) -> Rows:
    """Return a function that reads rows of an image (H, W, C), of which `used` is black to white."""
    return lambda first, last: used.to_unit(pixels[first:last]).transpose(2, 0, 1)
