import io
import os
import sys

import pytest

from uformer.bars import Bars


@pytest.mark.parametrize("name", ["[/bold].png", "[red]", "x" * 300, "\x1b[2J.png", os.fsdecode(b"\xff.png")])
def test_any_name_in_a_bar(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    terminal = io.TextIOWrapper(io.BytesIO(), "utf-8", errors="backslashreplace")
    monkeypatch.setattr(terminal, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stderr", terminal)
    with Bars(2, shown=True) as bars:
        bars.started(name)
        bars.tile(1, 2)
        bars.file_done()
        bars.say(name)


def test_what_is_said_is_one_line_whatever_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with Bars(2, shown=False) as bars:
        bars.started("a")
        bars.tile(1, 2)
        bars.file_done()
        bars.say("a\n\x1b[31mb")
    assert not bars.shown
    assert capsys.readouterr() == ("", "a [31mb\n")


def test_remarks_appear_now_and_then_where_no_bars_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with Bars(2, shown=False, title="sidd", tiles=False) as bars:
        bars.remark("soon", every=1000)
        bars.remark("now", every=0)
    assert capsys.readouterr().err == "now\n"
