"""Two processes (gloo, CPUs) against one: the same figures and weights, and how runs end."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.train import several
from tests.train.launch import by_hand, finish, free_port, has, torchrun, wait_for
from tests.train.runs import as_options
from uformer import processors
from uformer.cli import main
from uformer.errors import OptionError, TrainingError
from uformer.signals import Interrupt
from uformer.train.folder import RunFolder
from uformer.train.processes import Processes, peer_is_gone, worker_is_gone

SETTINGS = (
    "ema=0.9",
    "clip=0.5",
    "accumulate=2",
    "steps=4",
    "log_every=1",
    "validate_every=1000",
    "batch=4",
    "optimizer=adamw",
    "patch=16",
)
STEADY = "warmup=0", "decay=0"  # so that a step does not depend on how many follow
FULL = "sharding=full", "network.gradient_checkpointing=true"
# Tolerance of weights: Adam divides by the root of a small number, which amplifies rounding.
ABOUT = 5e-5


def words(out: Path, *settings: str) -> list[str]:
    return [
        "train",
        "debug",
        "--device",
        "cpu",
        "--quiet",
        "--out",
        str(out),
        *as_options((*SETTINGS, *settings)),
    ]


def resume(out: Path, *settings: str) -> list[str]:
    return ["train", "--resume", "--device", "cpu", "--quiet", "--out", str(out), *as_options(settings)]


def losses(out: Path) -> list[float]:
    return [line["loss"] for line in RunFolder(out).read_log() if "loss" in line]


def distance(one: Path, two: Path, part: str = "average") -> float:
    """Return the largest difference between weights."""
    a, b = (RunFolder(out).load_state()[part] for out in (one, two))
    assert a.keys() == b.keys()
    return max(float((a[name] - b[name]).abs().max()) for name in a)


def equal_optimizers(one: Path, two: Path) -> None:
    a, b = (RunFolder(out).load_state()["optimizers"] for out in (one, two))
    for mine, theirs in zip(a, b, strict=True):
        for index, values in mine["state"].items():
            assert all(
                torch.allclose(values[name], theirs["state"][index][name], atol=1e-3) for name in values
            )


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of one and two processes, plain and sharded, uninterrupted and resumed."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        several.without_what_is_shown(patch.setattr)
        several.with_bf16(patch.setattr)
        _run_all(folder)
    return folder


def _run_all(folder: Path) -> None:
    half = "steps=4", "minutes=0"
    assert main(words(folder / "one", "validate_every=2")) == 0
    assert main(words(folder / "muon", "optimizer=muon", "steps=2")) == 0
    for name in ("one_two", "one_sharded"):
        assert main(words(folder / name, "steps=2")) == 0
    stretched = [*resume(folder / "one_two", *half), "--set", "accumulate=1"]
    calls: list[list[str]] = [
        words(folder / "two", "validate_every=2"),
        [word for word in words(folder / "sharded", "validate_every=2", *FULL) if word != "--quiet"],
        words(folder / "two_muon", "optimizer=muon", "steps=2"),
        words(folder / "sharded_muon", "optimizer=muon", "sharding=full", "steps=2"),
        words(folder / "sharded_bf16", "precision=bf16", "sharding=full", "steps=2"),
        words(folder / "two_bf16", "precision=bf16", "steps=2"),
        words(folder / "two_one", "steps=2"),
        words(folder / "sharded_one", "steps=2", "sharding=full"),
        stretched,
        resume(folder / "one_sharded", *half, "sharding=full"),
        words(folder / "two"),
        words(folder / "nan", "lr=1e30", "clip=0", "lr_min=1e29"),
        words(folder / "minutes", "minutes=0.01", "steps=100000", "validate_every=100000"),
        words(folder / "three", "batch=3", "accumulate=1"),
        words(folder / "full_log"),
        words(folder / "full"),
        words(folder / "lost", *STEADY, "steps=100000", "save_every=5"),
    ]
    (folder / "calls.json").write_text(json.dumps(calls))
    processes = by_hand(str(folder / "calls.json"), module="tests.train.several")
    for rank, process in enumerate(processes):
        out, err = process.communicate(timeout=250)
        (folder / f"said{rank}").write_text(out + err)
    assert [process.returncode for process in processes] == [0, -signal.SIGKILL], err
    for name in ("two_one", "sharded_one"):
        assert main(resume(folder / name, *half)) == 0
    assert main(words(folder / "one_one", "steps=2")) == 0
    assert main(resume(folder / "one_one", *half)) == 0


@pytest.mark.parametrize("name", ["two", "sharded"])
def test_two_processes_learn_what_one_does(runs: Path, name: str) -> None:
    """Same losses, weights, average and optimizers, in parts and clipped; sharded with checkpointing too."""
    assert len(losses(runs / "one")) == 4
    assert losses(runs / name) == pytest.approx(losses(runs / "one"), rel=1e-5)
    assert distance(runs / name, runs / "one") < ABOUT
    assert distance(runs / name, runs / "one", "model") < ABOUT
    equal_optimizers(runs / name, runs / "one")
    scores = [
        [line["psnr"] for line in RunFolder(runs / run).read_log() if "psnr" in line] for run in (name, "one")
    ]
    assert scores[0] == pytest.approx(scores[1], abs=0.01)
    assert len(scores[0]) == 2


@pytest.mark.parametrize("name", ["two_muon", "sharded_muon"])
def test_with_muon_they_agree_as_far_as_its_bf16_goes(runs: Path, name: str) -> None:
    assert losses(runs / name) == pytest.approx(losses(runs / "muon"), rel=1e-3)
    assert distance(runs / name, runs / "muon") < 2e-3


def test_sharded_goes_with_bf16(runs: Path) -> None:
    assert losses(runs / "sharded_bf16") == pytest.approx(losses(runs / "two_bf16"), rel=1e-3)


@pytest.mark.parametrize("name", ["two_one", "one_two", "sharded_one", "one_sharded"])
def test_a_run_goes_on_with_another_number_of_processes(runs: Path, name: str) -> None:
    assert RunFolder(runs / name).load_state()["step"] == 4
    assert losses(runs / name) == pytest.approx(losses(runs / "one_one"), rel=1e-5)
    assert distance(runs / name, runs / "one_one") < ABOUT
    equal_optimizers(runs / name, runs / "one_one")


def test_what_is_wrong_is_said_once_and_ends_all(runs: Path) -> None:
    said = [(runs / f"said{rank}").read_text().splitlines() for rank in (0, 1)]
    codes = [
        [int(line.removeprefix("code ")) for line in lines if line.startswith("code ")] for lines in said
    ]
    ended = [0] * 10 + [2, 1, 0, 2, 1, 1]
    assert codes == [[*ended, 1], ended]
    lines = said[0] + said[1]
    errors = [line for line in lines if line.startswith("uformer: error")]
    assert len(errors) == 6, lines
    assert "two exists; resume the run with --resume" in errors[0]
    assert "the loss or its gradient is not finite" in errors[1]
    assert "batch: 3 must be a multiple of 1 (accumulate) x 2 (processes)" in errors[2]
    assert "full_log/log.jsonl: the disk is full" in errors[3]
    assert "full/state/state.pt: No space left on device" in errors[4]
    assert sum("4 steps, batch 4, 2 x cpu, fp32, sharded" in line for line in lines) == 1
    assert "Traceback" not in "".join(lines)


def test_a_process_that_is_killed_ends_the_others_and_the_run_goes_on(runs: Path) -> None:
    """Without a launcher, the remaining process notices by itself."""
    out = runs / "lost"
    line = (runs / "said0").read_text().splitlines()[-1]
    assert line.startswith("uformer: error: another process of this run ended; the last saved state is kept;")
    assert line.endswith(f"resume with: uformer train --resume --out {out}")
    steps = RunFolder(out).load_state()["step"] + 2
    assert main(resume(out, f"steps={steps}")) == 0
    assert main(words(runs / "whole", *STEADY, f"steps={steps}")) == 0
    assert distance(out, runs / "whole") < 1e-3


@pytest.mark.slow
def test_the_launcher_s_sigterm_saves_and_the_same_line_goes_on(tmp_path: Path) -> None:
    """Two launchers stand for two machines, and get SIGTERM as a SLURM job does before its time limit."""
    out = tmp_path / "run"
    endpoint = f"localhost:{free_port()}"
    same = [*words(out, "steps=100000", "validate_every=100000", "save_every=100000"), "--resume"]
    launchers = [torchrun(*same, nodes=2, endpoint=endpoint) for _ in range(2)]
    wait_for(has(out / "log.jsonl", '"step": 3'), launchers[0])
    for launcher in launchers:
        launcher.send_signal(signal.SIGTERM)
    said = "".join(finish(launcher)[1] for launcher in launchers)
    assert said.count("uformer: interrupted; the run is saved") == 1
    saved = RunFolder(out).load_state()["step"]
    assert saved >= 3
    same[same.index("steps=100000")] = f"steps={saved + 2}"
    assert main([*same, "--set", "validate_every=100000"]) == 0
    assert RunFolder(out).load_state()["step"] == saved + 2


def test_one_alone_agrees_with_itself() -> None:
    alone = Processes.join("cpu")
    assert alone.first
    assert alone.together(lambda: 3) == 3
    assert alone.share("x") == ["x"]
    assert alone.largest(2.5) == 2.5
    with Interrupt() as interrupt:
        assert not alone.asked_to_stop(interrupt)
        interrupt.asked = True
        assert alone.asked_to_stop(interrupt)

    def wrong() -> Any:
        raise OptionError("wrong")

    for run in (alone.together, alone.on_first):
        with pytest.raises(OptionError, match="wrong"):
            run(wrong)
    assert alone.on_first(divmod, 7, 2) == (3, 1)


def test_a_run_keeps_to_the_limit_of_its_container(monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_num_threads()
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(processors, "thread_limit", lambda: 1)
    try:
        torch.set_num_threads(2)
        Processes.join("cpu")
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


class Second(Processes):
    """The second of two processes. The first one returns an exit code."""

    def __init__(self, code: int) -> None:
        super().__init__()
        self.index, self.count, self.code = 1, 2, code

    def share(self, value: Any) -> list[Any]:
        return [self.code, value]


def test_the_others_wait_for_the_first_and_end_with_it() -> None:
    assert Second(0).on_first(pytest.fail, "only the first process runs it") is None
    with pytest.raises(SystemExit) as ended:
        Second(2).on_first(pytest.fail, "only the first process runs it")
    assert ended.value.code == 2


@pytest.mark.parametrize("name", ["WORLD_SIZE", "LOCAL_RANK"])
def test_a_number_of_processes_that_is_none(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv(name, "two")
    with pytest.raises(OptionError, match=f"{name}: 'two'"):
        Processes.join("cpu")


def test_without_a_meeting_point_they_cannot_reach_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(TrainingError, match="cannot reach each other: .*RANK"):
        Processes.join("cpu")


def test_what_a_lost_process_looks_like() -> None:
    assert peer_is_gone(
        RuntimeError(
            "[/pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:547] "
            "Connection closed by peer [127.0.0.1]:1"
        )
    )
    assert peer_is_gone(torch.distributed.DistNetworkError("x"))
    assert not peer_is_gone(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert worker_is_gone(RuntimeError("DataLoader worker (pid 3) is killed by signal: Killed. "))
    assert worker_is_gone(RuntimeError("DataLoader worker (pid(s) 3) exited unexpectedly"))
    assert worker_is_gone(EOFError())
    assert not worker_is_gone(RuntimeError("x"))
