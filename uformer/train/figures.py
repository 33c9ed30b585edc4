"""The figures of the steps since the last line of the log: losses, norms of gradients, and times."""

import time
from collections.abc import Iterator

import torch
from torch import Tensor

from uformer.train.loader import Batch
from uformer.train.processes import Processes


class Figures:
    """Collects figures as tensors, and reads them only when a line is due: to read is to wait for a GPU."""

    def __init__(self) -> None:
        self._values: list[Tensor] = []  # (2,) a step: loss, norm
        self._since = time.perf_counter()
        self._waited = 0.0

    def next_batch(self, batches: Iterator[Batch], device: torch.device) -> Batch:
        """The next part of a batch, on a device; counts the time that the loader takes."""
        begun = time.perf_counter()
        degraded, clean = next(batches)
        self._waited += time.perf_counter() - begun
        return degraded.to(device, non_blocking=True), clean.to(device, non_blocking=True)

    def add(self, loss: Tensor, norm: Tensor) -> None:
        """Keep the loss of a step, and the norm of its gradient."""
        self._values.append(torch.stack([loss, norm.detach()]))

    def take(self, processes: Processes) -> tuple[Tensor, float, float]:
        """Return what was collected since the last call: (figures, seconds, seconds of these for the loader).

        The figures are those of all processes: (processes, steps, 2).
        """
        values = torch.stack(processes.share(torch.stack(self._values).cpu()))
        now = time.perf_counter()
        taken = values, now - self._since, self._waited
        self._values, self._waited, self._since = [], 0.0, now
        return taken

    def skip_time(self) -> None:
        """Leave out the time since the last line: it went to a score or a save."""
        self._since = time.perf_counter()
