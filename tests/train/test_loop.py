"""One process's loop: its arithmetic, that it resumes exactly, and how it ends."""

import dataclasses
import functools
import itertools
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.data.pictures import make_pairs
from tests.train.runs import same_values, tiny
from uformer.errors import TrainingError
from uformer.model.uformer import Uformer
from uformer.train import loop
from uformer.train.devices import Precision
from uformer.train.folder import RunFolder
from uformer.train.learner import Learner
from uformer.train.losses import charbonnier
from uformer.train.processes import Processes
from uformer.train.recipe import Recipe
from uformer.train.report import Reporter
from uformer.train.setup import Folders, Prepared, prepare

FULL = ("ema=0.9", "clip=0.5")
CPU = torch.device("cpu")


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    return make_pairs(tmp_path / "set", 4)


@dataclass
class Run:
    """The arguments of `train`."""

    prepared: Prepared
    learner: Learner
    folder: RunFolder

    def train(self, processes: Processes | None = None) -> bool:
        with Reporter(self.folder, total=self.prepared.recipe.steps, quiet=True) as reporter:
            return loop.train(self.prepared, self.learner, self.folder, reporter, processes or Processes())

    def replace_patches(self, patches: Any) -> None:
        self.prepared = dataclasses.replace(self.prepared, patches=patches)


def make(recipe: Recipe, pairs: Path, out: Path) -> Run:
    prepared = prepare(recipe, Folders(data=pairs), memory=10**9, cache=out / "cache")
    folder = RunFolder(out)
    if not folder.config.exists():
        folder.create({"recipe": recipe.to_values()})
    torch.manual_seed(recipe.seed)
    model = Uformer(prepared.recipe.network)
    precision: Precision = "bf16" if recipe.precision == "bf16" else "fp32"
    return Run(
        prepared, Learner(prepared.recipe, model, CPU, precision=precision, processes=Processes()), folder
    )


def state(run: Run) -> dict[str, object]:
    return {key: value for key, value in run.learner.state().items() if key != "seconds"}


@pytest.mark.parametrize(
    "settings",
    [("optimizer=adamw", "weight_decay=0.02"), ("optimizer=muon",), ("accumulate=2", "precision=bf16")],
)
def test_a_run_that_is_resumed_is_the_same_to_the_last_bit(
    pairs: Path, tmp_path: Path, settings: tuple[str, ...]
) -> None:
    """Weights, average, optimizers and schedule are equal, with drop path. The pause is between saves."""
    whole = make(tiny(*FULL, *settings, "save_every=4"), pairs, tmp_path / "whole")
    assert whole.train()

    first = make(tiny(*FULL, *settings, "save_every=4", "log_every=3"), pairs, tmp_path / "parts")
    first.replace_patches(Stop(first.prepared, after=5))
    with pytest.raises(KeyboardInterrupt):
        first.train()
    second = make(tiny(*FULL, *settings), pairs, tmp_path / "parts")
    second.learner.load_state(second.folder.load_state(), second.folder.state)
    assert second.learner.step == 4
    assert second.train()
    assert same_values(state(whole), state(second))
    assert whole.folder.last.read_bytes() == second.folder.last.read_bytes()


class Substitute:
    """Wraps patches and replaces some of them."""

    def __init__(self, prepared: Prepared) -> None:
        self.patches, self.batch = prepared.patches, prepared.recipe.batch

    def __getattr__(self, name: str) -> Any:
        return getattr(self.patches, name)


class Stop(Substitute):
    """Patches that end the run after a step, as a kill would."""

    def __init__(self, prepared: Prepared, *, after: int) -> None:
        super().__init__(prepared)
        self.last = after * self.batch

    def __getitem__(self, index: int) -> object:
        if index >= self.last:
            raise KeyboardInterrupt
        return self.patches[index]


def test_a_step_is_the_optimizer_s_on_the_mean_loss_of_its_batch(pairs: Path, tmp_path: Path) -> None:
    """One step equals a plain computation with AdamW, in one part and in two."""
    settings = ("network.drop_path_rate=0", "optimizer=adamw", "steps=1", "lr=0.01", "lr_min=0.01")
    plain = make(tiny(*settings), pairs, tmp_path / "plain")
    model, patches = plain.learner.model, plain.prepared.patches
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, betas=(0.9, 0.99), weight_decay=0)
    degraded, clean = (
        torch.stack([torch.from_numpy(patches[index][side]) for index in (0, 1)]) for side in (0, 1)
    )
    charbonnier(model(degraded), clean).backward()
    optimizer.step()
    for accumulate in (1, 2):
        run = make(tiny(*settings, f"accumulate={accumulate}"), pairs, tmp_path / str(accumulate))
        assert run.train()
        for mine, theirs in zip(run.learner.model.parameters(), model.parameters(), strict=True):
            assert torch.allclose(mine, theirs, atol=2e-5)


def test_it_learns(pairs: Path, tmp_path: Path) -> None:
    run = make(
        tiny("steps=60", "lr=0.01", "log_every=10", "batch=4", "validate_every=30"), pairs, tmp_path / "run"
    )
    assert run.train()
    losses = [line["loss"] for line in run.folder.read_log() if "loss" in line]
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.usefixtures("drawn")
def test_what_is_in_the_folder(pairs: Path, tmp_path: Path) -> None:
    run = make(tiny("validate_every=3"), pairs, tmp_path / "run")
    assert run.train()
    found = sorted(
        str(path.relative_to(tmp_path / "run")) for path in (tmp_path / "run").rglob("*") if path.is_file()
    )
    assert found == [
        "best.safetensors",
        "config.yaml",
        "curves.png",
        "last.safetensors",
        "log.jsonl",
        "samples/0000003.png",
        "samples/0000006.png",
        "state/state.pt",
    ]
    lines = [json.loads(line) for line in run.folder.log.read_text().splitlines()]
    assert [(line["step"], "psnr" in line) for line in lines] == [
        (2, False),
        (3, False),
        (3, True),
        (4, False),
        (6, False),
        (6, True),
    ]
    assert set(lines[0]) == {"step", "minutes", "loss", "norm", "lr", "patches_per_s", "waited"}


def test_best_is_what_restores_best_and_last_the_last(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([20.0, 30.0, 25.0])
    monkeypatch.setattr(loop, "mean_score", lambda *_: next(scores))
    run = make(tiny("validate_every=2"), pairs, tmp_path / "run")
    assert run.train()
    assert run.learner.best == 30
    assert run.folder.best.read_bytes() != run.folder.last.read_bytes()
    other = make(tiny("steps=4"), pairs, tmp_path / "other")
    other.learner.load_state({**run.folder.load_state(), "step": 0}, run.folder.state)


def test_without_pictures_to_score_with_best_is_the_last(pairs: Path, tmp_path: Path) -> None:
    run = make(tiny("held_out=0", "validate_every=3"), pairs, tmp_path / "run")
    assert run.train()
    assert run.folder.best.read_bytes() == run.folder.last.read_bytes()
    assert run.learner.best == -math.inf


class Poison(Substitute):
    """Patches, one of which has a value that is not finite."""

    def __init__(self, prepared: Prepared, index: int) -> None:
        super().__init__(prepared)
        self.index = index

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        degraded, clean = self.patches[index]
        return (degraded * np.float32("nan"), clean) if index == self.index else (degraded, clean)


def test_a_loss_that_is_not_finite_stops_with_the_pictures_and_keeps_the_state(
    pairs: Path, tmp_path: Path
) -> None:
    run = make(tiny("save_every=2", "log_every=6"), pairs, tmp_path / "run")
    run.replace_patches(Poison(run.prepared, 9))
    with pytest.raises(TrainingError, match="step 5: the loss or its gradient is not finite") as caught:
        run.train()
    for index in (8, 9):
        assert run.prepared.patches.name(index) in str(caught.value).partition("images in the batch: ")[2]
    assert "the state saved at step 4 is kept" in str(caught.value)
    kept = run.folder.load_state()
    assert kept["step"] == 4
    assert all(value.isfinite().all() for value in kept["model"].values())


def test_a_budget_of_processor_time_counts_only_that(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every reading of the stand-in for the processors' clock is a minute later than the last one."""
    minutes = itertools.count()
    monkeypatch.setattr(loop, "CLOCKS", {"cpu": lambda: 60.0 * next(minutes)})
    run = make(tiny("clock=cpu", "minutes=3", "steps=1000000", "log_every=1"), pairs, tmp_path / "run")
    assert run.train()
    assert (run.learner.step, run.learner.seconds) == (3, 180)


class Slowest(Processes):
    """Processes that behave as if another one took exactly a minute for each step."""

    def __init__(self) -> None:
        super().__init__()
        self.agreed = [0.0]

    def largest(self, value: float) -> float:
        assert value > self.agreed[-1], "the time that this process took is counted"
        self.agreed.append(60.0 * len(self.agreed))
        return self.agreed[-1]


def test_a_budget_of_minutes_ends_it(pairs: Path, tmp_path: Path) -> None:
    settings = ("steps=1000000", "validate_every=1000000", "log_every=1", "minutes=12")
    run = make(tiny(*settings), pairs, tmp_path / "run")
    assert run.train(Slowest())
    assert (run.learner.step, run.learner.seconds) == (12, 12 * 60)
    log = run.folder.read_log()
    rates = [line["lr"] for line in log if "lr" in line]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] < 0.02 * rates[0], "the learning rate falls along the time"
    scored = [line["step"] for line in log if "psnr" in line]
    assert scored == [2, 5, 8, 11, 12], "each tenth of the time, counted from the end of a score"


@pytest.mark.parametrize(
    ("settings", "steps"),
    [(("steps=1000000", "minutes=3.5", "log_every=1", "save_every=1"), 4), (("save_every=1000",), 6)],
)
def test_all_processes_go_by_the_same_clock(
    pairs: Path, tmp_path: Path, settings: tuple[str, ...], steps: int
) -> None:
    """With clocks of their own, one could end, or save after `save_minutes`, while the others wait for it."""
    run, slowest = (
        make(tiny("validate_every=1000", "save_minutes=1.5", *settings), pairs, tmp_path / "run"),
        Slowest(),
    )
    saved: list[int] = []
    run.folder.save_state = lambda state: saved.append(state["step"])  # type: ignore[method-assign]
    assert run.train(slowest)
    assert (run.learner.step, run.learner.seconds) == (steps, 60 * steps)
    assert len(slowest.agreed) == 1 + steps
    assert saved == ([0, 1, 2, 3, 4] if steps == 4 else [0, 2, 4, 6])


def test_a_save_is_due_by_the_clock_too(pairs: Path, tmp_path: Path) -> None:
    run = make(tiny("save_minutes=0", "log_every=1"), pairs, tmp_path / "run")
    saved: list[int] = []
    run.folder.save_state = lambda state: saved.append(state["step"])  # type: ignore[method-assign]
    assert run.train()
    assert saved == [0, 1, 2, 3, 4, 5, 6]


@pytest.mark.slow
def test_compiled_it_is_the_same(pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dynamo's graphs run uncompiled, because compiling takes minutes. The settings are those of a GPU."""
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))
    settings = ("steps=2", "network.drop_path_rate=0", "network.gradient_checkpointing=yes", "precision=bf16")
    one, two = (
        make(tiny(*settings, f"compile={when}"), pairs, tmp_path / when) for when in ("never", "always")
    )
    assert one.train()
    assert two.train()
    assert all(
        torch.allclose(a, b, atol=2e-3)
        for a, b in zip(one.learner.model.parameters(), two.learner.model.parameters(), strict=True)
    )


def test_gradient_checkpointing_changes_nothing(pairs: Path, tmp_path: Path) -> None:
    one, two = (
        make(tiny(f"network.gradient_checkpointing={on}"), pairs, tmp_path / on) for on in ("no", "yes")
    )
    assert one.train()
    assert two.train()
    assert all(
        torch.allclose(a, b, atol=1e-6)
        for a, b in zip(one.learner.model.parameters(), two.learner.model.parameters(), strict=True)
    )
