"""Restorer: a degraded picture in any form in, the restored picture in the same form out."""

from __future__ import annotations

import dataclasses
import functools
import importlib.util
import os
import sys
import warnings
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
from uformer.memory import available_memory
from uformer.restore import forms
from uformer.restore.backends.base import Backend
from uformer.restore.options import RestoreOptions
from uformer.restore.tiles import Plan, blend, cut, plan
from uformer.weights import checkpoint, registry
from uformer.weights.create import weights_file

Pixels = NDArray[np.float32]
Progress = Callable[[int, int], None]
"""Called after each tile with the tiles done and their number."""

LARGEST_TILE = 512  # larger ones were no faster and take longer to compile
OVERLAP = 32  # pixels; see tiles.py for what it costs in exactness
SHARE_OF_MEMORY = 0.5


class Restorer:
    """Restores pictures with one set of weights; made once, it is used for many.

    `options.task` is not used here: the weights decide. Raises OptionError for options that cannot be met.
    """

    def __init__(self, config: UformerConfig, state: checkpoint.State, options: RestoreOptions = RestoreOptions()) -> None:
        if config.in_channels != config.out_channels:
            raise OptionError(f"weights of {config.in_channels} channels in, {config.out_channels} out cannot restore a picture file")
        self.config = config
        self.options = options
        self._state = state
        self._kind = _choose_backend(options)
        self._backend_for = functools.lru_cache(maxsize=4)(self._make_backend)

    @classmethod
    def from_pretrained(cls, name_or_path: str | os.PathLike[str] | None = None, **options: Any) -> Restorer:
        """A restorer from weights by name or file, by default those that ship for `task`; further options as of RestoreOptions.

        Raises OptionError for an unknown name or task, CheckpointError for a file that is no checkpoint.
        """
        if name_or_path is not None:
            options["weights"] = os.fspath(name_or_path)
        return cls.from_options(_make_options(options))

    @classmethod
    def from_options(cls, options: RestoreOptions) -> Restorer:
        """A restorer with the weights that the options name, or with those that ship for their task; errors as of `from_pretrained`."""
        path = registry.for_task(options.task).verify() if options.weights is None else weights_file(options.weights)
        config, state = checkpoint.read(path)
        return cls(config, state, options)

    @property
    def backend(self) -> str:
        """Who computes: openvino or torch."""
        return self._kind

    @property
    def precision(self) -> str:
        """In what numbers: fp32, bf16 or fp16. Raises OptionError where the one that was asked for is not there."""
        side = self.config.multiple
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

    def restore_image(self, image: Image, *, progress: Progress | None = None) -> Image:
        """Restore an Image: its pixels change; alpha, depth and metadata stay."""
        return image.with_pixels(self.restore_pixels(image.pixels, progress=progress))

    def restore_pixels(self, pixels: Pixels, *, progress: Progress | None = None) -> Pixels:
        """Restore (H, W, C) float32 in [0, 1] to the same; gray pixels pass through a colour network and come back gray."""
        if self.options.strength == 0:
            return pixels
        channels = pixels.shape[2]
        planar = np.ascontiguousarray(pixels.transpose(2, 0, 1))
        if channels == self.config.in_channels:
            restored = self._restore_planar(planar, progress)
        elif channels == 1 and self.config.in_channels == 3:
            gray = self._restore_planar(np.repeat(planar, self.config.in_channels, axis=0), progress)
            restored = gray.mean(axis=0, keepdims=True)
        elif self.config.in_channels == 1:
            restored = np.concatenate([self._restore_planar(plane[None], progress) for plane in planar])
        else:
            raise PictureError(f"a picture of {channels} channels; these weights restore {self.config.in_channels}")
        mixed = planar + np.float32(self.options.strength) * (restored - planar)
        return np.clip(mixed, 0, 1).transpose(1, 2, 0)

    def _restore_planar(self, picture: Pixels, progress: Progress | None) -> Pixels:
        """(C, H, W) to the same; when the device runs out of memory, a tile that nobody asked for is halved."""
        height, width = picture.shape[1:]
        multiple = self.config.multiple
        tile = self.options.tile or self._choose_tile()
        while True:
            overlap = min(OVERLAP, multiple // 2) if self.options.overlap is None else self.options.overlap
            tiles = plan(height, width, tile=tile, overlap=overlap, multiple=multiple, align=max(multiple // 4, 1))
            try:
                return blend(self._run(picture, tiles, progress), tiles)
            except MemoryError:
                side = max(tiles.rows.tile, tiles.columns.tile)
                if self.options.tile is not None or side <= multiple:
                    raise PictureError(f"out of memory with tiles of {side}; try a smaller --tile, or another device") from None
                tile = side // 2
                self._backend_for.cache_clear()
                warnings.warn(f"out of memory with tiles of {side}; going on with {tile}", stacklevel=2)

    def _run(self, picture: Pixels, tiles: Plan, progress: Progress | None) -> Iterator[Pixels]:
        backend = self._backend_for(tiles.rows.tile, tiles.columns.tile)
        for done, tile in enumerate(cut(picture, tiles), start=1):
            restored = backend(tile[None])
            if not np.isfinite(restored).all() and backend.precision != "fp32":
                warnings.warn(f"a tile came out not finite in {backend.precision}; running it again in fp32", stacklevel=2)
                restored = backend.in_fp32()(tile[None])
            if not np.isfinite(restored).all():
                raise PictureError("the network gives values that are not finite; are its weights sound?")
            if progress:
                progress(done, tiles.count)
            yield restored[0]

    def _choose_tile(self) -> int:
        if self._kind == "torch":
            return LARGEST_TILE
        from uformer.restore.backends.openvino import fixed_memory, memory_per_pixel  # noqa: PLC0415 - openvino takes long to import

        memory = max(available_memory() * SHARE_OF_MEMORY - fixed_memory(self.config), 0)
        side = int((memory / memory_per_pixel(self.config, self.options.precision)) ** 0.5)
        multiple = self.config.multiple
        return max(multiple, min(side, LARGEST_TILE) // multiple * multiple)

    def _make_backend(self, height: int, width: int) -> Backend:
        if self._kind == "torch":
            return self._torch_backend
        from uformer.restore.backends.openvino import OpenVINOBackend  # noqa: PLC0415 - openvino takes long to import

        return OpenVINOBackend(self.config, self._state, height=height, width=width, precision=self.options.precision)

    @functools.cached_property
    def _torch_backend(self) -> Backend:
        from uformer.restore.backends.pytorch import TorchBackend  # noqa: PLC0415 - torch is optional

        return TorchBackend(self.config, self._state, device=self.options.device, precision=self.options.precision)


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
    except TypeError as error:
        raise OptionError(str(error).replace("RestoreOptions.__init__()", "Restorer")) from None


def default_output(path: Path) -> Path:
    """NAME.restored.EXT beside NAME.EXT. Raises PictureError for a folder, or a path with no name."""
    if not path.name or path.is_dir():
        raise PictureError(f"{str(path)!r} is a folder, not a picture")
    return path.with_name(f"{path.stem}.restored{path.suffix}")


def _choose_backend(options: RestoreOptions) -> str:
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
