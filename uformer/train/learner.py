"""The network in training with its optimizers, moving average and progress: the content of a saved state."""

import math
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from uformer.errors import CheckpointError
from uformer.files import one_line
from uformer.model.uformer import Uformer
from uformer.train.average import Average
from uformer.train.devices import Precision, compiles
from uformer.train.optimizers import make_optimizers, share_done
from uformer.train.processes import Processes
from uformer.train.recipe import Recipe
from uformer.train.sharding import exchanging_gradients, load, load_optimizer, replicate, shard, whole

_AUTOCAST = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


class Learner:
    """A network in training, as one process of a run holds it."""

    def __init__(
        self,
        recipe: Recipe,
        model: Uformer,
        device: torch.device,
        *,
        precision: Precision = "fp32",
        processes: Processes,
    ) -> None:
        self.recipe, self.device, self.precision = recipe, device, precision
        self.step = 0
        """Number of weight updates so far."""
        self.seconds = 0.0
        """Time that these updates took. All processes have the same value."""
        self.best = -math.inf
        """The best score so far on the held-out images (`validate.score`)."""
        self.model = model.to(device).train()
        self.average = Average(model, recipe.ema)
        self.sharded = recipe.sharding == "full" and processes.count > 1
        if self.sharded:
            shard((model, self.average.model), device.type, processes.count)
        self.optimizers = make_optimizers(model, recipe)
        self.scaler = torch.amp.GradScaler(device.type, enabled=precision == "fp16")
        """Scales the loss in fp16, so that small gradients do not vanish. Does nothing in fp32 and bf16."""
        network: Any = torch.compile(model) if compiles(recipe, device) else model
        replicated = processes.count > 1 and not self.sharded
        self.network: nn.Module = replicate(network, device) if replicated else network
        """The model as the training step calls it: compiled and wrapped in DDP where these are used."""

    @property
    def done(self) -> float:
        """Share of the run that is over."""
        return share_done(self.recipe, self.step, minutes=self.seconds / 60)

    def autocast(self) -> torch.autocast:
        """Return the context in which the network computes in the learner's precision."""
        dtype = _AUTOCAST[self.precision]
        return torch.autocast(self.device.type, dtype=dtype, enabled=dtype is not None)

    def restore(self, degraded: Tensor) -> Tensor:
        """Run the network on a batch, in the learner's precision."""
        with self.autocast():
            restored: Tensor = self.network(degraded)
        return restored

    def exchanging_gradients(self, *, now: bool) -> AbstractContextManager[None]:
        """Return the context for one part of a batch: exchange gradients `now`, or only accumulate them."""
        return exchanging_gradients(self.model, self.network, now=now)

    def state(self) -> dict[str, Any]:
        """Return everything that resuming needs, except the recipe and the images.

        All processes must call it together.
        """
        return {
            "step": self.step,
            "seconds": self.seconds,
            "best": self.best,
            "model": whole(self.model.state_dict()),
            "average": whole(self.average.model.state_dict()),
            "optimizers": [whole(optimizer.state_dict()) for optimizer in self.optimizers],
            "scaler": self.scaler.state_dict(),
        }

    def load_state(self, state: Mapping[str, Any], source: Path) -> None:
        """Restore what `state` returned. Raises CheckpointError, naming `source`, if it does not fit."""
        try:
            self.step, self.seconds, self.best = state["step"], state["seconds"], state["best"]
            load(self.model, state["model"])
            load(self.average.model, state["average"])
            for optimizer, values in zip(self.optimizers, state["optimizers"], strict=True):
                load_optimizer(optimizer, values)
            if state["scaler"]:  # empty after fp32 and bf16
                self.scaler.load_state_dict(state["scaler"])
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise CheckpointError(f"{source}: does not fit this run ({one_line(error)})") from None
