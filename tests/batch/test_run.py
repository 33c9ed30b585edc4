"""A job from its inputs to its manifest, without a network."""

import contextlib
import dataclasses
import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.batch.pictures import picture
from uformer.batch import places
from uformer.batch.manifest import Manifest
from uformer.batch.records import Item, Record
from uformer.batch.run import BatchJob, run
from uformer.batch.work import Task
from uformer.errors import OptionError, PictureError
from uformer.image import extras
from uformer.restore.options import RestoreOptions


class Engine:
    """Copies images. It fails on those called bad, and is interrupted or dies at one."""

    def __init__(self, *, stop_at: str = "", by: type[BaseException] = KeyboardInterrupt) -> None:
        self.stop_at, self.by, self.seen = stop_at, by, list[str]()

    def __call__(self, items: Sequence[Item]) -> Iterator[Record]:
        for item in items:
            name = os.path.basename(item.input)  # noqa: PTH119
            if name == self.stop_at:
                raise self.by
            self.seen.append(name)
            if "bad" in name:
                yield Record(input=item.input, output=None, error=f"{item.input}: is bad")
                continue
            if not item.there:
                places.write_bytes(item.output, places.read_bytes(item.input))
            yield Record(input=item.input, output=item.output, seconds=None if item.there else 1.0)


@pytest.fixture(params=["disk", "memory"])
def job(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BatchJob]:
    (tmp_path / "w.safetensors").write_bytes(b"weights")
    root = str(tmp_path) if request.param == "disk" else "memory://home"
    for name in ("a.png", "b.png", "below/c.png"):
        places.write_bytes(places.join(root, f"in/{name}"), picture())
    yield BatchJob(
        source=f"{root}/in",
        out=f"{root}/out",
        task=Task(options=RestoreOptions(weights=str(tmp_path / "w.safetensors"))),
    )
    fsspec.filesystem("memory").store.clear()


def change(job: BatchJob, **values: object) -> BatchJob:
    return BatchJob(**{**vars(job), **values})


def optioned(job: BatchJob, **options: Any) -> Task:
    """The task of a job with other options."""
    return dataclasses.replace(job.task, options=dataclasses.replace(job.task.options, **options))


def rows(job: BatchJob) -> list[dict]:
    with fsspec.open(f"{job.out}/manifest.parquet", "rb") as file:
        return pq.read_table(file).to_pylist()


def test_a_job(job: BatchJob, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(job, Engine()) == 0
    assert places.files_below(job.out) == {"a.png", "b.png", "below/c.png", "manifest.parquet"}
    assert len(rows(job)) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("uformer: 3 of 3 images restored in ")


def test_again_does_nothing(job: BatchJob) -> None:
    run(job, Engine())
    before = places.read_bytes(f"{job.out}/manifest.parquet")
    assert run(job, again := Engine()) == 0
    assert again.seen == []
    assert places.read_bytes(f"{job.out}/manifest.parquet") == before


def test_what_fails_is_in_a_file_and_tried_again(job: BatchJob, capsys: pytest.CaptureFixture[str]) -> None:
    places.write_bytes(f"{job.source}/bad.png", b"x")
    assert run(job, Engine()) == 1
    (line,) = places.read_bytes(f"{job.out}/failures.jsonl").decode().splitlines()
    assert json.loads(line)["error"].endswith("bad.png: is bad")
    assert "bad.png: is bad" in capsys.readouterr().err
    assert run(job, again := Engine()) == 1
    assert again.seen == ["bad.png"]
    places.remove(f"{job.source}/bad.png")
    places.write_bytes(f"{job.source}/good.png", b"x")
    capsys.readouterr()
    assert run(job, Engine()) == 0, (
        "the manifest still has the row of an image that no longer exists and is not part of this run"
    )
    assert [row["error"] is None for row in rows(job)] == [True, True, False, True, True]
    assert "bad.png" not in capsys.readouterr().err


def test_ctrl_c_leaves_a_job_that_goes_on(job: BatchJob, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(job, Engine(stop_at="b.png")) == 130
    assert (
        capsys.readouterr().err == "uformer: interrupted; 1 of 3 images finished, all outputs complete;"
        " run the same command to resume\n"
    )
    assert run(job, again := Engine()) == 0
    assert again.seen == ["b.png", "c.png"]
    assert len(rows(job)) == 3
    assert not any("parts" in name for name in places.files_below(job.out))


def test_ctrl_c_does_not_part_a_record_from_its_count(
    job: BatchJob, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    add = Manifest.add

    def add_and_interrupt(manifest: Manifest, record: Record) -> None:
        add(manifest, record)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.05)

    monkeypatch.setattr(Manifest, "add", add_and_interrupt)
    assert run(job, Engine()) == 130
    assert "; 1 of 3 images finished" in capsys.readouterr().err


def test_a_kill_loses_rows_and_no_picture(job: BatchJob) -> None:
    engine = Engine()
    items: list[Record] = []

    def killed(found: Sequence[Item]) -> Iterator[Record]:
        items.extend(engine(found[:2]))
        raise MemoryError
        yield

    with pytest.raises(MemoryError):
        run(job, killed)
    with pytest.raises(OptionError, match="now 0.5"):
        run(change(job, task=optioned(job, strength=0.5)), Engine())
    assert run(job, Engine()) == 0
    assert [row["seconds"] for row in rows(job)] == [None, None, 1.0], "found there, not made again"


def test_a_job_that_never_began_is_in_nobody_s_way(job: BatchJob) -> None:
    def refused(_items: Sequence[Item]) -> Iterator[Record]:
        raise OptionError("precision: not here")
        yield

    with pytest.raises(OptionError, match="precision: not here"):
        run(change(job, task=optioned(job, precision="fp16")), refused)
    assert places.files_below(job.out) == set()
    assert run(job, Engine()) == 0


def test_other_options_are_refused_and_overwriting_is_not(job: BatchJob) -> None:
    run(job, Engine())
    other = change(job, task=optioned(job, tile=64))
    with pytest.raises(OptionError, match="manifest.parquet: this job was started with tile None, now 64; "):
        run(other, Engine())
    assert run(change(other, overwrite=True), Engine(stop_at="b.png")) == 130
    assert run(other, again := Engine()) == 0
    assert again.seen == ["b.png", "c.png"]
    assert [row["seconds"] for row in rows(job)] == [1.0, 1.0, 1.0], "outputs of before are none of this job"


def test_another_mask_is_refused(job: BatchJob) -> None:
    half = np.full((1, 2), 0.5, np.float32)
    run(change(job, task=dataclasses.replace(job.task, mask=half)), Engine())
    with pytest.raises(OptionError, match="mask 2x1 .*, now None"):
        run(job, Engine())


def test_times_are_kept_on_a_disk_only(job: BatchJob) -> None:
    kept = change(job, task=dataclasses.replace(job.task, times="keep"))
    if places.is_local(job.out):
        assert run(kept, Engine()) == 0
        return
    with pytest.raises(OptionError, match="--times keep: memory://home/out is not on a disk"):
        run(kept, Engine())
    assert not places.files_below(job.out)


def test_outputs_of_uformer_restore_count(job: BatchJob) -> None:
    places.write_bytes(f"{job.out}/a.png", b"from before")
    assert run(job, Engine()) == 0
    assert places.read_bytes(f"{job.out}/a.png") == b"from before"
    assert rows(job)[0]["seconds"] is None


def test_the_manifest_may_be_elsewhere(job: BatchJob, tmp_path: Path) -> None:
    manifest, failures = str(tmp_path / "x/m.parquet"), str(tmp_path / "y/f.jsonl")
    places.write_bytes(f"{job.source}/bad.png", b"x")
    assert run(change(job, manifest=manifest, failures=failures), Engine()) == 1
    assert Path(manifest).exists()
    assert Path(failures).exists()
    assert places.files_below(job.out) == {"a.png", "b.png", "below/c.png"}


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("name", ["manifest", "failures"])
def test_no_file_of_others_is_replaced_or_removed(job: BatchJob, name: str, overwrite: bool) -> None:
    folder = job.out.removesuffix("/out")
    mine = {"diary.txt": b"today\n", "photos/a.png": picture()}
    for below, data in mine.items():
        places.write_bytes(f"{folder}/{below}", data)
    with pytest.raises(OptionError, match="diary.txt: exists but is not a "):
        run(change(job, **{name: f"{folder}/diary.txt"}, overwrite=overwrite), Engine())
    with (
        contextlib.suppress(PictureError)
        if folder.startswith("memory")
        else pytest.raises(PictureError, match="photos: Is a directory")
    ):
        run(change(job, **{name: f"{folder}/photos"}, overwrite=overwrite), Engine())
    for below, data in mine.items():
        assert places.read_bytes(f"{folder}/{below}") == data


def test_places_that_are_one(job: BatchJob) -> None:
    place = job.out.removesuffix("/out") + "/x"
    with pytest.raises(OptionError, match="cannot be both the manifest and the list of failures"):
        run(change(job, manifest=place, failures=place), Engine())
    run(job, Engine())
    with pytest.raises(OptionError, match="is a file that this job writes"):
        run(change(job, source=f"{job.out}/manifest.parquet"), Engine())


@pytest.mark.parametrize("name", ["source", "out", "manifest", "failures"])
def test_an_empty_name_is_not_the_working_folder(job: BatchJob, name: str) -> None:
    with pytest.raises(OptionError, match="is empty"):
        run(change(job, **{name: ""}), Engine())


@pytest.mark.skipif(os.name == "nt", reason="no locks")
def test_two_jobs_at_once(tmp_path: Path, job: BatchJob) -> None:
    second = Engine()

    def first(items: Sequence[Item]) -> Iterator[Record]:
        with (
            contextlib.nullcontext()
            if job.out.startswith("memory")
            else pytest.raises(OptionError, match="another job is using this manifest")
        ):
            run(change(job, overwrite=True), second)
        yield from Engine()(items)

    assert run(job, first) == 0
    assert len(rows(job)) == 3
    assert places.files_below(job.out) == {"a.png", "b.png", "below/c.png", "manifest.parquet"}


@pytest.mark.skipif(os.name != "posix" or sys.platform == "darwin", reason="names are text")
def test_a_name_that_is_no_text(tmp_path: Path, job: BatchJob) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    (folder / os.fsdecode(b"\xff.png")).write_bytes(picture())
    (folder / os.fsdecode(b"bad\xff.png")).write_bytes(picture())
    odd = change(job, source=str(folder), out=str(tmp_path / "odd-out"))
    assert run(odd, Engine()) == 1
    assert [row["input"] for row in rows(odd)] == [f"{folder}/\\udcff.png", f"{folder}/bad\\udcff.png"]
    assert os.listdir(os.fsencode(odd.out)).count(b"\xff.png") == 1  # noqa: PTH208
    assert run(odd, again := Engine()) == 1
    assert again.seen == [os.fsdecode(b"bad\xff.png")]


@pytest.mark.parametrize(
    ("out", "said"),
    [
        ("a.png", "is a file or has the name of one"),
        ("in", "the outputs would replace the inputs"),
        ("text", "is a file"),
    ],
)
def test_an_out_that_cannot_be(tmp_path: Path, out: str, said: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "text").touch()
    with pytest.raises(OptionError, match=said):
        run(BatchJob(source=str(tmp_path / "in"), out=str(tmp_path / out)), Engine())


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_an_out_that_cannot_be_written(job: BatchJob, tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(OptionError, match="cannot be written: Permission denied"):
        run(change(job, out=str(tmp_path / "locked/out")), Engine())


def test_no_folder_at_all(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match="no such file or folder"):
        run(BatchJob(source=str(tmp_path / "none"), out=str(tmp_path / "out")), Engine())
    with pytest.raises(PictureError):
        run(BatchJob(source="memory://none", out=str(tmp_path / "out")), Engine())


def test_what_needs_an_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "w.safetensors").write_bytes(b"weights")
    places.write_bytes(str(tmp_path / "in/a.png"), picture())
    (tmp_path / "in/b.heic").touch()
    monkeypatch.setattr(extras, "_is_installed", lambda _: False)
    options = RestoreOptions(weights=str(tmp_path / "w.safetensors"))
    job = BatchJob(source=str(tmp_path / "in"), out=str(tmp_path / "out"), task=Task(options=options))
    assert run(job, Engine()) == 0
    assert 'left out: 1 .heic (pip install "uformer[heic]")' in capsys.readouterr().err
