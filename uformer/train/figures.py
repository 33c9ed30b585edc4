"""Figures of the steps since the last line of the log: losses, gradient norms, and times."""

import time
from collections.abc import Iterator

import torch
from torch import Tensor

from uformer.train.loader import Batch
from uformer.train.processes import Processes


class Figures:
    """Collects figures as tensors, and reads them only when a log line is due: reading waits for the GPU."""

    def __init__(self) -> None:
        self._values: list[Tensor] = []  # one (2,) tensor per step: loss, norm
        self._since = time.perf_counter()
        self._waited = 0.0

    def next_batch(self, batches: Iterator[Batch], device: torch.device) -> Batch:
        """Return the next part of a batch, moved to the device. Measures the wait for the loader."""
        begun = time.perf_counter()
        degraded, clean = next(batches)
        self._waited += time.perf_counter() - begun
        return degraded.to(device, non_blocking=True), clean.to(device, non_blocking=True)

    def add(self, loss: Tensor, norm: Tensor) -> None:
        """Add the loss of a step and the norm of its gradient."""
        self._values.append(torch.stack([loss, norm.detach()]))

    def take(self, processes: Processes) -> tuple[Tensor, float, float]:
        """Return what was collected since the last call: (figures, seconds, seconds waiting for the loader).

        The figures cover all processes: (processes, steps, 2). The times are those of this process.
        """
        values = torch.stack(processes.share(torch.stack(self._values).cpu()))
        now = time.perf_counter()
        taken = values, now - self._since, self._waited
        self._values, self._waited, self._since = [], 0.0, now
        return taken

    def skip_time(self) -> None:
        """Exclude the time since the last line, which went into scoring or saving."""
        self._since = time.perf_counter()
