"""The manifest: parts while a job runs, one file at its end, and no job that resumes with other options."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from uformer.batch import manifest as module
from uformer.batch import places
from uformer.batch.manifest import SCHEMA, Manifest
from uformer.batch.places import exists, files_below, write_bytes
from uformer.batch.records import Record
from uformer.errors import OptionError

IDENTITY = {"weights": "w", "sha256": "00", "strength": 1.0, "redo": False}
GOOD = Record(input="b", output="B", seconds=0.5, size=3, width=1, height=2, sha256="ff")
BAD = Record(input="a", output=None, error="is empty")


@pytest.fixture(params=["disk", "memory"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    yield f"{tmp_path}/m.parquet" if request.param == "disk" else "memory://home/m.parquet"
    fsspec.filesystem("memory").store.clear()


def begun(place: str, *records: Record, overwrite: bool = False) -> Manifest:
    manifest = Manifest(place)
    manifest.begin(IDENTITY, overwrite=overwrite)
    manifest.start()
    for record in records:
        manifest.add(record)
    return manifest


def rows(place: str) -> pa.Table:
    with fsspec.open(place, "rb") as file:
        return pq.read_table(file)


def test_a_finished_job_is_one_sorted_file(place: str) -> None:
    assert begun(place, GOOD, BAD).finish() == [("a", "is empty")]
    assert rows(place).column_names == SCHEMA.names
    assert rows(place)["input"].to_pylist() == ["a", "b"]
    assert json.loads(rows(place).schema.metadata[b"uformer"]) == IDENTITY
    assert not files_below(f"{place}.parts")


def test_a_killed_job_leaves_its_parts(place: str) -> None:
    begun(place, BAD).flush()
    begun(place, GOOD).flush()
    manifest = Manifest(place)
    assert not manifest.begin(IDENTITY, overwrite=False)
    assert manifest.done() == {"b": "B"}
    assert manifest.finish() == [("a", "is empty")]
    assert len(rows(place)) == 2


def test_the_later_row_of_an_input_holds(place: str) -> None:
    begun(place, BAD, GOOD).finish()
    again = begun(place)
    again.add(Record(input="a", output="A", seconds=1.0))
    assert again.finish() == []
    assert rows(place)["output"].to_pylist() == ["A", "B"]


@pytest.mark.parametrize("finished", [False, True])
def test_a_job_does_not_go_on_with_something_else(place: str, finished: bool) -> None:
    before = begun(place, GOOD)
    before.finish() if finished else before.flush()
    with pytest.raises(OptionError, match="was started with strength 1.0, now 0.5; use the same again"):
        Manifest(place).begin({**IDENTITY, "strength": 0.5}, overwrite=False)


def test_overwriting_forgets_what_was_done(place: str) -> None:
    begun(place, GOOD).finish()
    other = {**IDENTITY, "strength": 0.5, "redo": True}
    assert Manifest(place).begin(other, overwrite=True)
    assert not exists(place)
    after = Manifest(place)
    assert after.begin({**other, "redo": False}, overwrite=False), (
        "the rest of an overwriting job is to be made again too"
    )
    assert after.done() == {}


def test_an_overwriting_job_killed_while_it_clears_is_cleared(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun(place, GOOD).finish()

    def killed(_place: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(places, "remove", killed)
        with pytest.raises(KeyboardInterrupt):
            Manifest(place).begin({**IDENTITY, "strength": 0.5, "redo": True}, overwrite=True)
    after = Manifest(place)
    assert after.begin({**IDENTITY, "strength": 0.5}, overwrite=False)
    assert after.done() == {}


def test_a_part_is_written_when_it_is_full_or_old(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ROWS", 2)
    begun(place, GOOD, BAD, Record(input="c", output="C"))
    assert len([name for name in files_below(f"{place}.parts") if name.endswith(".parquet")]) == 1
    monkeypatch.setattr(module, "_SECONDS", -1.0)
    begun(place, Record(input="d", output="D"))
    assert len([name for name in files_below(f"{place}.parts") if name.endswith(".parquet")]) == 2


def test_another_file_is_refused_and_kept(place: str) -> None:
    write_bytes(place, b"my diary")
    with pytest.raises(OptionError, match="is not a manifest of this command"):
        Manifest(place).begin(IDENTITY, overwrite=False)
    assert exists(place)


def test_nothing_to_say_writes_nothing(place: str) -> None:
    manifest = Manifest(place)
    manifest.begin(IDENTITY, overwrite=False)
    assert manifest.finish() == []
    assert not exists(place)


ALONE = """
import sys, time, psutil
from uformer.batch.manifest import Manifest
from uformer.batch.sources import list_inputs
before = psutil.Process().num_threads()
list_inputs(sys.argv[1], without="/")
Manifest(sys.argv[1]).done()
until = time.monotonic() + 60
while psutil.Process().num_threads() > before and time.monotonic() < until:
    time.sleep(0.01)  # a joined thread may take a moment to end; those of Arrow's pool stay
print(psutil.Process().num_threads() - before)
"""


def test_reading_leaves_no_thread_that_could_abort_the_process_at_its_end(tmp_path: Path) -> None:
    begun(f"{tmp_path}/m.parquet", GOOD).finish()
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", ALONE, f"{tmp_path}/m.parquet"]
    assert (
        subprocess.run(command, capture_output=True, text=True, env=environment, check=True).stdout == "0\n"
    )
