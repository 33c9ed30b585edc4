"""How long a run will take on this machine, measured before its first step."""

import time
from dataclasses import dataclass

import torch

from uformer.train.duration import spoken
from uformer.train.learner import Learner
from uformer.train.loader import Share
from uformer.train.objectives import objective
from uformer.train.setup import Prepared

HINT_MINUTES = 30
"""The shorter run that a forecast proposes, in minutes."""

_SLOW = 5.0
"""Seconds after which the first measurement is good enough; a second one would take as long."""


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

    @property
    def whole(self) -> float:
        """All steps and scorings, without the time limit."""
        return self.steps * self.step + self.scorings * self.scoring

    def __str__(self) -> str:
        """The line that a run prints."""
        each = f"a step takes about {self.step:.2g} s"
        if self.minutes and 60 * self.minutes <= self.whole:
            share = 60 * self.minutes / self.whole
            return (
                f"duration: {spoken(60 * self.minutes)}, as set, for about {max(self.steps * share, 1):,.0f} "
                f"steps ({each}; an estimate from one part of a step)"
            )
        shorter = (
            f"; for a run of {HINT_MINUTES} minutes, add --set minutes={HINT_MINUTES}"
            if self.whole > 90 * HINT_MINUTES
            else ""
        )
        return (
            f"duration: about {spoken(self.whole)} on this machine ({self.steps:,} steps; {each}; "
            f"an estimate from one part of a step){shorter}"
        )


def forecast(prepared: Prepared, learner: Learner) -> Forecast:
    """Estimate how long the rest of a run will take in this process."""
    recipe, step = prepared.recipe, seconds_of_step(prepared, learner)
    held, side = prepared.held_out, recipe.validation_side
    pixels = sum(min(height, side) * min(width, side) for height, width in held.pictures.sizes)
    patches = pixels / recipe.patch**2
    steps = recipe.steps - learner.step
    return Forecast(
        step=step,
        scoring=patches * step / recipe.batch / 3,  # no gradients: a third of the arithmetic
        steps=steps,
        scorings=steps // recipe.validate_every,
        minutes=recipe.minutes - learner.seconds / 60 if recipe.minutes else 0.0,
    )


def seconds_of_step(prepared: Prepared, learner: Learner) -> float:
    """Measure one part of a batch, forward and backward, and return the seconds of all parts of a step.

    The gradients are thrown away, so the run learns what it would learn without the measurement.
    """
    recipe, part = prepared.recipe, range(Share(prepared.recipe).size)
    torch.manual_seed(recipe.seed)
    seconds = _SLOW
    for _ in range(2):  # the first part also pays for memory and compilation
        begun = time.perf_counter()
        patches = [prepared.patches[index] for index in part]
        degraded, target = (
            torch.stack([torch.from_numpy(pair[side]) for pair in patches]).to(learner.device)
            for side in (0, 1)
        )
        objective(learner.restore, degraded, target, recipe, done=learner.done).backward()
        grads = [value.grad for value in learner.model.parameters() if value.grad is not None]
        float(grads[0].sum())  # waits for the device
        for optimizer in learner.optimizers:
            optimizer.zero_grad()
        seconds = time.perf_counter() - begun
        if learner.device.type == "cpu" and seconds > _SLOW:
            break
    return seconds * recipe.accumulate
