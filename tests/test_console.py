"""Lines stay whole in a pipe and fit a terminal."""

import pytest

from uformer.console import console_for

LINE = "[red]word[/red] :smile: " * 9


def test_a_line_into_a_pipe_stays_whole(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    console_for().print(LINE)
    console_for(stderr=True).print(LINE)
    out, err = capsys.readouterr()
    assert out == err == f"{LINE}\n"


def test_a_terminal_is_as_wide_as_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"FORCE_COLOR": "1", "TERM": "dumb", "COLUMNS": "80"}.items():
        monkeypatch.setenv(name, value)
    console_for().print(LINE)
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80
