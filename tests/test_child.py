"""Another Python process finds the same modules, and ends when this one asks for it."""

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from uformer import child
from uformer.errors import UformerError


def test_it_runs_this_python_with_this_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", ["", "/a", "/b"])
    assert child.environment()["PYTHONPATH"].split(":") == ["/a", "/b"]
    assert child.command("some.module", "x") == [sys.executable, "-P", "-m", "some.module", "x"]


def run(folder: Path, program: str, seconds: float | None = None) -> int:
    with open(folder / "printed", "wb") as printed:
        return child.run([sys.executable, "-c", program], printed, seconds=seconds)


def test_its_exit_code_and_what_it_prints(tmp_path: Path) -> None:
    assert run(tmp_path, "import sys; print('out', flush=True); sys.exit('error')") == 1
    assert (tmp_path / "printed").read_bytes() == b"out\nerror\n"
    assert run(tmp_path, "import os; os.kill(os.getpid(), 9)") == -signal.SIGKILL
    with pytest.raises(subprocess.TimeoutExpired):
        run(tmp_path, "import time; time.sleep(60)", 0.1)


def test_one_that_is_asked_to_stop_is_interrupted(tmp_path: Path) -> None:
    errors: list[Exception] = []

    def work() -> None:
        try:
            run(tmp_path, "import time; time.sleep(60)")
        except UformerError as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    while not child._running:
        time.sleep(0.01)
    child.end_all()
    thread.join(20)
    assert [str(error) for error in errors] == ["interrupted"]
    assert not child._running
    with pytest.raises(UformerError, match="^interrupted$"):
        run(tmp_path, "import os; os.kill(os.getpid(), 2); import time; time.sleep(60)")
