"""Whole calls of `uformer train`: new, resumed, changed and refused."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.data.pictures import make_pairs, photo, save
from tests.networks import TINY, build
from tests.train.runs import arguments, as_options, same_values, tiny
from uformer.cli import main
from uformer.train import devices
from uformer.train import session as module
from uformer.train.folder import RunFolder, read_config
from uformer.train.setup import Folders
from uformer.weights import checkpoint

SMALL_NETWORK = ("network.embed_dim=8", "network.depths=1,1,1", "network.num_heads=1,1,1")


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    return make_pairs(tmp_path / "set", 4)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "run"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run. Do not change it."""
    folder = tmp_path_factory.mktemp("finished")
    assert main([*arguments(make_pairs(folder / "set", 4), folder / "run"), "--quiet"]) == 0
    return folder / "run"


def resume(out: Path, *settings: str) -> int:
    return main(["train", "--resume", "--out", str(out), "--device", "cpu", *settings])


def error(capsys: pytest.CaptureFixture[str]) -> str:
    err = capsys.readouterr().err
    (line,) = [line for line in err.splitlines() if "error" in line]
    return line


def test_a_run_says_what_it_does_and_what_to_do_next(
    pairs: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments(pairs, out), "--range", "full"]) == 0
    said, told = capsys.readouterr()
    result, following = said.splitlines()
    assert result.startswith("result: ")
    assert "the images as they came (28." in result
    assert following == f"next: uformer restore PHOTO --weights {out}/best.safetensors"
    assert "duration: about " in told
    assert "held out to score with: " in told
    assert (
        "images: 3 pairs to learn from (0.0 megapixels), 1 held out (PSNR of the degraded images: 28." in told
    )
    assert "6 steps, batch 2, 1 x cpu, fp32" in told
    assert "loader: up to about" in told
    assert "step 6/6  loss 0." in told
    config = read_config(out / "config.yaml")
    assert config["data"] == {"data": str(pairs)}
    (held,) = config["pictures"].pop("held_out_names")
    assert f"held out to score with: {held}\n" in told
    assert config["pictures"] == {"learned_from": 3, "held_out": 1}
    assert config["recipe"] == tiny("range=full")
    assert checkpoint.read_notes(out / "best.safetensors")["range"] == "full"


def test_more_steps_than_at_first(pairs: Path, out: Path) -> None:
    """The log continues, and the state is that of the larger number."""
    assert main(arguments(pairs, out)) == 0
    assert resume(out, "--set", "steps=9") == 0
    folder = RunFolder(out)
    assert folder.load_state()["step"] == 9
    assert read_config(folder.config)["recipe"].steps == 9
    steps = [line["step"] for line in folder.read_log()]
    assert steps == sorted(steps)
    assert steps[-1] == 9


def test_pictures_that_moved_are_found_where_they_are_said_to_be(
    pairs: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments(pairs, out)) == 0
    moved = pairs.rename(pairs.parent / "moved")
    assert resume(out, "--set", "steps=8") == 2
    assert "no such folder" in error(capsys)
    assert resume(out, "--set", "steps=8", "--data", str(moved)) == 0
    scored = make_pairs(pairs.parent / "scored", 1)
    other = out.with_name("other")
    assert main([*arguments(moved, other), "--validation", str(scored)]) == 0
    assert resume(other, "--set", "steps=8", "--data", str(moved.rename(pairs))) == 0
    assert read_config(other / "config.yaml")["data"]["validation"] == str(scored), (
        "those to score with are still where they were"
    )


def test_other_pictures_are_refused(pairs: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments(pairs, out)) == 0
    for side in ("degraded", "clean"):
        save(pairs / side / "new.png", photo(seed=9))
    before = RunFolder(out).state.read_bytes()
    assert resume(out, "--set", "steps=8") == 2
    said = error(capsys)
    assert "the images differ from those the run started with" in said
    assert f"--start {out}/last.safetensors" in said
    assert RunFolder(out).state.read_bytes() == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--set", "lr=0.1"], "lr: 0.003, now 0.1; a resumed run may change only steps, minutes"),
        (["--set", "network.window_size=8"], "network.window_size: 4, now 8"),
        (["--start", "x.safetensors"], "--start x.safetensors: a resumed run continues with its own weights"),
        ([], "this run has finished (6 steps); to train longer, use --set steps=MORE"),
        (["denoise"], "this run uses the recipe pairs, not denoise"),
        (["--validation", "x"], "--validation x: this run scores with its own held-out images (1)"),
    ],
)
def test_a_run_that_would_go_on_otherwise_is_refused(
    finished: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["train", *words, "--resume", "--out", str(finished), "--device", "cpu"]) == 2
    assert said in error(capsys)


def test_a_state_that_does_not_fit_is_refused(
    pairs: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments(pairs, out)) == 0
    folder = RunFolder(out)
    whole = folder.load_state()
    name = next(iter(whole["model"]))
    damaged: tuple[dict[str, object], ...]
    damaged = (
        {"model": None},
        {"model": {**whole["model"], name: torch.zeros(3)}},
        {"optimizers": []},
        {"optimizers": [{}, {}]},
    )
    for part in damaged:
        folder.save_state({**whole, **part})
        assert resume(out, "--set", "steps=8") == 2
        assert "state.pt: does not fit this run (" in error(capsys)


def test_memory_that_runs_out_is_one_line(
    pairs: Path, out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments(pairs, out, f"network.embed_dim={2**20}")) == 1
    assert "out of memory; to use less, try --set accumulate=2" in error(capsys)
    assert not out.exists()

    def ill(*_args: object) -> None:
        raise RuntimeError("something else")

    monkeypatch.setattr(module, "Uformer", ill)
    with pytest.raises(RuntimeError, match="something else"):
        main(arguments(pairs, out))


def test_what_takes_less_memory_may_be_set_when_going_on(pairs: Path, out: Path) -> None:
    assert main(arguments(pairs, out)) == 0
    assert (
        resume(
            out, "--set", "steps=8", "--set", "accumulate=2", "--set", "network.gradient_checkpointing=true"
        )
        == 0
    )
    assert read_config(out / "config.yaml")["recipe"].network.gradient_checkpointing


def test_what_to_do_next_with_other_channels(
    tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`uformer restore` takes gray and RGB only."""
    rng = np.random.default_rng(0)
    for index in range(2):
        save(tmp_path / "set" / "degraded" / f"{index}.tif", rng.integers(0, 256, (20, 24, 5), np.uint8))
        save(tmp_path / "set" / "clean" / f"{index}.tif", photo(20, 24))
    assert main(arguments(tmp_path / "set", out)) == 0
    said = capsys.readouterr().out
    assert said.startswith("result: not scored, because no images were held out")
    assert said.splitlines()[1].startswith(
        f"next, in Python: uformer.weights.checkpoint.load('{out}/best.safetensors')"
    )
    assert "from 5 to 3 channels" in said


def test_a_folder_that_holds_something_is_left_alone(
    pairs: Path, finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*")}
    assert main(arguments(pairs, finished)) == 2
    assert "exists; resume the run with --resume" in error(capsys)
    assert {path: path.stat().st_mtime_ns for path in finished.rglob("*")} == before


@pytest.mark.skipif(os.name == "nt", reason="no locks")
def test_a_folder_where_another_process_trains_is_refused(
    pairs: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with RunFolder(out).alone():
        assert main(arguments(pairs, out)) == 2
        assert "another process trains in this folder" in error(capsys)
    assert main(arguments(pairs, out, "steps=2")) == 0
    with RunFolder(out).alone():
        assert resume(out, "--set", "steps=3") == 2
        assert "another process trains in this folder" in error(capsys)
    assert resume(out, "--set", "steps=3") == 0
    assert not (out / ".lock").exists()


def test_a_run_that_cannot_begin_leaves_nothing(
    pairs: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments(pairs, out, "patch=64")) == 1
    assert "no images are left" in error(capsys)
    assert not out.exists()


def test_no_run_to_go_on_with(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert resume(out) == 2
    assert "no run to resume" in error(capsys)


def test_a_config_is_a_recipe(pairs: Path, out: Path, tmp_path: Path) -> None:
    assert main(arguments(pairs, out, "seed=3")) == 0
    again = tmp_path / "again"
    words = [
        "train",
        str(out / "config.yaml"),
        "--data",
        str(pairs),
        "--out",
        str(again),
        "--device",
        "cpu",
        "--quiet",
    ]
    assert main(words) == 0
    one, two = (RunFolder(path).load_state() for path in (out, again))
    assert same_values(one["model"], two["model"])


def test_weights_to_start_from(pairs: Path, out: Path, tmp_path: Path) -> None:
    recipe = tiny()
    start = tmp_path / "start.safetensors"
    checkpoint.save(start, build(recipe.network))
    words = [*arguments(pairs, out, "lr=1e-9", "lr_min=0", "ema=0"), "--start", str(start)]
    assert main(words) == 0
    before, after = (checkpoint.read(path)[1] for path in (start, out / "last.safetensors"))
    assert all(abs(before[key].astype(float) - after[key]).max() < 1e-6 for key in before)
    assert read_config(out / "config.yaml")["start"] == str(start)
    assert resume(out, "--set", "steps=7") == 0
    assert read_config(out / "config.yaml")["start"] == str(start)


def test_decoded_pictures_do_not_outlast_the_run(
    pairs: Path, out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "available_memory", lambda: 0)
    assert main(arguments(pairs, out)) == 0
    assert not (out / "cache").exists()
    assert main([*arguments(pairs, out.with_name("other")), "--measure-loader"]) == 0
    assert not out.with_name("other").exists()
    assert "patches/s of 16 x 16 pixels, cut by the training process itself" in capsys.readouterr().out


def test_the_seed_is_the_run(pairs: Path, tmp_path: Path) -> None:
    runs = {name: ("seed=1" if name != "c" else "seed=2") for name in "abc"}
    for name, seed in runs.items():
        assert main([*arguments(pairs, tmp_path / name, seed), "--quiet"]) == 0
    a, b, c = (RunFolder(tmp_path / name).load_state()["model"] for name in runs)
    assert same_values(a, b)
    assert not same_values(a, c)
    assert all(value.dtype == torch.float32 for value in a.values())


def test_bf16_that_the_cpu_lacks_is_said_in_a_line(
    pairs: Path, out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(devices, "has_bf16", lambda: False)
    assert main(arguments(pairs, out, "precision=bf16", "steps=1")) == 0
    told = capsys.readouterr().err
    assert sum("this CPU has no bf16 instructions" in line for line in told.splitlines()) == 1
    assert "1 steps, batch 2, 1 x cpu, fp32" in told
    assert main(arguments(pairs, out.with_name("other"), "steps=1")) == 0
    assert "instructions" not in capsys.readouterr().err


def test_pictures_to_score_with_may_be_given_later(pairs: Path, out: Path, tmp_path: Path) -> None:
    other = make_pairs(tmp_path / "other", 2)
    assert main([*arguments(pairs, out, "held_out=0"), "--quiet"]) == 0
    assert resume(out, "--set", "steps=8", "--validation", str(other)) == 0
    config = read_config(out / "config.yaml")
    assert config["data"] == Folders(data=pairs, validation=other).to_values()
    assert config["pictures"] == {"learned_from": 4, "held_out": 2, "held_out_names": ["0", "1"]}
    best = RunFolder(out).load_state()["best"]
    RunFolder(out).save_state({**RunFolder(out).load_state(), "best": 59.0})
    assert resume(out, "--set", "steps=9") == 0
    assert RunFolder(out).load_state()["best"] == 59
    assert resume(out, "--set", "steps=10", "--validation", str(make_pairs(tmp_path / "third", 1))) == 0
    assert RunFolder(out).load_state()["best"] < best + 5, "a score of other pictures does not count"
    assert any("psnr" in line for line in RunFolder(out).read_log())


def test_rgb_images_alone_start_from_the_weights_that_the_recipe_names(pairs: Path, tmp_path: Path) -> None:
    weights = tmp_path / "small.safetensors"
    checkpoint.save(weights, build(TINY))
    words = ["train", "noise2void", "--data", str(pairs / "degraded"), "--device", "cpu", "--quiet"]
    settings = (
        "patch=16",
        "batch=2",
        "steps=1",
        "lr=1e-9",
        "lr_min=0",
        "validation_side=16",
        f"start={weights}",
    )
    words += as_options(settings)
    by_default, without = tmp_path / "default", tmp_path / "without"
    assert main([*words, "--out", str(by_default)]) == 0
    assert read_config(by_default / "config.yaml")["start"] == str(weights)
    started = checkpoint.load(by_default / "last.safetensors").state_dict()
    for key, value in build(TINY).state_dict().items():
        assert torch.allclose(started[key], value, atol=1e-6)
    assert main([*words, "--out", str(without), "--start", "none", *as_options(SMALL_NETWORK)]) == 0
    assert read_config(without / "config.yaml")["start"] == "none"
    assert checkpoint.read_config(without / "last.safetensors").embed_dim == 8
    assert resume(by_default, "--set", "steps=2", "--quiet") == 0
    assert resume(without, "--set", "steps=2", "--quiet") == 0
