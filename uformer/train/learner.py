"""The network in training, its optimizers, its moving average and its progress: what a saved state holds."""

import math
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from torch import nn

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
    """A network in training, in one of the processes of a run."""

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
        """Updates of the weights so far."""
        self.seconds = 0.0
        """Time that these updates took; the same in all processes."""
        self.best = -math.inf
        """The best PSNR so far of the images held out, dB."""
        self.model = model.to(device).train()
        self.average = Average(model, recipe.ema)
        self.sharded = recipe.sharding == "full" and processes.count > 1
        if self.sharded:
            shard((model, self.average.model), device.type, processes.count)
        self.optimizers = make_optimizers(model, recipe)
        self.scaler = torch.amp.GradScaler(device.type, enabled=precision == "fp16")
        """Scales the loss in fp16, so that small gradients do not vanish; does nothing in fp32 and bf16."""
        network: Any = torch.compile(model) if compiles(recipe, device) else model
        replicated = processes.count > 1 and not self.sharded
        self.network: nn.Module = replicate(network, device) if replicated else network
        """The model as the training step calls it: compiled, and with gradients shared by all processes."""

    @property
    def done(self) -> float:
        """Share of the run that is over."""
        return share_done(self.recipe, self.step, minutes=self.seconds / 60)

    def autocast(self) -> torch.autocast:
        """The context in which the network computes in the learner's precision."""
        dtype = _AUTOCAST[self.precision]
        return torch.autocast(self.device.type, dtype=dtype, enabled=dtype is not None)

    def exchanging_gradients(self, *, now: bool) -> AbstractContextManager[None]:
        """The context for a part of a batch: the processes exchange gradients `now`, or in a later part."""
        return exchanging_gradients(self.model, self.network, now=now)

    def state(self) -> dict[str, Any]:
        """Everything that resuming needs but recipe and images. All processes must call it together."""
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
        """Continue from what `state` returned. Raises CheckpointError, naming `source`."""
        try:
            self.step, self.seconds, self.best = state["step"], state["seconds"], state["best"]
            load(self.model, state["model"])
            load(self.average.model, state["average"])
            for optimizer, values in zip(self.optimizers, state["optimizers"], strict=True):
                load_optimizer(optimizer, values)
            if state["scaler"]:  # empty after fp32 and bf16
                self.scaler.load_state_dict(state["scaler"])
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise CheckpointError(f"{source}: does not fit the run ({one_line(error)})") from None
