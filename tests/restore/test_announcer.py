"""Reports of a run: lines without a terminal, bars on a terminal, and JSON records."""

import io
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from uformer.errors import PictureError
from uformer.restore.announcer import Announcer
from uformer.restore.pipeline import Outcome
from uformer.restore.worklist import FileJob, WorkList

A, B = FileJob(Path("in/a.png"), Path("out/a.png")), FileJob(Path("in/[b].png"), Path("out/[b].png"))
KEYS = [
    "input",
    "output",
    "status",
    "seconds",
    "width",
    "height",
    "bytes",
    "tile",
    "backend",
    "precision",
    "range",
    "pages",
    "report",
    "tasks",
    "why",
    "warnings",
    "error",
]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def tell(work: WorkList, *, quiet: bool = False, records: bool = False, many: bool = True) -> int:
    """A run in which the first image is restored and all others fail."""
    announcer = Announcer(work, quiet=quiet, records=records, overwrite=False, many=many)
    with announcer:
        for number, job in enumerate(work.jobs):
            announcer.started(job)
            announcer.tile(1, 2)
            announcer.warned(job, "a word")
            figures: dict[str, Any] = {
                "width": 3,
                "height": 2,
                "bytes": 99,
                "tile": (8, 8),
                "backend": "openvino",
                "precision": "bf16",
                "range": (-5, 0.5),
            }
            announcer.finished(
                Outcome(
                    job=job, seconds=1.23456, error=f"{job.source}: is empty" if number else None, **figures
                )
            )
    return announcer.end()


def some_work() -> WorkList:
    return WorkList(
        jobs=[A, B],
        done=[FileJob(Path("in/c.png"), Path("out/c.png"))],
        failures=[(Path("in/d"), "Permission denied")],
        home=Path("out"),
    )


def test_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert tell(some_work()) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "uformer: in/a.png: a word",
        "[1/2] in/a.png (1.2 s, range -5 to 0.5)",
        "uformer: in/[b].png: a word",
        "[2/2] in/[b].png failed",
        (
            "uformer: 1 of 4 images restored into out,"
            " 1 skipped as finished (--overwrite restores them again), 2 failed"
        ),
        "uformer: error: in/d: Permission denied",
        "uformer: error: in/[b].png: is empty",
    ]


def test_quiet_says_errors_only(capsys: pytest.CaptureFixture[str]) -> None:
    assert tell(some_work(), quiet=True) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "uformer: error: in/d: Permission denied",
        "uformer: error: in/[b].png: is empty",
    ]


def test_records(capsys: pytest.CaptureFixture[str]) -> None:
    assert tell(some_work(), quiet=True, records=True) == 1
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [list(record) for record in records] == [KEYS] * 4
    assert [(record["input"], record["status"]) for record in records] == [
        ("in/c.png", "skipped"), ("in/d", "failed"), ("in/a.png", "restored"), ("in/[b].png", "failed"),
    ]  # fmt: skip
    assert records[2] == {
        "input": "in/a.png", "output": "out/a.png", "status": "restored", "seconds": 1.235,
        "width": 3, "height": 2, "bytes": 99, "tile": [8, 8],
        "backend": "openvino", "precision": "bf16", "range": [-5, 0.5], "pages": None, "report": None,
        "tasks": None, "why": None, "warnings": [], "error": None,
    }  # fmt: skip
    assert (records[3]["output"], records[3]["error"]) == (None, "in/[b].png: is empty")


def test_a_record_keeps_the_bytes_of_a_name_that_is_no_unicode(capsys: pytest.CaptureFixture[str]) -> None:
    name = os.fsdecode(b"in/caf\xe9\x1b[31m\n.png")
    assert tell(WorkList(jobs=[FileJob(Path(name), Path(name))]), records=True) == 0
    out, err = capsys.readouterr()
    assert out.count("\n") == 1
    assert os.fsencode(json.loads(out)["input"]) == b"in/caf\xe9\x1b[31m\n.png"
    assert "\x1b" not in err
    assert err.count("\n") == 3


def test_one_picture_says_its_output_only(capsys: pytest.CaptureFixture[str]) -> None:
    announcer = Announcer(WorkList(jobs=[A]), quiet=False, records=False, overwrite=False, many=False)
    with announcer:
        announcer.finished(Outcome(job=A))
    assert announcer.end() == 0
    assert capsys.readouterr() == ("out/a.png\n", "")
    with announcer:
        announcer.finished(Outcome(job=A, error="no file"))
    with pytest.raises(PictureError, match=r"^in/a.png: no file$"):
        announcer.end()


def test_interrupted_says_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    for overwrite in (False, True):
        announcer = Announcer(some_work(), quiet=False, records=False, overwrite=overwrite, many=True)
        with announcer:
            announcer.finished(Outcome(job=A))
        capsys.readouterr()
        announcer.interrupted()
        said = capsys.readouterr().err.splitlines()
        how = "run the same command without --overwrite" if overwrite else "run the same command"
        assert said[0].startswith("uformer: interrupted; 2 of 4 images finished")
        assert said[0].endswith(f"; {how} to resume")
        assert len(said) == 2


def test_bars_on_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    assert tell(some_work()) == 1
    shown = terminal.getvalue()
    assert "[b].png" in shown
    assert "2/2 files" in shown
    assert "1/2 tiles" in shown
    assert "uformer: in/[b].png: a word" in shown
    assert "uformer: error: in/[b].png: is empty" in shown
    assert "[1/2] in/a.png" not in shown
    assert capsys.readouterr().out == ""


def test_one_picture_has_one_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    monkeypatch.setenv("TERM", "xterm")
    tell(WorkList(jobs=[A]), many=False)
    assert "files" not in terminal.getvalue()
    assert "tiles" in terminal.getvalue()


def test_records_and_bars_do_not_share_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setattr(sys, "stdout", terminal := Terminal())
    tell(some_work(), records=True)
    assert all(json.loads(line) for line in terminal.getvalue().splitlines())
