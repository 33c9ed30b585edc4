"""Network: weights on a device, in a precision, compiled for the tile sizes in use."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from uformer.errors import PictureError
from uformer.image import vips
from uformer.image.image import Pixels
from uformer.notices import Notify, warn
from uformer.restore.backends.base import Backend, Runner, Weights
from uformer.restore.backends.choose import choose, read_weights
from uformer.restore.backends.exported import with_exported
from uformer.restore.backends.trust import trusted
from uformer.restore.compiled import Compiled
from uformer.restore.memory import Size
from uformer.restore.options import NetworkOptions
from uformer.restore.views import FEW, VIEWS, Moments, View
from uformer.system_memory import available_memory


class Network:
    """A network that is loaded once and restores many images, whatever the options of each call.

    The backend's library is imported and the device is checked on first use. A pickled copy chooses its
    backend in the process that unpickles it, and starts with an empty cache of compiled graphs. `notify` is
    told of work that delays the first use: the export of weights for onnxruntime.

    `options.threads` also applies to libvips and, on a CPU, to torch; there it holds for the whole process.
    Raises OptionError for options that contradict each other or the weights.
    """

    def __init__(
        self, weights: Weights, options: NetworkOptions = NetworkOptions(), *, notify: Notify = warn
    ) -> None:
        self.config = weights.config
        self.options = options
        self._weights = weights
        self._choice = choose(weights, options)
        self._name = self._choice.name
        self._notify = notify
        self._notice: str | None = None
        if options.threads is not None:
            vips.use_threads(options.threads)
        self._compiled = Compiled()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._weights, self.options)

    @classmethod
    def load(cls, options: NetworkOptions = NetworkOptions(), *, notify: Notify = warn) -> Network:
        """Load the weights that the options name, or those that ship for their task.

        `notify`: see the class. Raises OptionError for an unknown name or task, CheckpointError for a file
        that is not a checkpoint.
        """
        return cls(read_weights(options), options, notify=notify)

    @property
    def range(self) -> str:
        """How values are scaled to [0, 1] if the options do not say it; see `Weights.range`."""
        return self._weights.range

    @property
    def backend_name(self) -> str:
        """The inference backend: openvino, torch or onnx."""
        return self._name

    def ready_weights(self) -> Weights:
        """Return the weights in the form that the backend takes: exported, if onnxruntime runs them.

        Errors: see `with_exported`.
        """
        if self._choice.name != "onnx":
            return self._weights
        return with_exported(self._weights, self.options.precision, self._notify)

    @functools.cached_property
    def backend(self) -> Backend:
        """The backend, made on first use; the weights are exported if onnxruntime needs that.

        It runs on the CPU if the device fails its check (`trust`); the first tile that is restored gives a
        notice of that. Raises OptionError if the device or precision is not available, or a package for the
        export is missing, and ExportError if the export fails.
        """
        weights = self.ready_weights()
        choice, self._notice = trusted(weights, self.options, choose(weights, self.options))
        self._name = choice.name
        return choice.make()

    @functools.cached_property
    def free_memory(self) -> int:
        """Free memory in bytes when this property was first read; all restorers of this network use it."""
        return available_memory()

    def for_size(self, height: int, width: int) -> Runner:
        """Return the runner for a tile size, from the cache or new."""
        memory = self.backend.memory
        cost = memory.kept((height, width)) if memory else 0
        return self._compiled.get((height, width), cost, lambda: self.backend.for_size(height, width))

    def make_room(self, limit: int, used: set[Size]) -> None:
        """Drop compiled graphs of this process until they take at most `limit` bytes.

        The sizes in `used` stay and do not count. The least recently used graphs go first, whichever network
        they belong to. A backend with one graph for all sizes drops nothing.
        """
        memory = self.backend.memory
        if memory is not None and memory.another:
            self._compiled.make_room(limit, used)

    def clear(self) -> None:
        """Drop all compiled graphs of this network."""
        self._compiled.clear()

    @property
    def kept(self) -> set[Size]:
        """The tile sizes for which this network is compiled."""
        return self._compiled.sizes

    def restore(self, tiles: Pixels, notify: Notify, *, ensemble: bool = False) -> Pixels:
        """Restore tiles (B, C, h, w) to the same shape, whatever their channels; see `run`.

        A tile without colour stays without colour. `ensemble`: return the mean over all VIEWS of each tile.
        """
        return self._moments(tiles, notify, VIEWS).mean if ensemble else self._answer(tiles, notify)

    def restore_with_spread(
        self, tiles: Pixels, notify: Notify, *, ensemble: bool = False
    ) -> tuple[Pixels, Pixels]:
        """Return what `restore` returns, and the spread (B, 1, h, w) of the answers to several views.

        The network runs for all VIEWS with `ensemble`, otherwise for the first FEW.
        """
        moments = self._moments(tiles, notify, VIEWS if ensemble else VIEWS[:FEW])
        return moments.mean if ensemble else moments.first, moments.spread

    def _moments(self, tiles: Pixels, notify: Notify, views: Sequence[View]) -> Moments:
        moments = Moments(self._answer(tiles, notify))
        for view in views[1:]:
            moments.add(view.undo(self._answer(view.of(tiles), notify)))
        return moments

    def _answer(self, tiles: Pixels, notify: Notify) -> Pixels:
        """Return the answers to one view of the tiles, with the channels of the tiles."""
        channels, given = self.config.in_channels, tiles.shape[1]
        if given == channels:
            restored = self.run(tiles, notify)
            for tile, answer in zip(tiles, restored, strict=True):
                if given > 1 and np.array_equal(tile, np.broadcast_to(tile[:1], tile.shape)):
                    answer[...] = answer.mean(axis=0, keepdims=True)
            return restored
        if channels == 1:
            planes = [self.run(tiles[:, channel : channel + 1], notify) for channel in range(given)]
            return np.concatenate(planes, axis=1)
        return self.run(np.repeat(tiles, channels, axis=1), notify).mean(axis=1, keepdims=True)

    def run(self, tiles: Pixels, notify: Notify) -> Pixels:
        """Restore tiles (B, C, h, w), float32 in [0, 1], to the same shape, not clipped; C is the network's.

        Tiles with non-finite results are run again in fp32. Raises PictureError if a result is still not
        finite, MemoryError if the device has too little memory.
        """
        runner = self.for_size(*tiles.shape[2:])
        if self._notice is not None:
            notify(self._notice)
            self._notice = None
        tiles = np.ascontiguousarray(tiles)
        restored = runner(tiles)
        if not np.isfinite(restored).all() and runner.precision != "fp32":
            notify(f"a tile has non-finite values in {runner.precision}; running it again in fp32")
            broken = ~np.isfinite(restored).all(axis=(1, 2, 3))
            restored[broken] = runner.in_fp32()(tiles[broken])
        if not np.isfinite(restored).all():
            raise PictureError("the network returns non-finite values; its weights may be damaged")
        return restored
