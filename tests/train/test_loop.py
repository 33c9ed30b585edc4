"""One process's loop: its arithmetic, that it goes on exactly, and how it ends."""

import functools
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.data.pictures import make_pairs
from tests.train.runs import same_values, tiny
from uformer.errors import TrainingError
from uformer.model.uformer import Uformer
from uformer.train.devices import make_accelerator
from uformer.train.folder import RunFolder
from uformer.train.loop import Trainer
from uformer.train.losses import charbonnier
from uformer.train.processes import Processes
from uformer.train.recipe import Recipe
from uformer.train.report import Reporter
from uformer.train.setup import Folders, prepare
from uformer.train.validate import HeldOut

FULL = ("ema=0.9", "clip=0.5")


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    return make_pairs(tmp_path / "set", 4)


def make(recipe: Recipe, pairs: Path, out: Path) -> Trainer:
    prepared = prepare(recipe, Folders(data=pairs), memory=10**9, cache=out / "cache")
    folder = RunFolder(out)
    if not folder.config.exists():
        folder.create({"recipe": recipe.to_values()})
    torch.manual_seed(recipe.seed)
    model = Uformer(prepared.recipe.network)
    held = HeldOut(prepared.held_out, prepared.degradation, recipe)
    return Trainer(recipe, model, prepared.patches, held, folder, make_accelerator(recipe, "cpu"))


def run(trainer: Trainer) -> bool:
    with Reporter(trainer.folder, total=trainer.recipe.steps, quiet=True) as reporter:
        return trainer.run(reporter, {})


def state(trainer: Trainer) -> dict[str, object]:
    return {key: value for key, value in trainer.state().items() if key != "seconds"}


@pytest.mark.parametrize("settings", [("optimizer=adamw", "weight_decay=0.02"), ("optimizer=muon",), ("accumulate=2", "precision=bf16")])
def test_a_run_that_is_resumed_is_the_same_to_the_last_bit(pairs: Path, tmp_path: Path, settings: tuple[str, ...]) -> None:
    """Weights, moving average, optimizers and schedule, with drop path; the pause lies between two saves."""
    whole = make(tiny(*FULL, *settings, "save_every=4"), pairs, tmp_path / "whole")
    assert run(whole)

    first = make(tiny(*FULL, *settings, "save_every=4", "log_every=3"), pairs, tmp_path / "parts")
    first.patches = Stop(first, after=5)  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        run(first)
    second = make(tiny(*FULL, *settings), pairs, tmp_path / "parts")
    second.load_state(RunFolder(tmp_path / "parts").load_state())
    assert second.step == 4
    assert run(second)
    assert same_values(state(whole), state(second))
    assert whole.folder.last.read_bytes() == second.folder.last.read_bytes()


class Stop:
    """Patches that end the run, as a kill would, once a step was taken."""

    def __init__(self, trainer: Trainer, *, after: int) -> None:
        self.patches, self.last = trainer.patches, after * trainer.recipe.batch

    def __getitem__(self, index: int) -> object:
        if index >= self.last:
            raise KeyboardInterrupt
        return self.patches[index]


def test_a_step_is_the_optimizer_s_on_the_mean_loss_of_its_batch(pairs: Path, tmp_path: Path) -> None:
    """Against the same computed plainly: one step of AdamW, in one part and in two."""
    settings = ("network.drop_path_rate=0", "optimizer=adamw", "steps=1", "lr=0.01", "lr_min=0.01")
    plain = make(tiny(*settings), pairs, tmp_path / "plain")
    model, patches = plain.model, plain.patches
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, betas=(0.9, 0.99), weight_decay=0)
    degraded, clean = (torch.stack([torch.from_numpy(patches[index][side]) for index in (0, 1)]) for side in (0, 1))
    charbonnier(model(degraded), clean).backward()
    optimizer.step()
    for accumulate in (1, 2):
        trainer = make(tiny(*settings, f"accumulate={accumulate}"), pairs, tmp_path / str(accumulate))
        assert run(trainer)
        for mine, theirs in zip(trainer.model.parameters(), model.parameters(), strict=True):
            assert torch.allclose(mine, theirs, atol=2e-5)


def test_it_learns(pairs: Path, tmp_path: Path) -> None:
    trainer = make(tiny("steps=60", "lr=0.01", "log_every=10", "batch=4", "validate_every=30"), pairs, tmp_path / "run")
    assert run(trainer)
    losses = [line["loss"] for line in trainer.folder.read_log() if "loss" in line]
    assert losses[-1] < 0.9 * losses[0]


def test_what_is_in_the_folder(pairs: Path, tmp_path: Path) -> None:
    trainer = make(tiny("validate_every=3"), pairs, tmp_path / "run")
    assert run(trainer)
    found = sorted(str(path.relative_to(tmp_path / "run")) for path in (tmp_path / "run").rglob("*") if path.is_file())
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
    lines = [json.loads(line) for line in trainer.folder.log.read_text().splitlines()]
    assert [(line["step"], "psnr" in line) for line in lines] == [(2, False), (3, False), (3, True), (4, False), (6, False), (6, True)]
    assert set(lines[0]) == {"step", "minutes", "loss", "norm", "lr", "patches_per_s", "waited"}


def test_best_is_what_restores_best_and_last_the_last(pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = iter([20.0, 30.0, 25.0])
    monkeypatch.setattr("uformer.train.loop.score", lambda *_: next(scores))
    trainer = make(tiny("validate_every=2"), pairs, tmp_path / "run")
    assert run(trainer)
    assert trainer.best == 30
    assert trainer.folder.best.read_bytes() != trainer.folder.last.read_bytes()
    other = make(tiny("steps=4"), pairs, tmp_path / "other")
    other.load_state({**trainer.folder.load_state(), "step": 0})


def test_without_pictures_to_score_with_best_is_the_last(pairs: Path, tmp_path: Path) -> None:
    trainer = make(tiny("held_out=0", "validate_every=3"), pairs, tmp_path / "run")
    trainer.shown = HeldOut(trainer.patches.pictures, None, trainer.recipe)
    assert run(trainer)
    assert trainer.folder.best.read_bytes() == trainer.folder.last.read_bytes()
    assert trainer.best == -math.inf


class Poison:
    """Patches of which one has a value that is not finite."""

    def __init__(self, trainer: Trainer, index: int) -> None:
        self.patches, self.index, self.name = trainer.patches, index, trainer.patches.name

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        degraded, clean = self.patches[index]
        return (degraded * np.float32("nan"), clean) if index == self.index else (degraded, clean)


def test_a_loss_that_is_not_finite_stops_with_the_pictures_and_keeps_the_state(pairs: Path, tmp_path: Path) -> None:
    trainer = make(tiny("save_every=2", "log_every=6"), pairs, tmp_path / "run")
    trainer.patches = Poison(trainer, 9)  # type: ignore[assignment]
    with pytest.raises(TrainingError, match="step 5: the loss or its gradient is not finite") as caught:
        run(trainer)
    for index in (8, 9):
        assert trainer.patches.name(index) in str(caught.value).partition("pictures: ")[2]
    assert "the state of step 4 is kept" in str(caught.value)
    kept = trainer.folder.load_state()
    assert kept["step"] == 4
    assert all(value.isfinite().all() for value in kept["model"].values())


def test_a_budget_of_minutes_ends_it(pairs: Path, tmp_path: Path) -> None:
    trainer = make(tiny("steps=1000000", "minutes=0.02", "log_every=1000"), pairs, tmp_path / "run")
    assert run(trainer)
    assert 1.2 <= trainer.seconds < 60
    assert trainer.rate < 0.002, "the learning rate falls along the time"


def test_nothing_but_what_the_processes_agree_on_ends_a_budget(pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If each process counted its saves and scores for itself, one could end while the others wait for it in a step."""
    agreed: list[float] = []

    def largest(_self: Processes, value: float) -> float:
        agreed.append(value)
        return value

    monkeypatch.setattr(Processes, "largest", largest)
    trainer = make(tiny("steps=1000000", "minutes=0.02", "log_every=1", "save_every=1"), pairs, tmp_path / "run")
    assert run(trainer)
    assert len(agreed) == trainer.step
    assert trainer.seconds == agreed[-1]
    assert trainer.seconds >= 1.2


def test_a_save_is_due_by_the_clock_too(pairs: Path, tmp_path: Path) -> None:
    trainer = make(tiny("save_minutes=0", "log_every=1"), pairs, tmp_path / "run")
    saved: list[int] = []
    trainer._save = lambda about: saved.append(trainer.step)  # type: ignore[method-assign]
    assert run(trainer)
    assert saved == [0, 1, 2, 3, 4, 5, 6]


def test_compiled_it_is_the_same(pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With dynamo's graphs, run as they are: to compile them takes minutes. With all else that a GPU would be asked for."""
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))
    settings = ("steps=2", "network.drop_path_rate=0", "network.gradient_checkpointing=yes", "precision=bf16")
    one, two = (make(tiny(*settings, f"compile={when}"), pairs, tmp_path / when) for when in ("never", "always"))
    assert run(one)
    assert run(two)
    assert all(torch.allclose(a, b, atol=2e-3) for a, b in zip(one.model.parameters(), two.model.parameters(), strict=True))


def test_gradient_checkpointing_changes_nothing(pairs: Path, tmp_path: Path) -> None:
    one, two = (make(tiny(f"network.gradient_checkpointing={on}"), pairs, tmp_path / on) for on in ("no", "yes"))
    assert run(one)
    assert run(two)
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(one.model.parameters(), two.model.parameters(), strict=True))
