"""Fine-tuning on noisy images alone: what a run says, because no score shows whether it helped."""

import shlex
from pathlib import Path

import pytest

from tests.networks import TINY, build
from tests.train.runs import as_options
from tests.train.test_objectives import make_noisy
from uformer.cli import main
from uformer.train.advice import advice_after, advice_before
from uformer.train.folder import RunFolder
from uformer.train.recipes import find
from uformer.weights import checkpoint

SETTINGS = as_options(["patch=16", "batch=2", "steps=1", "lr=1e-9", "lr_min=0", "validation_side=16"])


def commands(text: str) -> list[list[str]]:
    return [shlex.split(line)[1:] for line in text.splitlines() if line.startswith("  uformer restore")]


def test_both_weights_can_be_compared_with_the_lines_that_are_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    checkpoint.save(tmp_path / "small.safetensors", build(TINY))
    make_noisy(tmp_path / "my set", 4)
    words = ["train", "noise2void", "--data", "my set/one", "--out", "run", "--device", "cpu", *SETTINGS]
    assert main([*words, "--start", "small.safetensors"]) == 0
    said, told = capsys.readouterr()
    assert "fine-tuning on noisy images alone helps with noise that small.safetensors leaves in them;" in told
    assert "a lower loss does not mean better images here" in said
    assert "no score shows whether the new weights restore better than small.safetensors; compare" in said
    before, after = commands(told), commands(said)
    assert len(before) == 1
    assert after[0] == before[0]
    for words, weights, output in zip(
        after, ("small.safetensors", "run/best.safetensors"), ("start", "new"), strict=True
    ):
        assert (words[1].rpartition("/")[0], words[3]) == ("my set/one", weights)
        assert main([*words, "--backend", "torch", "--quiet"]) == 0
        assert Path(f"run/compare-{output}.png").exists()
    assert main(["train", "--resume", "--out", "run", "--device", "cpu", "--set", "steps=2"]) == 0
    said, told = capsys.readouterr()
    assert (commands(told), commands(said)) == ([], after)


def test_a_score_with_clean_images_needs_no_advice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    checkpoint.save(tmp_path / "small.safetensors", build(TINY))
    data = make_noisy(tmp_path / "set", 4)
    (data / "one").rename(data / "degraded")
    words = ["train", "noise2void", "--data", "set", "--out", "run", "--device", "cpu", *SETTINGS]
    assert main([*words, "--start", "small.safetensors"]) == 0
    said, told = capsys.readouterr()
    assert " the weights it started from (" in said
    assert not commands(told + said)


@pytest.mark.parametrize(
    ("name", "start", "lines"),
    [
        ("noise2void", None, 0),
        ("noise2void", "none", 0),
        ("noise2noise", "a", 0),
        ("noise2void", "a", 3),
        ("neighbor2neighbor", "a", 3),
    ],
)
def test_only_unscored_fine_tuning_is_concerned(
    name: str, start: str | None, lines: int, tmp_path: Path
) -> None:
    folder = RunFolder(tmp_path / "run")
    config = {"recipe": find(name).to_values(), "data": {"data": str(tmp_path)}}
    folder.create(
        {**config, "pictures": {"held_out_names": ["stack.tif, page 3"]}}
        | ({"start": start} if start else {})
    )
    assert len(advice_after(folder)) == lines
    assert len(advice_before(folder)) == min(lines, 2)
    if lines:
        assert " restore IMAGE --weights a " in advice_before(folder)[1]
        (tmp_path / "stack.tif").write_bytes(b"")
        assert (
            f"restore {tmp_path}/stack.tif --weights a -o {tmp_path}/run/compare-start.tif"
            in advice_before(folder)[1]
        )
