"""The loop: batches in, steps of the optimizers, and every so often figures, scores and a saved state."""

import contextlib
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor

from uformer.data.datasets import Patches
from uformer.errors import CheckpointError, TrainingError
from uformer.files import one_line
from uformer.model.uformer import Uformer
from uformer.signals import Interrupt
from uformer.train.average import Average
from uformer.train.curves import draw_curves
from uformer.train.devices import compiles
from uformer.train.folder import RunFolder
from uformer.train.loader import Batch, Share, choose_workers, start_loader
from uformer.train.losses import charbonnier
from uformer.train.optimizers import learning_rate, make_optimizers, share_done
from uformer.train.processes import Processes
from uformer.train.recipe import Recipe
from uformer.train.report import Reporter
from uformer.train.sharding import load, load_optimizer, shard, whole, whole_network
from uformer.train.validate import HeldOut, sample, score


@dataclass
class Pending:
    """What was not looked at yet: reading a figure makes a GPU wait, so it is done every few steps only."""

    figures: list[Tensor] = field(default_factory=list)
    """(2,) a step: its loss and the norm of its gradient."""
    since: float = field(default_factory=time.perf_counter)
    waited: float = 0.0
    """Seconds spent waiting for the loader."""


class Trainer:
    """One run in one process: the network, its optimizers and its moving average, and how far they are."""

    def __init__(
        self,
        recipe: Recipe,
        model: Uformer,
        patches: Patches,
        held: HeldOut,
        folder: RunFolder,
        accelerator: Accelerator,
        *,
        shown: HeldOut | None = None,
        processes: Processes | None = None,
    ) -> None:
        self.recipe, self.patches, self.held, self.folder, self.accelerator = recipe, patches, held, folder, accelerator
        self.shown = shown or held
        self.model = model.to(accelerator.device).train()
        self.processes = processes or Processes()
        self.average = Average(model, recipe.ema)
        self.sharded = recipe.sharding == "full" and self.processes.count > 1
        if self.sharded:
            shard((model, self.average.model), accelerator.device.type, self.processes.count)
        self.optimizers = make_optimizers(model, recipe)
        network: Any = torch.compile(model) if compiles(recipe, accelerator.device) else model
        self.network: nn.Module = network if self.sharded else accelerator.prepare(network)
        self.step = 0
        self.seconds = 0.0
        self.best = -math.inf
        self.rate = 0.0
        self.pending = Pending()
        self.saved = (0, 0.0)
        """The step and the second of the last save."""

    def state(self) -> dict[str, Any]:
        """Everything that going on needs, but recipe and pictures; in full, so all processes must call it."""
        scaler = self.accelerator.scaler
        return {
            "step": self.step,
            "seconds": self.seconds,
            "best": self.best,
            "model": whole(self.model.state_dict()),
            "average": whole(self.average.model.state_dict()),
            "optimizers": [whole(optimizer.state_dict()) for optimizer in self.optimizers],
            "scaler": scaler.state_dict() if scaler else {},
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave. Raises CheckpointError for anything else, and for the state of another network."""
        try:
            self.step, self.seconds, self.best = state["step"], state["seconds"], state["best"]
            load(self.model, state["model"])
            load(self.average.model, state["average"])
            for optimizer, values in zip(self.optimizers, state["optimizers"], strict=True):
                load_optimizer(optimizer, values)
            if self.accelerator.scaler and state["scaler"]:
                self.accelerator.scaler.load_state_dict(state["scaler"])
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise CheckpointError(f"{self.folder.state}: does not fit the run ({one_line(error)})") from None
        self.saved = (self.step, self.seconds)

    @property
    def done(self) -> float:
        """Share of the run that is over."""
        return share_done(self.recipe, self.step, minutes=self.seconds / 60)

    def run(self, reporter: Reporter, about: dict[str, Any]) -> bool:
        """Train to the end; False where it was interrupted. Either way all is saved, `about` (recipe, pictures) with it.

        Raises TrainingError for a loss that is not finite, which names the pictures, and for a folder that cannot be written.
        """
        accelerator, recipe = self.accelerator, self.recipe
        share = Share(recipe, self.step, accelerator.process_index, accelerator.num_processes)
        on_cpu = accelerator.device.type == "cpu"
        workers = choose_workers(recipe, on_cpu=on_cpu, processes=accelerator.num_processes)
        with Interrupt() as interrupt:
            if self.step == 0:
                self._save(about)  # what cannot be written is known at once, and whenever it is killed it can go on
            batches = start_loader(self.patches, share, workers=workers, pin_memory=accelerator.device.type == "cuda")
            self.pending = Pending()
            counted = time.perf_counter()
            while self.done < 1:
                self._step([self._next(batches) for _ in range(recipe.accumulate)])
                self.step += 1
                now = time.perf_counter()
                self.seconds += now - counted
                counted = now
                if recipe.minutes:  # the only change of `seconds` in a turn, or some would end before the others
                    self.seconds = self.processes.largest(self.seconds)
                reporter.advance(self.step, self.done)
                stop = self.processes.asked_to_stop(interrupt)
                self._look_after(reporter, about, stop=stop)
                if stop:
                    return False
        return True

    def _next(self, batches: Any) -> Batch:
        begun = time.perf_counter()
        degraded, clean = next(batches)
        self.pending.waited += time.perf_counter() - begun
        device = self.accelerator.device
        return degraded.to(device, non_blocking=True), clean.to(device, non_blocking=True)

    def _step(self, parts: list[Batch]) -> None:
        """One update of the weights from the parts of a batch."""
        recipe, accelerator, scaler = self.recipe, self.accelerator, self.accelerator.scaler
        seed = np.random.SeedSequence([recipe.seed, self.step, accelerator.process_index]).generate_state(1)
        torch.manual_seed(int(seed[0]))  # drop path is a function of seed and step, so resuming needs no generator's state
        self.rate = learning_rate(recipe, self.step, done=self.done)
        total = torch.zeros((), device=accelerator.device)
        for index, (degraded, clean) in enumerate(parts):
            last = index == len(parts) - 1
            with self._gradients_shared(last=last):
                with accelerator.autocast():
                    restored = self.network(degraded)
                loss = charbonnier(restored.float(), clean, eps=recipe.charbonnier_eps) / len(parts)
                accelerator.backward(loss)
            total += loss.detach()
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = self.rate
            if scaler:
                scaler.unscale_(optimizer)
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), recipe.clip or math.inf)
        if isinstance(norm, DTensor):
            norm = norm.full_tensor()
        for optimizer in self.optimizers:
            if scaler:
                scaler.step(optimizer)
            else:
                optimizer.step()
            optimizer.zero_grad()
        if scaler:
            scaler.update()
            norm = torch.zeros_like(norm)  # where it is not finite, the scaler leaves the step out
        self.average.update(self.model, self.step)
        self.pending.figures.append(torch.stack([total, norm.detach()]))

    @contextlib.contextmanager
    def _gradients_shared(self, *, last: bool) -> Iterator[None]:
        """The processes add up their gradients after the last part of a batch only."""
        if isinstance(self.model, FSDPModule):
            self.model.set_requires_gradient_sync(last)
            yield
            return
        with contextlib.nullcontext() if last else self.accelerator.no_sync(self.network):
            yield

    def _look_after(self, reporter: Reporter, about: dict[str, Any], *, stop: bool) -> None:
        """What is due after a step: figures, scores, a save."""
        recipe = self.recipe
        validate = self.step % recipe.validate_every == 0 or self.done >= 1
        save = self.step % recipe.save_every == 0 or validate or stop
        if self.step % recipe.log_every == 0 or save:
            save = save or self.seconds - self.saved[1] >= 60 * recipe.save_minutes
            self._log(reporter)
        if validate:
            self._validate(reporter)
        if save:
            self._save(about)
        if validate or save:
            self.pending.since = time.perf_counter()  # patches a second are those of training alone

    def _log(self, reporter: Reporter) -> None:
        """Read the figures since the last time, check and report them."""
        pending, self.pending = self.pending, Pending()
        if not pending.figures:
            return
        figures = self.accelerator.gather(torch.stack(pending.figures)[None]).cpu()  # (processes, steps, 2)
        first = self.step - len(pending.figures)
        self.processes.together(lambda: self._check_finite(figures, first))
        elapsed = time.perf_counter() - pending.since
        done = self.done
        line = {
            "step": self.step,
            "minutes": round(self.seconds / 60, 3),
            "loss": float(figures[..., 0].mean()),
            "norm": float(figures[..., 1].mean()),
            "lr": self.rate,
            "patches_per_s": round(figures.shape[1] * self.recipe.batch / elapsed, 2),
            "waited": round(pending.waited / elapsed, 4),
        }
        reporter.figures(line, done=done, seconds_left=self.seconds * (1 - done) / done if done else math.inf)

    def _check_finite(self, figures: Tensor, first: int) -> None:
        bad = (~figures.isfinite()).any(dim=2).nonzero()  # (n, 2): process, step
        if not len(bad):
            return
        step = first + int(bad[:, 1].min())
        batch = range(step * self.recipe.batch, (step + 1) * self.recipe.batch)
        names = list(dict.fromkeys(self.patches.name(index) for index in batch))
        said = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
        kept = f"the state of step {self.saved[0]} is kept, a lower lr may help"
        raise TrainingError(f"step {step + 1}: the loss or its gradient is not finite; its pictures: {said}; {kept}")

    def _validate(self, reporter: Reporter) -> None:
        """Score the moving average on the pictures held out, keep the best, and draw samples and curves."""
        accelerator = self.accelerator
        average = whole_network(self.average.model)
        mine = range(accelerator.process_index, len(self.held), accelerator.num_processes)
        if len(self.held):
            total = torch.tensor(score(average, self.held, mine), device=accelerator.device)
            mean = float(accelerator.reduce(total, reduction="sum")) / len(self.held)
            reporter.figures({"step": self.step, "psnr": round(mean, 4)}, done=self.done, seconds_left=math.inf)
        else:
            mean = self.best  # nothing to tell the better by: the newest
        self.processes.together(lambda: self._show(average, mean) if self.processes.first else None)

    def _show(self, average: Uformer, mean: float) -> None:
        if mean >= self.best:
            self.best = mean
            self.folder.save_weights(self.folder.best, average, self._notes())
        self.folder.save_sample(f"{self.step:07}.png", sample(average, self.shown))
        with self.folder.writing(self.folder.curves):
            draw_curves(self.folder.read_log(), self.folder.curves)

    def _save(self, about: dict[str, Any]) -> None:
        self.saved = (self.step, self.seconds)
        parts = (whole_network(self.average.model), self.state()) if self.sharded or self.processes.first else None
        self.processes.together(lambda: self._write(*parts, about) if parts and self.processes.first else None)

    def _write(self, average: Uformer, state: dict[str, Any], about: dict[str, Any]) -> None:
        self.folder.save_weights(self.folder.last, average, self._notes())
        self.folder.save_state({**state, **about})

    def _notes(self) -> dict[str, str]:
        return {"recipe": self.recipe.name, "steps": str(self.step)} | ({"psnr": f"{self.best:.2f}"} if len(self.held) else {})
