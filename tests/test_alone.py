"""One job at a time, however the previous one ended."""

import contextlib
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from uformer.alone import alone
from uformer.errors import OptionError

pytestmark = pytest.mark.skipif(os.name == "nt", reason="no locks")

KILLED = """
import os, pathlib, sys
from uformer.alone import alone
with alone(pathlib.Path(sys.argv[1]), "no"):
    os.kill(os.getpid(), 9)
"""


def test_the_second_is_refused_while_the_first_is_in(tmp_path: Path) -> None:
    path = tmp_path / "parts/lock"
    with alone(path, "taken"), pytest.raises(OptionError, match="taken"), alone(path, "taken"):
        raise AssertionError
    with alone(path, "taken"):
        assert path.exists()
    assert not path.parent.exists()


def test_what_else_is_in_the_folder_stays(tmp_path: Path) -> None:
    (tmp_path / "job.json").touch()
    with alone(tmp_path / "lock", "taken"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["job.json"]


def test_one_that_was_killed_is_in_nobody_s_way(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    assert (
        subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False, env=environment).returncode
        == -9
    )
    assert path.exists()
    with alone(path, "taken"):
        pass


def test_many_that_come_and_go_are_alone_and_meet_no_other_error(tmp_path: Path) -> None:
    inside: list[int] = []
    wrong: list[object] = []

    def work() -> None:
        for _ in range(60):
            try:
                with contextlib.suppress(OptionError), alone(tmp_path / "parts/lock", "taken"):
                    inside.append(1)
                    if len(inside) > 1:
                        wrong.append("together")
                    inside.pop()
            except OSError as error:
                wrong.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_file_in_the_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "parts").touch()
    with pytest.raises(OSError, match="parts"), alone(tmp_path / "parts" / "lock", "taken"):
        raise AssertionError
