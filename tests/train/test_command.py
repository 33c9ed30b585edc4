"""`uformer train` from the command line: killed, interrupted, out of disk space, out of memory."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from tests.data.pictures import make_pairs
from tests.train.runs import arguments, as_options, same_values
from uformer.cli import main
from uformer.train import command
from uformer.train.folder import RunFolder
from uformer.train.processes import Processes
from uformer.train.recipes import RECIPES, debug, find
from uformer.weights import checkpoint


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    return make_pairs(tmp_path / "set", 4)


def start(words: list[str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "uformer", *words]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def wait_for(holds: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.01)


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    _, err = process.communicate(timeout=60)
    return process.returncode, err


def test_list_shows_every_recipe_without_torch(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["train", "--list"]) == 0
    listed, _, below = capsys.readouterr().out.partition("\n\n")
    assert [line.split()[0] for line in listed.splitlines()] == [
        "recipe",
        *RECIPES,
    ]  # lines are not wrapped in a pipe
    assert "3 hours" in listed.splitlines()[1]
    assert "uformer_t was measured at 2.5 patches/s" in below
    assert "gopro_deblur needs: about 1" in below
    code = "import sys; from uformer.cli import main; main(['train', '--list'])"
    code += "; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "no recipe given; choose one of pairs, denoise"),
        (["sharpen"], "unknown recipe 'sharpen'"),
        (["nowhere.yaml"], "nowhere.yaml: cannot be read"),
        (["denoise"], "denoise needs images: give --data DIR"),
        (["pairs", "--data", "nowhere"], "nowhere: no such folder"),
        (["pairs", "--clean", "x"], "--degraded and --clean go together"),
        (["debug", "--set", "bacth=3"], "did you mean 'batch'?"),
        (["--resume"], "--resume needs the run folder; give it with --out"),
        (["config.yaml", "--resume"], "config.yaml has no default run folder; give one with --out"),
    ],
)
def test_wrong_usage_is_one_line(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", *words]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


def test_on_a_cpu_our_recipes_fit_an_evening() -> None:
    """Settings of steps or network leave the recipe as it is."""
    processes = Processes()
    recipe, note = command._for_device(find("pairs"), "pairs", ["seed=3"], "cpu", processes)
    assert (recipe.minutes, recipe.batch, recipe.start) == (180, 8, "uformer_t.denoise")
    assert "--set steps=100000 trains the whole recipe" in note
    assert "three hours" in note
    shorter, note = command._for_device(find("pairs"), "pairs", ["minutes=30"], "cpu", processes)
    assert shorter == recipe, "which `override` then shortens"
    assert "hours" not in note
    for name, settings in (("pairs", ["steps=5"]), ("pairs", ["network.window_size=4"]), ("debug", [])):
        assert command._for_device(find(name), name, settings, "cpu", processes) == (find(name), "")
    assert command._for_device(find("pairs"), "run/config.yaml", [], "cpu", processes)[1] == ""


def test_a_missing_extra_says_how_to_install_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main(["train", "debug"]) == 2
    assert 'matplotlib is not installed; run: pip install "uformer[train]"' in capsys.readouterr().err


def test_killed_or_interrupted_it_goes_on_to_the_same_weights(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = ("warmup=0", "decay=0", "ema=0.9")  # so that a step does not depend on how many follow
    out = tmp_path / "killed"
    folder = RunFolder(out)
    process = start(arguments(pairs, out, *settings, "steps=100000", "save_every=1"))
    wait_for(lambda: len(folder.read_log()) > 3, process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    killed = folder.load_state()["step"]
    assert killed >= 2, "whole, whenever it was killed"
    checkpoint.read(folder.last)

    words = ["train", "--resume", "--out", str(out), "--device", "cpu"]
    with monkeypatch.context() as patch:
        append = RunFolder.append_log

        def append_and_interrupt(self: RunFolder, line: dict[str, Any]) -> None:
            append(self, line)
            if folder.load_state()["step"] > killed:
                patch.undo()
                signal.raise_signal(signal.SIGINT)

        patch.setattr(RunFolder, "append_log", append_and_interrupt)
        assert main(words) == 130
    err = capsys.readouterr().err
    assert (
        err.splitlines()[-1]
        == f"uformer: interrupted; the run is saved; resume with: uformer train --resume --out {out}"
    )
    assert "Traceback" not in err
    assert folder.load_state()["step"] > killed

    steps = folder.load_state()["step"] + 2
    assert main([*words, "--quiet", "--set", f"steps={steps}"]) == 0
    assert main([*arguments(pairs, tmp_path / "whole", *settings, f"steps={steps}"), "--quiet"]) == 0
    one, two = (RunFolder(tmp_path / name).load_state() for name in ("whole", "killed"))
    for key in ("step", "model", "average", "optimizers"):
        assert same_values(one[key], two[key])
    logged = [line["step"] for line in folder.read_log() if "loss" in line]
    assert logged == sorted(set(logged))
    assert logged[-1] == steps


@pytest.mark.slow
def test_ctrl_c_while_the_workers_start_saves_too(pairs: Path, tmp_path: Path) -> None:
    """As on a terminal, Ctrl-C also reaches the workers, which print nothing."""
    out = tmp_path / "run"
    process = start(arguments(pairs, out, "steps=100000", "workers=2"))
    wait_for(RunFolder(out).state.exists, process)
    time.sleep(0.3)
    os.killpg(process.pid, signal.SIGINT)
    code, err = finish(process)
    assert code == 130
    assert "Traceback" not in err
    assert err.splitlines()[-1].startswith("uformer: interrupted; the run is saved")


def test_a_disk_that_fills_up_is_one_line_and_leaves_the_last_state(
    pairs: Path,
    tmp_path: Path,
    small_files: Callable[[int], AbstractContextManager[None]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The log is the first file to reach the limit."""
    out = tmp_path / "run"
    assert main([*arguments(pairs, out), "--quiet"]) == 0
    with open(out / "log.jsonl", "a") as log:
        log.write('{"step": 0}\n' * (170_000 // 12))
    settings = as_options(("steps=100000", "log_every=1", "save_every=10", "validate_every=100000"))
    with small_files(180_000):
        code = main(["train", "--resume", "--out", str(out), "--device", "cpu", "--quiet", *settings])
    assert code == 1
    err = capsys.readouterr().err
    assert f"uformer: error: {out}/log.jsonl: File too large; the last saved state is kept" in err
    assert err.count("\n") == 1
    assert RunFolder(out).load_state()["step"] % 10 == 0


@pytest.mark.usefixtures("drawn")
def test_debug_takes_no_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["train", "debug", "--device", "cpu"]) == 0
    assert "next: uformer restore PHOTO --weights runs/debug/best.safetensors" in capsys.readouterr().out
    assert os.path.exists("runs/debug/curves.png")


def test_resume_with_a_recipe_begins_a_run_that_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A job that returns to the queue can use the same line, even if it was killed before its first save."""
    folder = RunFolder(tmp_path / "run")
    folder.create({"recipe": debug().to_values()})
    folder.append_log({"step": 0, "input_psnr": 20.0})  # a run logs this before it saves
    words = [
        "train",
        "debug",
        "--device",
        "cpu",
        "--resume",
        "--quiet",
        "--out",
        str(tmp_path / "run"),
        "--set",
    ]
    assert main([*words, "steps=2"]) == 0
    assert main([*words, "steps=4"]) == 0
    assert folder.load_state()["step"] == 4
    assert main([*words, "steps=4"]) == 2
    assert "this run has finished (4 steps)" in capsys.readouterr().err


def test_a_worker_that_is_killed_is_one_line(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The kernel kills a worker like this if memory is short."""
    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        append = RunFolder.append_log

        def append_and_kill(self: RunFolder, line: dict[str, Any]) -> None:
            append(self, line)
            if "loss" in line:
                patch.undo()
                (worker,) = multiprocessing.active_children()
                worker.kill()

        patch.setattr(RunFolder, "append_log", append_and_kill)
        assert main(arguments(pairs, out, "steps=100000", "workers=1", "log_every=1")) == 1
    err = capfd.readouterr().err
    assert "Traceback" not in err
    (line,) = (line for line in err.splitlines() if line.startswith("uformer: error: "))
    assert "a loader process was killed" in line
    assert f"the last saved state is kept; resume with: uformer train --resume --out {out}" in line
