"""What the tests of restoring share."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.restore.stand_in import StandIn
from uformer.cli import main
from uformer.restore.restorer import Restorer

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Run `uformer restore ...` in an empty folder, with the stand-in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Restorer, "from_options", lambda *_, **__: StandIn())

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(["restore", *arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return run
