"""Network: weights on a device, in a precision, compiled for the sizes of tiles that it has restored."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uformer.errors import PictureError
from uformer.notices import Notify
from uformer.restore.backends.base import Backend, Runner, Weights
from uformer.restore.backends.choose import choose, read_weights
from uformer.restore.compiled import Compiled
from uformer.restore.memory import Size
from uformer.restore.options import NetworkOptions
from uformer.system_memory import available_memory

Pixels = NDArray[np.float32]


class Network:
    """What is loaded once and restores many images, whatever the options of each call.

    The backend's library is imported, and the device looked for, when they are first needed. A pickled copy
    chooses its backend in the process that unpickles it, and has compiled nothing.

    `threads`: for OpenVINO and onnxruntime, where several networks share a machine; by default the physical
    cores. Raises OptionError for options that contradict each other or the weights.
    """

    def __init__(
        self,
        weights: Weights,
        options: NetworkOptions = NetworkOptions(),
        *,
        threads: int | None = None,
    ) -> None:
        self.config = weights.config
        self.options = options
        self._weights = weights
        self._threads = threads
        self._choice = choose(weights, options, threads=threads)
        self._compiled = Compiled()

    def __reduce__(self) -> tuple[Any, ...]:
        return functools.partial(type(self), threads=self._threads), (self._weights, self.options)

    @classmethod
    def load(cls, options: NetworkOptions = NetworkOptions(), *, threads: int | None = None) -> Network:
        """The network of the weights that the options name, or of those that ship for their task.

        Raises OptionError for an unknown name or task, CheckpointError for a file that is no checkpoint.
        """
        return cls(read_weights(options), options, threads=threads)

    @property
    def backend_name(self) -> str:
        """What computes: openvino, torch, or onnx for the weights of an .onnx file."""
        return self._choice.name

    @functools.cached_property
    def backend(self) -> Backend:
        """Raises OptionError where the device or the precision that was asked for is not there."""
        return self._choice.make()

    @functools.cached_property
    def free_memory(self) -> int:
        """Bytes that were free when this was first asked; all restorers of this network plan with them."""
        return available_memory()

    def for_size(self, height: int, width: int) -> Runner:
        """The network for tiles of a size: the one that is kept, or a new one, which is then kept."""
        memory = self.backend.memory
        cost = memory.kept((height, width)) if memory else 0
        return self._compiled.get((height, width), cost, lambda: self.backend.for_size(height, width))

    def make_room(self, limit: int, used: set[Size]) -> None:
        """Drop what this process compiled until it takes `limit` bytes, without the sizes in `used`.

        What was not used for the longest time goes first, whichever network it belongs to. A backend that
        serves all sizes at once drops nothing.
        """
        memory = self.backend.memory
        if memory is not None and memory.another:
            self._compiled.make_room(limit, used)

    def clear(self) -> None:
        """Drop all that was compiled."""
        self._compiled.clear()

    @property
    def kept(self) -> set[Size]:
        """The sizes of tiles that it is compiled for."""
        return self._compiled.sizes

    def run(self, tile: Pixels, notify: Notify) -> Pixels:
        """Restore a tile (C, h, w) float32 in [0, 1] to the same, not clipped; C is the network's.

        A result that is not finite is computed again in fp32. Raises PictureError where that does not help,
        MemoryError where the device has too little memory.
        """
        runner = self.for_size(*tile.shape[1:])
        batch = np.ascontiguousarray(tile[None])
        restored = runner(batch)
        if not np.isfinite(restored).all() and runner.precision != "fp32":
            notify(f"a tile came out not finite in {runner.precision}; running it again in fp32")
            restored = runner.in_fp32()(batch)
        if not np.isfinite(restored).all():
            raise PictureError("the network gives values that are not finite; are its weights sound?")
        return restored[0]
