"""How long a run will take on this machine, measured before its first step."""

import copy
import math
from dataclasses import dataclass

import torch

from uformer.train.duration import CLOCKS, Clock, spoken
from uformer.train.learner import Learner
from uformer.train.loader import Share
from uformer.train.objectives import objective
from uformer.train.optimizers import make_optimizers
from uformer.train.setup import Prepared

HINT_MINUTES = 30
"""The shorter run that a forecast proposes, in minutes."""

_SLOW = 5.0
"""Seconds after which the first measurement is good enough; a second one would take as long."""
_ESTIMATE = "an estimate from one part of a step"


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """An estimate of what is left of a run, in seconds."""

    step: float
    """One step."""
    scoring: float
    """Scoring the held-out images once."""
    steps: int
    """Steps that are left."""
    scorings: int
    minutes: float
    """Minutes that are left of the time limit; 0 without a limit."""
    clock: Clock = "wall"
    """The clock of all times."""

    @property
    def whole(self) -> float:
        """All steps and scorings, without the time limit."""
        return self.steps * self.step + self.scorings * self.scoring

    def __str__(self) -> str:
        """The line that a run prints."""
        seconds = f"{self.step:.2g}" if self.step < 99.5 else f"{self.step:,.0f}"  # 2g writes 2e+02
        each = f"a step takes about {seconds} s"
        of = " of processor time" if self.clock == "cpu" else ""
        if self.minutes and 60 * self.minutes <= self.whole:
            fitting = max(self.steps * 60 * self.minutes / self.whole, 1)
            return (
                f"duration: {spoken(60 * self.minutes)}{of}, as set, for about {fitting:,.0f} steps "
                f"({each}; {_ESTIMATE})"
            )
        shorter = (
            f"; for a run of {HINT_MINUTES} minutes, add --set minutes={HINT_MINUTES}"
            if self.whole > 90 * HINT_MINUTES
            else ""
        )
        return (
            f"duration: about {spoken(self.whole)}{of} on this machine ({self.steps:,} steps; {each}; "
            f"{_ESTIMATE}){shorter}"
        )


def forecast(prepared: Prepared, learner: Learner) -> Forecast:
    """Estimate how long the rest of a run will take in this process."""
    recipe = prepared.recipe
    parts = seconds_of_parts(prepared, learner)
    step = parts + seconds_of_update(learner)
    held, side = prepared.held_out, recipe.validation_side
    pixels = sum(min(height, side) * min(width, side) for height, width in held.pictures.sizes)
    patches = pixels / recipe.patch**2
    steps = recipe.steps - learner.step
    return Forecast(
        step=step,
        scoring=patches * parts / recipe.batch / 3,  # no gradients: a third of the arithmetic
        steps=steps,
        scorings=steps // recipe.validate_every,
        minutes=recipe.minutes - learner.seconds / 60 if recipe.minutes else 0.0,
        clock=recipe.clock,
    )


def seconds_of_parts(prepared: Prepared, learner: Learner) -> float:
    """Measure one part of a batch, forward and backward, and return the seconds of all parts of a step.

    The gradients are thrown away, so the run learns what it would learn without the measurement.
    """
    recipe, part = prepared.recipe, range(Share(prepared.recipe).size)
    read_clock = CLOCKS[recipe.clock]
    torch.manual_seed(recipe.seed)
    seconds = math.inf
    for _ in range(2):  # the first part also pays for memory and compilation
        begun = read_clock()
        patches = [prepared.patches[index] for index in part]
        degraded, target = (
            torch.stack([torch.from_numpy(pair[side]) for pair in patches]).to(learner.device)
            for side in (0, 1)
        )
        # With nothing done yet, neighbor2neighbor leaves out the term that takes most of its time.
        objective(learner.restore, degraded, target, recipe, done=1.0).backward()
        grads = [value.grad for value in learner.model.parameters() if value.grad is not None]
        float(grads[0].sum())  # waits for the device
        for optimizer in learner.optimizers:
            optimizer.zero_grad()
        seconds = min(seconds, read_clock() - begun)
        if learner.device.type == "cpu" and seconds > _SLOW:
            break
    return seconds * recipe.accumulate


def seconds_of_update(learner: Learner) -> float:
    """Measure the optimizers on a copy of the network, and return the seconds that they take in a step.

    Muon's products take as long for a batch of one patch as for a large one, so small batches feel them most.
    """
    read_clock = CLOCKS[learner.recipe.clock]
    twin = copy.deepcopy(learner.model)
    for value in twin.parameters():
        value.grad = torch.ones_like(value)
    optimizers = make_optimizers(twin, learner.recipe)
    begun = read_clock()
    for optimizer in optimizers:
        optimizer.step()
    float(next(twin.parameters()).detach().sum())  # waits for the device
    return read_clock() - begun
