"""From patches to batches: which process draws which, and how fast."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor
from torch.utils.data import DataLoader, Sampler

from uformer.data.datasets import Patches
from uformer.errors import OptionError
from uformer.train.recipe import Recipe

Batch = tuple[Tensor, Tensor]
"""(degraded, clean), each (B, C, H, W) float32 in [0, 1]."""


@dataclass(frozen=True)
class Share(Sampler[list[int]]):
    """The patches of one process of several: for each step from `start` on, for each of its parts, their numbers.

    Step s takes the patches s * batch to (s + 1) * batch - 1, however many processes and parts there are.
    """

    recipe: Recipe
    start: int = 0
    process: int = 0
    processes: int = 1

    def __post_init__(self) -> None:
        if self.recipe.batch % (self.recipe.accumulate * self.processes):
            parts = f"{self.recipe.accumulate} parts on {self.processes} devices"
            raise OptionError(f"batch: {self.recipe.batch} patches cannot be shared out to {parts}")

    @property
    def size(self) -> int:
        """Patches that a process takes at once."""
        return self.recipe.batch // (self.recipe.accumulate * self.processes)

    def __iter__(self) -> Iterator[list[int]]:
        recipe, size = self.recipe, self.size
        for step in range(self.start, recipe.steps):
            for part in range(recipe.accumulate):
                first = step * recipe.batch + (part * self.processes + self.process) * size
                yield list(range(first, first + size))

    def __len__(self) -> int:
        return max(self.recipe.steps - self.start, 0) * self.recipe.accumulate


def start_loader(
    patches: Patches, share: Share, *, workers: int, pin_memory: bool = False
) -> Iterator[Batch]:
    """Batches in the order of their steps, cut by `workers` processes; by this one where 0.

    Workers are started afresh (`spawn`), as libvips does not work in a process that was forked.
    """
    if not workers:
        return iter(DataLoader(patches, batch_sampler=share, pin_memory=pin_memory))  # type: ignore[arg-type]
    os.environ.setdefault(
        "VIPS_CONCURRENCY", "1"
    )  # in the workers: one thread each, as they are one for each core
    loader: DataLoader[Batch] = DataLoader(
        patches,  # type: ignore[arg-type]
        batch_sampler=share,
        num_workers=workers,
        multiprocessing_context="spawn",
        pin_memory=pin_memory,
        prefetch_factor=4,
    )
    with _handing_down_no_interrupts():
        return iter(loader)


def choose_workers(recipe: Recipe, *, on_cpu: bool, processes: int = 1) -> int:
    """How many workers the recipe asks for, or how many fit: none where the network takes the cores itself."""
    if recipe.workers >= 0:
        return recipe.workers
    return 0 if on_cpu else max(1, min(16, (os.cpu_count() or 1) // processes - 1))


def by_workers(workers: int) -> str:
    """Who cuts the patches, in words."""
    return f"by {workers} workers" if workers else "by the training process itself"


def rate_of_one(patches: Patches, *, seconds: float = 0.2) -> float:
    """Patches a second that one process cuts by itself, measured for so long."""
    patches[0]
    start, count = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - start) < seconds or not count:
        patches[count]
        count += 1
    return count / elapsed


def rate_of_loader(patches: Patches, share: Share, *, workers: int, seconds: float = 5.0) -> float:
    """Patches a second that the whole loader delivers, measured for so long once all workers have started."""
    batches = start_loader(patches, share, workers=workers)
    for _ in range(4 * workers + 1):  # what was cut while the workers were starting
        if next(batches, None) is None:
            raise OptionError(f"steps: {share.recipe.steps} are too few to measure by; --set steps=10000")
    start, count = time.perf_counter(), 0
    for batch in batches:
        count += len(batch[0])
        if time.perf_counter() - start > seconds:
            break
    return count / (time.perf_counter() - start)


@contextlib.contextmanager
def _handing_down_no_interrupts() -> Iterator[None]:
    """Processes that are started inside ignore Ctrl-C, which reaches them too: the main process saves, then ends them."""
    if threading.current_thread() is not threading.main_thread():  # where handlers cannot be set
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
