"""Load patches as batches: which process takes which patches, and how many per second."""

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
from uformer.processors import available_processors
from uformer.train.recipe import Recipe

Batch = tuple[Tensor, Tensor]
"""(degraded, clean), each (B, C, H, W) float32 in [0, 1]."""


@dataclass(frozen=True)
class Share(Sampler[list[int]]):
    """The patch numbers that one process loads: one list for each part of each step, from step `start`.

    Together, the processes take the patches s * batch to (s + 1) * batch - 1 in step s, whatever the number
    of processes and parts. Raises OptionError if the batch cannot be divided evenly among them.
    """

    recipe: Recipe
    start: int = 0
    process: int = 0
    processes: int = 1

    def __post_init__(self) -> None:
        if self.recipe.batch % (self.recipe.accumulate * self.processes):
            parts = f"{self.recipe.accumulate} (accumulate) x {self.processes} (processes)"
            raise OptionError(f"batch: {self.recipe.batch} must be a multiple of {parts}")

    @property
    def size(self) -> int:
        """Patches that one process takes in one part of a step."""
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
    """Start the loader and return its batches, in order of their steps.

    `workers` processes cut the patches, or this process if `workers` is 0. Workers are spawned, not forked,
    because libvips does not work in a forked process.
    """
    if not workers:
        return iter(DataLoader(patches, batch_sampler=share, pin_memory=pin_memory))  # type: ignore[arg-type]
    # Workers inherit this. They run one per core, so libvips needs only one thread in each.
    os.environ.setdefault("VIPS_CONCURRENCY", "1")
    loader: DataLoader[Batch] = DataLoader(
        patches,  # type: ignore[arg-type]
        batch_sampler=share,
        num_workers=workers,
        multiprocessing_context="spawn",
        pin_memory=pin_memory,
        prefetch_factor=4,
    )
    with _children_ignore_interrupts():
        return iter(loader)


def choose_workers(recipe: Recipe, *, on_cpu: bool, processes: int = 1) -> int:
    """Return the number of workers: the recipe's, or else 0 on a CPU, where the network needs the cores."""
    if recipe.workers >= 0:
        return recipe.workers
    return 0 if on_cpu else max(1, min(16, available_processors() // processes - 1))


def by_workers(workers: int) -> str:
    """Return a phrase that says which processes cut the patches."""
    return f"by {workers} workers" if workers else "by the training process itself"


def rate_of_one(patches: Patches, *, seconds: float = 0.2) -> float:
    """Measure for `seconds` how many patches per second this process cuts by itself."""
    patches[0]
    start, count = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - start) < seconds or not count:
        patches[count]
        count += 1
    return count / elapsed


def rate_of_loader(patches: Patches, share: Share, *, workers: int, seconds: float = 5.0) -> float:
    """Measure for `seconds` how many patches per second the loader delivers, once all workers have started.

    Raises OptionError if the recipe has too few steps to measure.
    """
    batches = start_loader(patches, share, workers=workers)
    for _ in range(4 * workers + 1):  # skip what was cut while the workers started
        if next(batches, None) is None:
            raise OptionError(
                f"steps: {share.recipe.steps} is too few for a measurement; try --set steps=10000"
            )
    start, count = time.perf_counter(), 0
    for batch in batches:
        count += len(batch[0])
        if time.perf_counter() - start > seconds:
            break
    return count / (time.perf_counter() - start)


@contextlib.contextmanager
def _children_ignore_interrupts() -> Iterator[None]:
    """Processes started in this context ignore Ctrl-C, which the terminal sends to them too.

    The main process first saves, then ends them.
    """
    if threading.current_thread() is not threading.main_thread():  # only the main thread may set handlers
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
