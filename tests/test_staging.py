"""Files are created in hidden folders; those of dead processes are removed, those of live ones stay."""

import errno
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from uformer import staging as module
from uformer.staging import PREFIX, staging, sweep

pytestmark = pytest.mark.skipif(os.name == "nt", reason="no locks")

ROOT = Path(__file__).parents[1]
AT_WORK = """
import pathlib, sys, time
from uformer.staging import staging
with staging(pathlib.Path(sys.argv[1])) as folder:
    (folder / "half").write_bytes(bytes(100))
    print(folder, flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def _first_look() -> Iterator[None]:
    """Every test sees its folder as a new process does."""
    sweep.cache_clear()
    yield
    sweep.cache_clear()


def at_work(parent: Path) -> tuple[subprocess.Popen[str], Path]:
    """A process that creates a file in a staging folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", AT_WORK, str(parent)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()


def left(parent: Path, place: str, host: str) -> Path:
    """A staging folder without a process."""
    folder = parent / f"{PREFIX}{place}-{host}-{0:016x}"
    folder.mkdir()
    (folder / "half").touch()
    return folder


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_it_goes_at_the_end_with_all_that_is_in_it(tmp_path: Path) -> None:
    with staging(tmp_path) as folder:
        (folder / "a" / "b").mkdir(parents=True)
        assert names(tmp_path) == [folder.name]
        assert folder.stat().st_mode & 0o777 == 0o700
    assert names(tmp_path) == []


def test_a_dead_process_s_goes_and_a_live_one_s_stays(tmp_path: Path) -> None:
    dead, its_folder = at_work(tmp_path)
    living, other_folder = at_work(tmp_path)
    try:
        end(dead)
        assert its_folder.exists()
        with staging(tmp_path) as mine:
            assert {*names(tmp_path)} == {mine.name, other_folder.name}
        assert (other_folder / "half").exists()
    finally:
        end(dead)
        end(living)
    sweep.cache_clear()
    sweep(tmp_path)
    assert names(tmp_path) == []


def test_this_process_s_other_threads_keep_theirs(tmp_path: Path) -> None:
    with staging(tmp_path) as mine:
        sweep.cache_clear()
        thread = threading.Thread(target=sweep, args=(tmp_path,))
        thread.start()
        thread.join()
        assert mine.exists()


def test_other_machines_and_other_mounts_keep_theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = module._short_hash("this-host")
    monkeypatch.setattr("platform.node", lambda: "this-host")
    monkeypatch.setattr(module, "_started", lambda: time.time() - 1000)
    other_machine = left(tmp_path, "11111111", "22222222")
    os.utime(other_machine, (0, 0))  # even a very old one
    other_mount = left(
        tmp_path, "33333333", host
    )  # created since this machine started, maybe on another mount of a share
    sweep(tmp_path)
    assert {*names(tmp_path)} == {other_machine.name, other_mount.name}


def test_what_this_machine_made_before_it_started_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.node", lambda: "this-host")
    folder = left(tmp_path, "11111111", module._short_hash("this-host"))
    os.utime(folder, (psutil.boot_time() - 10,) * 2)
    sweep(tmp_path)
    assert names(tmp_path) == []


def test_without_locks_it_works_and_nothing_is_taken_for_abandoned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_descriptor: int, _operation: int) -> None:
        raise OSError(errno.ENOTSUP, "no locks here")

    monkeypatch.setattr("fcntl.flock", refuse)
    with staging(tmp_path) as folder:
        assert folder.name.startswith(f"{PREFIX}{module._NO_LOCK}-")
        monkeypatch.undo()  # to a process that can lock, it looks unlocked
        sweep.cache_clear()
        sweep(tmp_path)
        assert folder.exists()
    assert names(tmp_path) == []


def test_other_names_and_links_stay(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "photo").touch()
    (tmp_path / ".uformer-old.png").touch()
    (tmp_path / ".uformer-notes").mkdir()
    place, host = module._place(tmp_path), module._short_hash("any")
    (tmp_path / f"{PREFIX}{place}-{host}-{1:016x}").symlink_to(tmp_path / "elsewhere")
    sweep(tmp_path)
    assert len(names(tmp_path)) == 4
    assert (tmp_path / "elsewhere" / "photo").exists()


def test_processes_that_begin_at_once_do_not_take_each_other_s(tmp_path: Path) -> None:
    failures: list[Exception] = []

    def work() -> None:
        try:
            for _ in range(30):
                sweep.cache_clear()
                with staging(tmp_path) as folder:
                    (folder / "half").touch()
                    (folder / "half").unlink()
        except OSError as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert names(tmp_path) == []


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), staging(tmp_path / "missing"):
        pytest.fail("the block runs")
