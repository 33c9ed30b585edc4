"""`uformer ablate` with tiny networks: a table and curves; what is finished is not repeated."""

import json
from pathlib import Path

import pytest

from tests.data.pictures import make_pairs
from tests.train.runs import TINY, as_options
from uformer.cli import main
from uformer.train import ablate as module
from uformer.train.folder import RunFolder


def words(data: Path, out: Path, *more: str) -> list[str]:
    tiny = [setting for setting in TINY if not setting.startswith(("steps", "network.drop"))]
    return [
        "ablate",
        "feed-forward",
        "--data",
        str(data),
        "-o",
        str(out),
        "--device",
        "cpu",
        *as_options(tiny),
        *more,
    ]


def test_it_compares_resumes_and_repeats_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data, out = make_pairs(tmp_path / "set", 4), tmp_path / "out"
    train = module._train
    monkeypatch.setattr(module, "_train", lambda name, *args: None if name == "mlp" else train(name, *args))
    assert main(words(data, out, "--steps", "2")) == 130
    assert "repeat the command to continue" in capsys.readouterr().err
    first = RunFolder(out / "leff").state.stat().st_mtime_ns

    monkeypatch.setattr(module, "_train", train)
    assert main(words(data, out, "--steps", "2")) == 0
    assert RunFolder(out / "leff").state.stat().st_mtime_ns == first
    table = capsys.readouterr().out
    assert [line.split(" | ")[0] for line in table.splitlines()[2:4]] == ["| leff", "| mlp"]
    assert "The held-out images as they came: 2" in table
    assert (out / "table.md").read_text() in table
    assert len(json.loads((out / "table.json").read_text())["runs"][0]["curve"]) == 2
    assert (out / "curves.png").exists()

    assert main(words(data, out, "--steps", "3")) == 2
    assert "holds another comparison" in capsys.readouterr().err

    # Killed after the last run ended and before the table was written: the run is not repeated.
    (out / "table.json").unlink()
    state = RunFolder(out / "mlp").state.stat().st_mtime_ns
    assert main(words(data, out, "--steps", "2")) == 0
    assert RunFolder(out / "mlp").state.stat().st_mtime_ns == state


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--minutes", "0"], "--minutes 0: must be more than 0"),
        (["--steps", "0"], "--steps 0: must be at least 1"),
        (["--set", "bacth=3"], "did you mean 'batch'?"),
        (["--data", "nowhere"], "nowhere: no such folder"),
        ([], "pairs needs pairs: give --data"),
    ],
)
def test_wrong_usage_is_one_line(more: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    data = [] if not more or "--data" in more else ["--data", str(Path(__file__).parent)]
    assert main(["ablate", "skips", *data, *more]) == 2
    err = capsys.readouterr().err
    assert said in err or "no images" in err
    assert err.count("\n") == 1


def test_images_to_score_with_are_missed_before_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words(make_pairs(tmp_path / "set", 3), tmp_path / "out")) == 2
    assert "give --validation, or 4 images or more" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_all_runs_last_equally_long_and_are_scored_on_the_way() -> None:
    assert "validate_every=60" in module._length(5, 600)
    assert {"minutes=5", "validate_minutes=0.5"} <= set(module._length(5, None))
