"""Reading, restoring and writing at once: in order, within the budget, despite bad images."""

import itertools
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import PIL.Image
import pytest
import tifffile

from tests.image.suspects import save_suspects
from tests.restore.stand_in import StandIn, is_restored, save_picture, tree
from uformer import child
from uformer.errors import CheckpointError, OptionError, PictureError, UformerError
from uformer.image.image import Image
from uformer.image.read import read as image_read
from uformer.image.value_range import ValueRange
from uformer.image.write import write as image_write
from uformer.restore import pipeline
from uformer.restore.options import RestoreOptions
from uformer.restore.pipeline import Outcome, describe, run
from uformer.restore.restorer import Restorer
from uformer.restore.worklist import FileJob
from uformer.signals import stops_like_ctrl_c


class Seen:
    """A watcher that records its calls."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.tiles: list[tuple[int, int]] = []
        self.messages: list[tuple[str, str]] = []
        self.outcomes: list[Outcome] = []

    def started(self, job: FileJob) -> None:
        self.names.append(job.source.name)

    def page(self, job: FileJob, number: int, count: int) -> None:
        pass

    def tile(self, done: int, total: int) -> None:
        self.tiles.append((done, total))

    def warned(self, job: FileJob, message: str) -> None:
        self.messages.append((job.source.name, message))

    def finished(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)


def save_jobs(folder: Path, count: int) -> list[FileJob]:
    return [
        FileJob(save_picture(folder / "in" / f"{n:02}.png", seed=n), folder / "out" / "deep" / f"{n:02}.png")
        for n in range(count)
    ]


def restore(jobs: Sequence[FileJob], restorer: Restorer | None = None, **options: Any) -> Seen:
    seen = Seen()
    run(jobs, lambda: restorer or StandIn(), seen, **options)
    return seen


def test_a_run_that_is_stopped_ends_the_process_that_exports_weights(tmp_path: Path) -> None:
    (job,) = save_jobs(tmp_path, 1)
    ended: list[Exception] = []

    def make() -> Restorer:
        try:
            with open(tmp_path / "printed", "wb") as printed:
                child.run([sys.executable, "-c", "import time; time.sleep(60)"], printed)
        except UformerError as error:
            ended.append(error)
            raise
        raise AssertionError

    def jobs() -> Iterator[FileJob]:
        yield job
        while not child._running:
            time.sleep(0.01)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(jobs(), make, Seen())
    assert [str(error) for error in ended] == ["interrupted"]


def test_alpha_into_jpeg_is_refused_before_the_network_runs(tmp_path: Path) -> None:
    see_through = Image(pixels=np.zeros((8, 8, 3), np.float32), alpha=np.zeros((8, 8), np.uint8))
    image_write(see_through, tmp_path / "a.png")
    seen = restore([FileJob(tmp_path / "a.png", tmp_path / "a.jpg")])
    assert "alpha" in str(seen.outcomes[0].error)
    assert seen.tiles == []
    assert not (tmp_path / "a.jpg").exists()


def test_all_are_restored_in_order(tmp_path: Path) -> None:
    jobs, network = save_jobs(tmp_path, 12), StandIn()
    seen = restore(jobs, network)
    assert all(is_restored(job.output, job.source) for job in jobs)
    assert [outcome.job for outcome in seen.outcomes] == jobs
    assert seen.names == [job.source.name for job in jobs]
    assert seen.tiles == [(1, 2), (2, 2)] * 12
    assert network.most_together == 1
    assert {thread.rpartition("_")[0] for thread in network.threads} == {"uformer-network"}
    first = seen.outcomes[0]
    assert (first.width, first.height, first.tile, first.backend, first.precision) == (
        30,
        20,
        (8, 8),
        "stand-in",
        "fp32",
    )
    assert first.bytes == jobs[0].output.stat().st_size
    assert first.error is None
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("uformer-")]


def test_one_bad_picture_stops_no_other(tmp_path: Path) -> None:
    jobs = save_jobs(tmp_path, 6)
    jobs[0].source.write_text("no picture")
    jobs[2].source.unlink()
    jobs[4].output.mkdir(parents=True)
    seen = restore(jobs)
    errors = [outcome.error for outcome in seen.outcomes]
    assert [error is None for error in errors] == [False, True, False, True, False, True]
    assert "not a PNG" in (errors[0] or "")
    assert "No such file" in (errors[2] or "")
    assert "not a regular file" in (errors[4] or "")
    assert [is_restored(jobs[n].output, jobs[n].source) for n in (1, 3, 5)] == [True] * 3


def test_auto_refuses_a_stack_before_its_turn_and_stops_no_other(tmp_path: Path) -> None:
    jobs, restorer = save_jobs(tmp_path, 1), StandIn()
    restorer.options = RestoreOptions(task="auto")
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((2, 8, 10), np.uint8))
    stack = FileJob(tmp_path / "a.tif", tmp_path / "new" / "a.tif")
    seen = restore([stack, *jobs], restorer)
    assert "pages, and auto looks at single photos only" in str(seen.outcomes[0].error)
    assert seen.names == ["00.png"]
    assert not stack.output.parent.exists()
    assert is_restored(jobs[0].output, jobs[0].source)


@pytest.mark.parametrize(
    "error",
    [PictureError("bad values"), MemoryError(), RuntimeError("the device\nis gone"), ZeroDivisionError("0")],
)
def test_what_the_network_raises_is_one_pictures_failure(tmp_path: Path, error: Exception) -> None:
    jobs, calls = save_jobs(tmp_path, 3), []

    def fail_at_the_second(image: Image) -> None:
        calls.append(image)
        if len(calls) == 2:
            raise error

    seen = restore(jobs, StandIn(before=fail_at_the_second))
    said = [outcome.error for outcome in seen.outcomes]
    assert [text is None for text in said] == [True, False, True]
    assert "\n" not in (said[1] or "")
    assert not jobs[1].output.exists()


@pytest.mark.parametrize(
    "error", [OptionError("no such precision"), CheckpointError("damaged"), KeyboardInterrupt()]
)
def test_a_restorer_that_cannot_be_made_ends_it(tmp_path: Path, error: BaseException) -> None:
    def make() -> Restorer:
        raise error

    seen = Seen()
    with pytest.raises(type(error)):
        run(save_jobs(tmp_path, 9), make, seen)
    assert not seen.outcomes
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("about", ["precision", "tile_for"])
def test_options_that_restore_nothing_end_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, about: str
) -> None:
    def refuse(*_: object) -> None:
        raise OptionError("too much")

    monkeypatch.setattr(StandIn, about, property(refuse) if about == "precision" else refuse)
    with pytest.raises(OptionError, match="too much"):
        restore(save_jobs(tmp_path, 3))
    assert not (tmp_path / "out").exists()


def test_options_that_do_not_do_for_one_picture_fail_that_one(tmp_path: Path) -> None:
    calls = []

    def refuse_the_first(image: Image) -> None:
        calls.append(image)
        if len(calls) == 1:
            raise OptionError("memory: 1GB is too little")

    seen = restore(save_jobs(tmp_path, 3), StandIn(before=refuse_the_first))
    assert [outcome.error for outcome in seen.outcomes] == ["memory: 1GB is too little", None, None]


def test_an_interruption_leaves_whole_files_and_begins_nothing_new(tmp_path: Path) -> None:
    jobs, seen = save_jobs(tmp_path, pipeline.READERS + pipeline.WRITERS + 4), Seen()

    class Stops(Seen):
        def finished(self, outcome: Outcome) -> None:
            seen.finished(outcome)
            if len(seen.outcomes) == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(jobs, lambda: StandIn(seconds=0.05), Stops())
    written = [job for job in jobs if job.output.exists()]
    assert 2 <= len(written) < len(jobs)
    assert all(is_restored(job.output, job.source) for job in written)
    assert sorted(outcome.job.source.name for outcome in seen.outcomes) == [
        job.source.name for job in written
    ]
    assert not [name for name in tree(tmp_path) if ".uformer" in name]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("uformer-")]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_outcome_that_is_being_reported_is_reported_whole(tmp_path: Path, number: signal.Signals) -> None:
    began: list[str] = []
    ended: list[str] = []

    class Signalled(Seen):
        def finished(self, outcome: Outcome) -> None:
            began.append(outcome.job.source.name)
            if len(began) == 2:
                os.kill(os.getpid(), number)
                time.sleep(0.05)
            ended.append(outcome.job.source.name)

    with stops_like_ctrl_c(), pytest.raises(KeyboardInterrupt):
        run(save_jobs(tmp_path, 16), lambda: StandIn(seconds=0.05), Signalled())
    assert began == ended == tree(tmp_path / "out" / "deep")
    assert 2 <= len(ended) < 16


def test_reading_and_writing_go_on_beside_the_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first image is written while the second is restored and the third is read."""
    jobs, all_three, number = save_jobs(tmp_path, 3), threading.Barrier(3, timeout=60), itertools.count()

    def read(source: Path, **options: Any) -> Image:
        if source == jobs[2].source:
            all_three.wait()
        return image_read(source, **options)

    def network(_: Image) -> None:
        if next(number) == 1:
            all_three.wait()

    def write(image: Image, output: Path, **options: Any) -> None:
        if output == jobs[0].output:
            all_three.wait()
        image_write(image, output, **options)

    monkeypatch.setattr(pipeline, "read", read)
    monkeypatch.setattr(pipeline, "write", write)
    assert [outcome.error for outcome in restore(jobs, StandIn(before=network)).outcomes] == [None] * 3


class Counting:
    """Number of images that are decoded and not yet written."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = self.most = 0
        lock = threading.Lock()

        def counted_read(*arguments: Any, **options: Any) -> Image:
            with lock:
                self.now += 1
                self.most = max(self.most, self.now)
            return image_read(*arguments, **options)

        def counted_write(*arguments: Any, **options: Any) -> None:
            image_write(*arguments, **options)
            with lock:
                self.now -= 1

        monkeypatch.setattr(pipeline, "read", counted_read)
        monkeypatch.setattr(pipeline, "write", counted_write)


def test_small_pictures_wait_in_small_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counting = Counting(monkeypatch)

    def until_another_waits(_: Image) -> None:
        end = time.monotonic() + 60
        while counting.most < 2:
            assert time.monotonic() < end
            time.sleep(0.005)

    restore(save_jobs(tmp_path, 30), StandIn(before=until_another_waits))
    assert 2 <= counting.most <= pipeline.READERS + pipeline.WRITERS + 1


def test_large_pictures_do_not_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counting = Counting(monkeypatch)
    # An eighth of the memory is for waiting images; each takes 7200 bytes.
    seen = restore(save_jobs(tmp_path, 6), StandIn(memory="100KB"))
    assert counting.most == 1
    assert all(outcome.error is None for outcome in seen.outcomes)


def test_a_picture_too_large_for_memory_goes_from_file_to_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs, streamed = save_jobs(tmp_path, 3), []

    def restore_file(_restorer: Restorer, source: Path, output: Path, **options: Any) -> ValueRange:
        options["progress"](1, 1)
        streamed.append(source)
        output.write_bytes(b"by regions")
        return ValueRange(0.2, 0.4)

    monkeypatch.setattr(pipeline, "should_stream", lambda _header, budget: budget == 12345678)
    monkeypatch.setattr(pipeline, "restore_file", restore_file)
    seen = restore(jobs, StandIn(memory="12345678"))
    assert streamed == [job.source for job in jobs]
    assert [outcome.bytes for outcome in seen.outcomes] == [10] * 3
    assert [outcome.range for outcome in seen.outcomes] == [(51, 102)] * 3


def test_the_range_used_is_an_outcome(tmp_path: Path) -> None:
    counts = np.linspace(100, 400, 600).reshape(20, 30).astype(np.uint16)
    PIL.Image.fromarray(counts).save(tmp_path / "dim.png")
    jobs = [*save_jobs(tmp_path, 1), FileJob(tmp_path / "dim.png", tmp_path / "out.png")]
    assert [outcome.range for outcome in restore(jobs, StandIn()).outcomes] == [None, (100, 400)]


def test_a_warning_is_that_of_its_picture(tmp_path: Path) -> None:
    restorer = StandIn()
    restorer.notices.append("a mean of {mean:.1f}")
    seen = restore(save_jobs(tmp_path, 3), restorer)
    assert [name for name, _ in seen.messages] == ["00.png", "01.png", "02.png"]
    assert all(len(outcome.warnings) == 1 for outcome in seen.outcomes)


def test_seconds_leave_waiting_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second image has been read, and waits, while the network takes its time for the first."""
    jobs, third, clock = save_jobs(tmp_path, 3), threading.Event(), SimpleNamespace(now=0.0)
    monkeypatch.setattr(pipeline, "time", SimpleNamespace(perf_counter=lambda: clock.now))

    def read(source: Path, **options: Any) -> Image:
        if source == jobs[2].source:  # there is one reader, so it has read the second
            third.set()
        return image_read(source, **options)

    def network(_: Image) -> None:
        assert third.wait(60)
        clock.now = 100.0

    monkeypatch.setattr(pipeline, "read", read)
    first, second, _ = restore(jobs, StandIn(before=network), threads=1).outcomes
    assert (first.seconds, second.seconds) == (100, 0)


def test_errors_in_one_line() -> None:
    assert describe(None) is None
    assert describe(PictureError("a.png: is empty")) == "a.png: is empty"
    assert describe(MemoryError("9 bytes")) == "out of memory"
    assert (
        describe(OSError(28, "No space left on device", "out/a.png")) == "out/a.png: No space left on device"
    )
    assert describe(KeyError("x\ny")) == "unexpected KeyError: 'x\\ny'; please report it"


def test_a_verdict_depends_on_the_file_alone(tmp_path: Path) -> None:
    found = save_suspects(tmp_path / "in")
    seen = restore([FileJob(path, tmp_path / "out" / f"{path.name}.png") for path in found])
    for outcome in seen.outcomes:
        path = outcome.job.source
        assert (outcome.error is None) == found[path], outcome.error
        if outcome.error is not None:
            with pytest.raises(PictureError) as alone:
                image_read(path)
            assert outcome.error == str(alone.value)


def test_what_python_warns_of_meanwhile_is_no_pictures(tmp_path: Path) -> None:
    def warn(_image: Image) -> None:
        warnings.warn("of something else", stacklevel=1)

    with pytest.warns(UserWarning, match="of something else"):
        seen = restore(save_jobs(tmp_path, 2), StandIn(before=warn))
    assert seen.messages == []
