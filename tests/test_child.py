"""Another Python process finds the same modules."""

import sys

import pytest

from uformer import child


def test_it_runs_this_python_with_this_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", ["", "/a", "/b"])
    assert child.environment()["PYTHONPATH"].split(":") == ["/a", "/b"]
    assert child.command("some.module", "x") == [sys.executable, "-P", "-m", "some.module", "x"]
