"""A restorer without a network, and images for it."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image

from uformer.config import UformerConfig
from uformer.image.image import Image
from uformer.image.value_range import ValueRange
from uformer.notices import Notify, warn
from uformer.restore.backends.base import Weights
from uformer.restore.network import Network
from uformer.restore.options import RestoreOptions
from uformer.restore.progress import Progress
from uformer.restore.restorer import Restorer

DARKER = 51
"""Levels of 255 that the stand-in subtracts."""


class StandIn(Restorer):
    """Makes an image darker, in two tiles. `before` is called with each image."""

    def __init__(
        self,
        *,
        seconds: float = 0,
        before: Callable[[Image], object] = lambda _: None,
        memory: str | None = None,
    ) -> None:
        options = RestoreOptions(backend="openvino", memory=memory)
        super().__init__(Network(Weights(UformerConfig(), {}), options.network), options)
        self._seconds, self._before = seconds, before
        self.notices: list[str] = []
        self.threads: set[str] = set()
        self.together = self.most_together = 0

    @property
    def backend(self) -> str:
        return "stand-in"

    @property
    def precision(self) -> str:
        return "fp32"

    def tile_for(self, height: int, width: int) -> tuple[int, int]:
        return min(height, 8), min(width, 8)

    def restore_image(
        self,
        image: Image,
        *,
        used: ValueRange | None = None,
        progress: Progress | None = None,
        notify: Notify = warn,
    ) -> Image:
        self.threads.add(threading.current_thread().name)
        self.together += 1
        self.most_together = max(self.most_together, self.together)
        try:
            self._before(image)
            for message in self.notices:
                notify(message.format(mean=image.pixels.mean()))
            for done in (1, 2):
                time.sleep(self._seconds / 2)
                if progress:
                    progress(done, 2)
            return image.with_pixels(np.maximum(image.pixels - np.float32(DARKER / 255), 0))
        finally:
            self.together -= 1


def save_picture(path: Path, mode: str = "RGB", size: tuple[int, int] = (30, 20), seed: int = 0) -> Path:
    """An image that can be made darker everywhere."""
    path.parent.mkdir(parents=True, exist_ok=True)
    levels = np.random.default_rng(seed).integers(60, 256, (size[1], size[0], 3), dtype=np.uint8)
    PIL.Image.fromarray(levels).convert(mode).save(path)
    return path


def is_restored(output: Path, source: Path) -> bool:
    """Return whether the output is the stand-in's result for the source."""
    made, given = (np.asarray(PIL.Image.open(path)).astype(int) for path in (output, source))
    return made.shape == given.shape and bool((made == given - DARKER).all())


def tree(folder: Path) -> list[str]:
    """All files below a folder, including hidden ones."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())
