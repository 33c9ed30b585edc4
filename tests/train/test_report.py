from pathlib import Path
from typing import Any

import pytest

from uformer.train.folder import RunFolder
from uformer.train.report import Reporter

LINE: dict[str, Any] = {"step": 5, "loss": 0.0321, "patches_per_s": 123.4, "waited": 0.25}


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path)


def test_plain_lines_where_there_is_no_terminal(
    folder: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    with Reporter(folder, total=20) as reporter:
        reporter.say("hello")
        reporter.advance(5, 0.25, 1)
        reporter.figures(LINE, done=0.25, seconds_left=61)
        reporter.figures({"step": 10, "psnr": 31.234}, done=0.5, seconds_left=1)
        reporter.figures({**LINE, "step": 15, "waited": 0.001}, done=0.75, seconds_left=1)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "hello",
        "step 5/20  loss 0.0321  ETA 0:01:01  123.4 patches/s  25% waiting for the loader",
        "step 10/20  PSNR 31.23 dB",
        "step 15/20  loss 0.0321  PSNR 31.23  ETA 0:00:01  123.4 patches/s",
    ]
    assert [line["step"] for line in folder.read_log()] == [5, 10, 15]


def test_quiet_logs_and_prints_nothing(folder: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    with Reporter(folder, total=20, quiet=True) as reporter:
        reporter.say("hello")
        reporter.figures(LINE, done=0.25, seconds_left=61)
    assert capsys.readouterr() == ("", "")
    assert folder.read_log() == [LINE]


def test_only_the_first_process_reports(folder: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    with Reporter(folder, total=20, silent=True) as reporter:
        reporter.figures(LINE, done=0.25, seconds_left=61)
    assert capsys.readouterr() == ("", "")
    assert folder.read_log() == []


def test_the_loss_on_held_out_images_is_shown_where_there_is_no_psnr(
    folder: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    with Reporter(folder, total=20) as reporter:
        reporter.figures({"step": 5, "held_out_loss": 0.01232}, done=0.25)
        reporter.figures({**LINE, "step": 10, "waited": 0}, done=0.5, seconds_left=1)
    assert capsys.readouterr().err.splitlines() == [
        "step 5/20  held-out loss 0.01232",
        "step 10/20  loss 0.0321  held-out loss 0.01232  ETA 0:00:01  123.4 patches/s",
    ]


@pytest.mark.parametrize("columns", [72, 160])
def test_a_bar_on_a_terminal(
    folder: RunFolder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", str(columns))
    with Reporter(folder, total=300_000) as reporter:
        assert not reporter.bar.disable
        reporter.figures({"step": 10, "psnr": 31.234}, done=0.1, seconds_left=1)
        reporter.figures({**LINE, "step": 123_456}, done=0.25, seconds_left=61)
    err = capsys.readouterr().err
    assert "step 123456/300000" in err
    assert "loss 0.0321" in err
    assert "ETA 0:01:01" in err
