"""The training loop, and what it does at intervals: log, validate, save.

`train` is a whole run, from its first batch to its last save. Other modules prepare what it needs: setup.py
the images and the recipe, learner.py the network and its optimizers, folder.py the run folder.
"""

import math

import numpy as np
import torch
from torch import Tensor

from uformer.data.datasets import Patches
from uformer.errors import TrainingError
from uformer.signals import Interrupt
from uformer.train.curves import draw_curves
from uformer.train.duration import CLOCKS
from uformer.train.figures import Figures
from uformer.train.folder import RunFolder
from uformer.train.learner import Learner
from uformer.train.loader import Share, choose_workers, start_loader
from uformer.train.objectives import objective
from uformer.train.optimizers import learning_rate
from uformer.train.processes import Processes
from uformer.train.recipe import Recipe
from uformer.train.report import Reporter
from uformer.train.setup import Prepared
from uformer.train.sharding import clip_gradients, whole_network
from uformer.train.validate import mean_score, named, sample
from uformer.weights.provenance import RANGE


def train(
    prepared: Prepared,
    learner: Learner,
    folder: RunFolder,
    reporter: Reporter,
    processes: Processes,
) -> bool:
    """Train to the end and return True, or until an interrupt and return False. Either way, save everything.

    Raises TrainingError for a loss that is not finite, naming the images of the batch, and for a folder that
    cannot be written.
    """
    recipe, device = prepared.recipe, learner.device
    share = Share(recipe, learner.step, processes.index, processes.count)
    workers = choose_workers(recipe, on_cpu=device.type == "cpu", processes=processes.count)
    with Interrupt() as interrupt:
        if learner.step == 0:
            # A folder that cannot be written fails at once, and a run killed at any moment can be resumed.
            save(prepared, learner, folder, processes)
        saved_step, saved_seconds = learner.step, learner.seconds
        scored, scored_seconds = False, learner.seconds
        interval = recipe.validate_minutes or recipe.minutes / 10
        batches = start_loader(prepared.patches, share, workers=workers, pin_memory=device.type == "cuda")
        figures = Figures()
        read_clock = CLOCKS[recipe.clock]
        clock = read_clock()
        while learner.done < 1:
            rate = learning_rate(recipe, learner.step, done=learner.done)
            torch.manual_seed(seed_of(recipe, learner.step, processes.index))  # for drop path

            # Forward and backward, one part of the batch after the other.
            loss = torch.zeros((), device=device)
            for part in range(recipe.accumulate):
                degraded, clean = figures.next_batch(batches, device)
                with learner.exchanging_gradients(now=part == recipe.accumulate - 1):
                    part_loss = objective(learner.restore, degraded, clean, recipe, done=learner.done)
                    part_loss = part_loss / recipe.accumulate
                    learner.scaler.scale(part_loss).backward()
                loss += part_loss.detach()

            # Clip the gradient and update the weights.
            for optimizer in learner.optimizers:
                learner.scaler.unscale_(optimizer)
            norm = clip_gradients(learner.model, recipe.clip)
            for optimizer in learner.optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = rate
                learner.scaler.step(optimizer)
                optimizer.zero_grad()
            learner.scaler.update()
            learner.average.update(learner.model, learner.step)
            learner.step += 1
            if learner.scaler.is_enabled():
                norm = norm.nan_to_num(0, 0, 0)  # the scaler skips a step whose gradient is not finite
            figures.add(loss, norm)

            # All processes use the time of the slowest. Otherwise one could save or end before the others.
            now = read_clock()
            learner.seconds = processes.largest(learner.seconds + now - clock)
            clock = now
            if scored:  # scoring took part of this time, and the interval begins after it
                scored_seconds = learner.seconds
            reporter.advance(learner.step, learner.done, learner.seconds / 60)

            # Log, validate, save, stop.
            stopping = processes.asked_to_stop(interrupt)
            scored = learner.done >= 1 or learner.step % recipe.validate_every == 0
            scored = scored or 0 < 60 * interval <= learner.seconds - scored_seconds
            saving = stopping or scored or learner.step % recipe.save_every == 0
            if saving or learner.step % recipe.log_every == 0:
                saving = saving or learner.seconds - saved_seconds >= 60 * recipe.save_minutes
                log(prepared, learner, figures, reporter, processes, rate=rate, saved_step=saved_step)
            if scored:
                validate(prepared, learner, folder, reporter, processes)
            if saving:
                save(prepared, learner, folder, processes)
                saved_step, saved_seconds = learner.step, learner.seconds
                figures.skip_time()
            if stopping:
                return False
    return True


def seed_of(recipe: Recipe, step: int, process: int) -> int:
    """Return the seed of a step in a process.

    Because it is computed, a saved state need not hold the state of torch's generator.
    """
    return int(np.random.SeedSequence([recipe.seed, step, process]).generate_state(1)[0])


def log(
    prepared: Prepared,
    learner: Learner,
    figures: Figures,
    reporter: Reporter,
    processes: Processes,
    *,
    rate: float,
    saved_step: int,
) -> None:
    """Check and report the figures of all processes since the last log line."""
    recipe, done = prepared.recipe, learner.done
    values, seconds, waited = figures.take(processes)
    line = {
        "step": learner.step,
        "minutes": round(learner.seconds / 60, 3),
        "loss": float(values[..., 0].mean()),
        "norm": float(values[..., 1].mean()),
        "lr": rate,
        "patches_per_s": round(values.shape[1] * recipe.batch / seconds, 2),
        "waited": round(waited / seconds, 4),
    }

    def report() -> None:
        first = learner.step - values.shape[1]
        check_finite(values, prepared.patches, recipe, first=first, saved_step=saved_step)
        # A run that counts processor time does not know how much time will pass.
        left = learner.seconds * (1 - done) / done if recipe.clock == "wall" else math.inf
        reporter.figures(line, done=done, seconds_left=left)

    processes.on_first(report)


def check_finite(values: Tensor, patches: Patches, recipe: Recipe, *, first: int, saved_step: int) -> None:
    """Raise TrainingError, naming the images of the batch, if a value is not finite.

    `values` has the shape (processes, steps, 2); its first step is step `first`.
    """
    bad = (~values.isfinite()).any(dim=2).nonzero()  # (n, 2): process, step
    if not len(bad):
        return
    step = first + int(bad[:, 1].min())
    batch = range(step * recipe.batch, (step + 1) * recipe.batch)
    names = list(dict.fromkeys(patches.name(index) for index in batch))
    listed = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
    kept = f"the state saved at step {saved_step} is kept; a lower lr may help"
    what = f"step {step + 1}: the loss or its gradient is not finite"
    raise TrainingError(f"{what}; images in the batch: {listed}; {kept}")


def validate(
    prepared: Prepared,
    learner: Learner,
    folder: RunFolder,
    reporter: Reporter,
    processes: Processes,
) -> None:
    """Score the moving average on the held-out images, save it if it is best, draw samples and curves."""
    average = whole_network(learner.average.model)
    scored = mean_score(average, prepared.held_out, processes) if len(prepared.held_out) else learner.best
    is_best = scored >= learner.best  # if no images are held out, the newest weights count as the best
    if is_best:
        learner.best = scored

    def report() -> None:
        if len(prepared.held_out):
            minutes = round(learner.seconds / 60, 3)
            line = {"step": learner.step, "minutes": minutes, **named(scored, prepared.held_out)}
            reporter.figures(line, done=learner.done)
        if is_best:
            folder.save_weights(folder.best, average, notes(prepared, learner))
        folder.save_sample(f"{learner.step:07}.png", sample(average, prepared.shown))
        with folder.writing(folder.curves):
            draw_curves(folder.read_log(), folder.curves, by_minutes=prepared.recipe.minutes > 0)

    processes.on_first(report)


def save(prepared: Prepared, learner: Learner, folder: RunFolder, processes: Processes) -> None:
    """Save the newest weights, and the state from which the run can be resumed."""
    average, state = whole_network(learner.average.model), learner.state()

    def write() -> None:
        folder.save_weights(folder.last, average, notes(prepared, learner))
        folder.save_state({**state, **prepared.identity()})

    processes.on_first(write)


def notes(prepared: Prepared, learner: Learner) -> dict[str, str]:
    """Return the notes on its training that a weights file carries."""
    found = {"recipe": prepared.recipe.name, "steps": str(learner.step), RANGE: prepared.recipe.range}
    if not len(prepared.held_out):
        return found
    return found | {name: f"{value:.4g}" for name, value in named(learner.best, prepared.held_out).items()}
