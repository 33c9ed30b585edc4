"""The processes of one run: how they begin together, agree, stop, and what is said where one of them is gone.

Agreements go over a group of their own (gloo, sockets between CPUs), whatever the gradients take: it notices at once a process that
ended, and never waits for a GPU.
"""

import atexit
import datetime
import os
import warnings
from collections.abc import Callable
from typing import Any, Self, TypeVar

import torch
import torch.distributed as dist
from accelerate.state import PartialState
from torch import Tensor

from uformer.errors import OptionError, PictureError, TrainingError, UformerError
from uformer.signals import Interrupt

STEP_LIMIT = datetime.timedelta(minutes=10)
"""The longest that a process waits for another's part of a step, of a save or of scores."""
START_LIMIT = datetime.timedelta(hours=3)
"""The longest that a process waits for the first to decode the pictures."""

_GONE = (
    *("Connection closed by peer", "Connection reset by peer", "Broken pipe", "Socket closed"),
    *("Timed out waiting", "timeout", "Connection refused", "remote process exited"),
)

Answer = TypeVar("Answer")


class Processes:
    """The processes that a launcher started for one run (`torchrun`, `accelerate launch`), or this one alone."""

    def __init__(self, index: int = 0, count: int = 1) -> None:
        self.index, self.count = index, count
        self._group: Any = dist.new_group(backend="gloo", timeout=START_LIMIT) if count > 1 else None
        self._asked: tuple[Tensor, Any] | None = None

    @classmethod
    def join(cls, device: str) -> Self:
        """Meet the others, where a launcher's environment says that there are any.

        Raises TrainingError where they cannot be reached, OptionError for an environment that no launcher makes.
        """
        launched = os.environ.get("WORLD_SIZE", "1")
        if not launched.isdecimal():
            raise OptionError(f"WORLD_SIZE: {launched!r} in the environment is not the number of processes of a launcher")
        if int(launched) < 2:
            return cls()
        warnings.filterwarnings("ignore", message="Grad strides do not match bucket view")  # a note on speed, for each process
        begun = dist.is_initialized()
        try:
            state = PartialState(cpu=device == "cpu", timeout=STEP_LIMIT)
            joined = cls(state.process_index, state.num_processes)
        except (dist.DistError, RuntimeError, ValueError) as error:
            said = str(error).partition("\n")[0]
            raise TrainingError(f"the processes of this run cannot reach each other: {said}") from None
        if not begun:
            atexit.register(_leave)
        return joined

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and speaks."""
        return self.index == 0

    def together(self, action: Callable[[], Answer]) -> Answer:
        """What `action` gives, once the others are done with it too. What is wrong for one is wrong for all.

        The first process that met an error raises it, the others end without a word, with the same exit code.
        """
        error: UformerError | None = None
        answer: Answer | None = None
        try:
            answer = action()
        except UformerError as caught:
            if self.count == 1:
                raise
            error = caught
        codes = self.share(_code(error))
        failed = [index for index, code in enumerate(codes) if code]
        if not failed:
            return answer  # type: ignore[return-value]
        if error is not None and failed[0] == self.index:
            raise error
        raise SystemExit(codes[failed[0]])

    def share(self, value: Answer) -> list[Answer]:
        """Each process's value, in their order."""
        if self.count == 1:
            return [value]
        values: list[Any] = [None] * self.count
        dist.all_gather_object(values, value, group=self._group)
        return values

    def largest(self, value: float) -> float:
        """The largest of the processes' values."""
        if self.count == 1:
            return value
        found = torch.tensor([value], dtype=torch.float64)
        dist.all_reduce(found, dist.ReduceOp.MAX, group=self._group)
        return float(found)

    def asked_to_stop(self, interrupt: Interrupt) -> bool:
        """Whether any of them was told to stop, up to the step before: the question travels while the next step is computed."""
        if self.count == 1:
            return interrupt.asked
        before, self._asked = self._asked, self._ask(interrupt.asked)
        if before is None:
            return False
        before[1].wait()
        return bool(before[0])

    def _ask(self, asked: bool) -> tuple[Tensor, Any]:
        said = torch.tensor([float(asked)])
        return said, dist.all_reduce(said, dist.ReduceOp.MAX, group=self._group, async_op=True)


def peer_is_gone(error: BaseException) -> bool:
    """Whether an error of a collective says that another process ended, or no longer answers."""
    if isinstance(error, dist.DistError):
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and ("gloo" in text or "NCCL" in text) and any(sign in text for sign in _GONE)


def worker_is_gone(error: BaseException) -> bool:
    """Whether an error is torch's note that a process of the loader was killed, or comes of a batch that it was just handing over."""
    if isinstance(error, EOFError | ConnectionError):
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and "DataLoader worker" in text and ("killed by signal" in text or "exited unexpectedly" in text)


def _code(error: UformerError | None) -> int:
    if error is None:
        return 0
    return 1 if isinstance(error, PictureError | TrainingError) else 2


def _leave() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()
