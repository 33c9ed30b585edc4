"""The processes of one run: how they meet, exchange values, stop together, and notice that one has died.

They exchange values over a group of their own (gloo, sockets between CPUs), whatever backend the gradients
use. This group notices at once when a process ends, and it never waits for a GPU.
"""

import atexit
import datetime
import os
import warnings
from collections.abc import Callable
from typing import Any, ParamSpec, Self, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from uformer.errors import OptionError, PictureError, TrainingError, UformerError
from uformer.processors import limit_torch
from uformer.signals import Interrupt

STEP_LIMIT = datetime.timedelta(minutes=10)
"""The longest time that a process waits for the gradients or weights of another."""
AGREEMENT_LIMIT = datetime.timedelta(hours=3)
"""The longest time that a process waits to exchange values; the first process may be decoding all images."""

_GONE = (
    *("Connection closed by peer", "Connection reset by peer", "Broken pipe", "Socket closed"),
    *("Timed out waiting", "timeout", "Connection refused", "remote process exited"),
)

Answer = TypeVar("Answer")
Given = ParamSpec("Given")


class Processes:
    """The processes that a launcher (`torchrun`) started for one run, or this process alone."""

    def __init__(self, index: int = 0, count: int = 1, *, local_index: int = 0) -> None:
        self.index, self.count = index, count
        self.local_index = local_index
        """The index of this process among those on its machine."""
        self._group: Any = dist.new_group(backend="gloo", timeout=AGREEMENT_LIMIT) if count > 1 else None
        self._asked: tuple[Tensor, Any] | None = None

    @classmethod
    def join(cls, device: str) -> Self:
        """Join the other processes if the launcher's environment variables name any.

        `device` is the command line's. Raises TrainingError if the others cannot be reached, and OptionError
        if an environment variable is not a number.
        """
        limit_torch(torch)
        if _number_in_environment("WORLD_SIZE", 1) < 2:
            return cls()
        local_index = _number_in_environment("LOCAL_RANK", 0)
        if "OMP_NUM_THREADS" not in os.environ:  # without it, each process would use all cores
            neighbours = max(1, _number_in_environment("LOCAL_WORLD_SIZE", 1))
            torch.set_num_threads(max(1, torch.get_num_threads() // neighbours))
        # Without this, DDP warns in each process that other strides would be faster.
        warnings.filterwarnings("ignore", message="Grad strides do not match bucket view")
        gpus = device != "cpu" and torch.cuda.is_available()
        try:
            if not dist.is_initialized():
                dist.init_process_group("nccl" if gpus else "gloo", timeout=STEP_LIMIT)
                atexit.register(_leave)
            return cls(dist.get_rank(), dist.get_world_size(), local_index=local_index)
        except (dist.DistError, RuntimeError, ValueError) as error:
            why = str(error).partition("\n")[0]
            raise TrainingError(f"the processes of this run cannot reach each other: {why}") from None

    @property
    def first(self) -> bool:
        """Whether this is the process that writes files and prints."""
        return self.index == 0

    def together(self, action: Callable[Given, Answer], *args: Given.args, **options: Given.kwargs) -> Answer:
        """Run `action` in every process, and return its result once all have finished.

        If any fails, the first that failed raises its error. The others exit silently with its exit code.
        """
        error: UformerError | None = None
        answer: Answer | None = None
        try:
            answer = action(*args, **options)
        except UformerError as caught:
            if self.count == 1:
                raise
            error = caught
        self._end_if_any_failed(error)
        return answer  # type: ignore[return-value]

    def on_first(self, do: Callable[Given, Answer], *args: Given.args, **how: Given.kwargs) -> Answer | None:
        """Call `do` in the first process while the others wait. Errors are those of `together`.

        Returns the result in the first process, and None in the others.
        """
        if self.first:
            return self.together(do, *args, **how)
        self._end_if_any_failed(None)
        return None

    def _end_if_any_failed(self, error: UformerError | None) -> None:
        """Exchange exit codes. The first that failed raises its error; the others exit with its code."""
        codes = self.share(_code(error))
        failed = [index for index, code in enumerate(codes) if code]
        if not failed:
            return
        if error is not None and failed[0] == self.index:
            raise error
        raise SystemExit(codes[failed[0]])

    def share(self, value: Answer) -> list[Answer]:
        """Return the values of all processes, in order of their index."""
        if self.count == 1:
            return [value]
        values: list[Any] = [None] * self.count
        dist.all_gather_object(values, value, group=self._group)
        return values

    def wait_for_all(self) -> None:
        """Return once all processes have called this."""
        self.share(None)

    def largest(self, value: float) -> float:
        """Return the largest of the processes' values."""
        if self.count == 1:
            return value
        found = torch.tensor([value], dtype=torch.float64)
        dist.all_reduce(found, dist.ReduceOp.MAX, group=self._group)
        return float(found)

    def asked_to_stop(self, interrupt: Interrupt) -> bool:
        """Whether any process had been told to stop by the previous step.

        The answer is one step late, because the exchange runs while the next step is computed.
        """
        if self.count == 1:
            return interrupt.asked
        before, self._asked = self._asked, self._ask(interrupt.asked)
        if before is None:
            return False
        before[1].wait()
        return bool(before[0])

    def _ask(self, asked: bool) -> tuple[Tensor, Any]:
        value = torch.tensor([float(asked)])
        return value, dist.all_reduce(value, dist.ReduceOp.MAX, group=self._group, async_op=True)


def peer_is_gone(error: BaseException) -> bool:
    """Whether an error of a collective operation means that another process ended or stopped responding."""
    if isinstance(error, dist.DistError):
        return True
    text = str(error)
    return (
        isinstance(error, RuntimeError)
        and ("gloo" in text or "NCCL" in text)
        and any(sign in text for sign in _GONE)
    )


def worker_is_gone(error: BaseException) -> bool:
    """Whether an error means that a loader process was killed, maybe while it handed over a batch."""
    if isinstance(error, EOFError | ConnectionError):
        return True
    text = str(error)
    return (
        isinstance(error, RuntimeError)
        and "DataLoader worker" in text
        and ("killed by signal" in text or "exited unexpectedly" in text)
    )


def _number_in_environment(name: str, default: int) -> int:
    text = os.environ.get(name, str(default))
    if not text.isdecimal():
        raise OptionError(f"{name}: {text!r} in the environment must be a whole number, as torchrun sets it")
    return int(text)


def _code(error: UformerError | None) -> int:
    if error is None:
        return 0
    return 1 if isinstance(error, PictureError | TrainingError) else 2


def _leave() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()
