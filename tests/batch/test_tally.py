"""The reports of a job."""

import pytest

from uformer.batch import tally as module
from uformer.batch.records import Record
from uformer.batch.tally import Tally, list_failures


def test_it_counts(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SECONDS", 0.0)
    with Tally(3, quiet=False) as report:
        report.add(Record(input="a", output="A", seconds=1.0))
        report.add(Record(input="b", output="B"))
        report.add(Record(input="c", output=None, error="is empty"))
    assert (report.restored, report.found, report.failed) == (1, 1, 1)
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(", ")[0] for line in lines] == [f"uformer: {number} of 3" for number in (1, 2, 3)]
    assert lines[-1].endswith(" per second, 1 failed")


def test_no_line_a_picture(capsys: pytest.CaptureFixture[str]) -> None:
    with Tally(1000, quiet=False) as report:
        for number in range(1000):
            report.add(Record(input=str(number), output="x", seconds=1.0))
    assert capsys.readouterr().err == ""


def test_quiet(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SECONDS", 0.0)
    with Tally(1, quiet=True) as report:
        report.add(Record(input="a", output="A", seconds=1.0))
        report.say("hello")
    assert capsys.readouterr().err == ""


def test_of_many_failures_the_first_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    list_failures(
        [("a", "a: is empty"), *((f"p{number}", "bad\nline") for number in range(30))], "OUT/failures.jsonl"
    )
    lines = capsys.readouterr().err.splitlines()
    assert lines[:2] == ["uformer: error: a: is empty", "uformer: error: p0: bad line"]
    assert lines[-1] == "uformer: error: 11 more failures; see OUT/failures.jsonl"
    assert len(lines) == 21
