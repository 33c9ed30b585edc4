"""A job on a local Ray cluster: workers or the whole job die, and every image is still restored once.

The outputs have the bytes of `uformer restore`.
"""

import contextlib
import dataclasses
import functools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import psutil
import pyarrow.parquet as pq
import pytest

from tests.batch.pictures import contents, folder_of, network
from tests.networks import TINY
from uformer.batch.ledger import MOST_DEATHS, Ledger
from uformer.batch.records import Item, Record
from uformer.batch.work import Take, Task
from uformer.cli import main
from uformer.errors import OptionError
from uformer.restore import network as network_module
from uformer.restore.backends.base import Weights
from uformer.restore.options import RestoreOptions

ROOT = Path(__file__).parents[2]
POISON = """
import builtins, os
def poisoned(path, *rest, really=builtins.open, **more):
    if str(path).endswith("poison.png"):
        os.kill(os.getpid(), 9)
    return really(path, *rest, **more)
builtins.open = poisoned
"""
"""Runs at the start of every Python process: one image kills its reader, as a decoder that crashes would."""

onlinux = pytest.mark.skipif(
    sys.platform != "linux", reason="finds the workers by the names that Ray gives them on Linux"
)


@pytest.fixture(scope="module")
def engine() -> ModuleType:
    """Return uformer.batch.ray. Only a process that runs these tests imports Ray, which takes seconds."""
    from uformer.batch import ray

    return ray


class Workers:
    """Stands in for a worker that dies on some images."""

    def __init__(self, engine: ModuleType, kills: set[str]) -> None:
        self.engine, self.kills, self.ledger, self.begun = engine, kills, Ledger(), list[str]()

    def work(self, items: list[Item], take: Take) -> None:
        for item in items:
            self.begun.append(item.input)
            if item.input in self.kills:
                raise ConnectionError
            take(Record(input=item.input, output=item.output))

    def shard(self, names: str) -> dict[str, Record]:
        """Do as Ray does: repeat the shard until no worker dies on it."""
        items = [Item(input=name, output=name.upper()) for name in names]
        for _ in range(20):
            before, records = self.ledger.begin(0)
            left = [item for item in items if item.input not in records]
            with contextlib.suppress(ConnectionError):
                ledger = self.ledger
                finish = functools.partial(ledger.finish, 0)
                self.engine.work(self, left, finish, before=before, note=ledger.note)
                return self.ledger.begin(0)[1]
        raise AssertionError("a picture that kills stops the job for ever")


def test_a_picture_that_kills_is_given_up_and_no_other(engine: ModuleType) -> None:
    workers = Workers(engine, {"c"})
    records = workers.shard("abcd")
    assert [name for name in "abcd" if records[name].error is None] == ["a", "b", "d"]
    assert "its worker died 3 times" in (records["c"].error or "")
    assert workers.begun == ["a", "b", "c", *"c" * MOST_DEATHS, "d"], "what is done is not done again"


def test_a_shard_of_pictures_that_kill_ends(engine: ModuleType) -> None:
    assert all(record.error for record in Workers(engine, {"a", "b"}).shard("ab").values())


def test_a_worker_plans_with_its_share_of_the_machine(
    engine: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    for memory, budget in ((None, 125), ("10%", 100)):
        restorer = engine._make_restorer(RestoreOptions(memory=memory), [Weights(TINY, {})], 1)
        restorer.network.free_memory = 1000
        assert restorer.memory_budget == budget


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"workers": 0}, "workers: 0 must be at least 1"),
        ({"num_cpus": 0}, "num-cpus: 0 must be at least 1"),
        ({"num_gpus": -1.0}, "num-gpus: -1.0 must not be negative"),
    ],
)
def test_values_out_of_range(engine: ModuleType, options: dict[str, float], said: str) -> None:
    with pytest.raises(OptionError, match=said):
        engine.Cluster(**options)


@pytest.mark.parametrize(
    ("nodes", "cluster", "expected"),
    [
        ([{"CPU": 2.0}], {}, (1, 2)),
        ([{"CPU": 2.0}], {"workers": 2}, (2, 1)),
        ([{"CPU": 16.0}, {"CPU": 8.0}, {"GPU": 1.0}], {}, (6, 4)),
        ([{"CPU": 7.0}, {"CPU": 7.0}], {"num_cpus": 4}, (2, 4)),
        ([{"CPU": 16.0, "GPU": 2.0}, {"CPU": 64.0}], {"num_gpus": 0.5}, (4, 4)),
        ([{"CPU": 16.0, "GPU": 1.0}], {"num_gpus": 0.1, "num_cpus": 1}, (10, 1)),
    ],
)
def test_room(
    engine: ModuleType,
    nodes: list[dict[str, float]],
    cluster: dict[str, float],
    expected: tuple[int, int],
) -> None:
    assert engine.room(nodes, engine.Cluster(**cluster)) == expected


@pytest.mark.parametrize(
    ("nodes", "cluster"),
    [
        ([], {}),
        ([{"CPU": 2.0}], {"num_cpus": 3}),
        ([{"CPU": 2.0}], {"num_gpus": 1}),
        ([{"CPU": 3.0}, {"CPU": 3.0}], {"workers": 3, "num_cpus": 2}),
    ],
)
def test_no_room(engine: ModuleType, nodes: list[dict[str, float]], cluster: dict[str, float]) -> None:
    with pytest.raises(OptionError, match="have no room for"):
        engine.room(nodes, engine.Cluster(**cluster))


@pytest.mark.parametrize(
    "address", ["127.0.0.1:1", "nonsense", "ray://127.0.0.1:10001", "127.0.0.1:http", "127.0.0.1:99999"]
)
def test_an_address_where_nobody_is(engine: ModuleType, address: str) -> None:
    began = time.monotonic()
    cluster = engine.Cluster(address=address)
    with pytest.raises(OptionError, match="address: "), engine.connected(cluster):
        raise AssertionError
    assert time.monotonic() - began < 60


def test_a_workers_refusal_is_what_is_said(engine: ModuleType) -> None:
    refusal = OptionError("precision: this CPU does not support fp16")
    assert engine._reason(RuntimeError("ray"), refusal) is refusal
    assert str(engine._reason(RuntimeError("\na\nb"), None)) == "Ray stopped the job: a"


def test_workers_get_weights_that_are_exported(engine: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[list[Weights]] = []
    monkeypatch.setattr(
        network_module, "with_exported", lambda weights, *_: dataclasses.replace(weights, exported=b"a graph")
    )
    monkeypatch.setattr(engine, "connected", lambda _: contextlib.nullcontext((1, 1)))

    def restore(_items: object, _task: object, weights: list[Weights], *_: object) -> list[Record]:
        given.append(weights)
        return []

    monkeypatch.setattr(engine, "restore", restore)
    for backend in ("onnx", "openvino"):
        task = Task(options=RestoreOptions(tasks="derain,denoise", backend=backend))
        list(engine.engine(task, engine.Cluster(), pytest.fail)([]))
    assert [[each.exported for each in weights] for weights in given] == [[b"a graph"] * 2, [None] * 2]


Start = Callable[..., subprocess.Popen[str]]


def family_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    try:
        return psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


@pytest.fixture
def started() -> Iterator[Start]:
    """Start `uformer batch`; at the end, its processes and their files are removed."""
    running: list[subprocess.Popen[str]] = []
    with tempfile.TemporaryDirectory(prefix="uf-", ignore_cleanup_errors=True) as scratch:

        def start(*arguments: str, site: str = "") -> subprocess.Popen[str]:
            path = f"{site}{os.pathsep}{ROOT}" if site else str(ROOT)
            command = [sys.executable, "-m", "uformer", "batch", *arguments]
            environment = {**os.environ, "PYTHONPATH": path, "TMPDIR": scratch}
            running.append(
                subprocess.Popen(
                    command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
                )
            )
            return running[-1]

        yield start
        for process in running:
            end([process, *family_of(process)])
            process.communicate(timeout=30)


def end(processes: Sequence[psutil.Process | subprocess.Popen[str]]) -> None:
    for each in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            each.kill()


def outputs(out: Path, count: int) -> set[Path]:
    """Wait for some outputs."""
    deadline = time.monotonic() + 300
    while len(found := set(out.rglob("*.png"))) < count:
        assert time.monotonic() < deadline, found
        time.sleep(0.01)
    return found


def workers_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    found = []
    for each in family_of(process):
        with contextlib.suppress(psutil.NoSuchProcess):
            if " ".join(each.cmdline()).startswith("ray::MapWorker"):
                found.append(each)
    return found


RAY = ("--engine", "ray", "--workers", "2", "--ensemble")
COUNT = 20


@dataclass
class Prepared:
    weights: str
    source: Path
    plain: dict[str, bytes]
    """The outputs of `uformer restore`, by name."""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    home = tmp_path_factory.mktemp("job")
    weights, source = str(network(home)), folder_of(home / "in", COUNT, side=160)
    assert (
        main(
            ["restore", str(source), "-o", str(home / "plain"), "--weights", weights, "--ensemble", "--quiet"]
        )
        == 0
    )
    return Prepared(weights, source, contents(home / "plain"))


@pytest.mark.timeout(600)
@onlinux
@pytest.mark.slow
def test_a_worker_is_killed_and_nothing_is_lost(started: Start, prepared: Prepared, tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    shutil.copytree(prepared.source, source)
    (source / "bad.png").write_bytes(b"no picture")
    (source / "poison.png").write_bytes((source / "01.png").read_bytes())
    (tmp_path / "site").mkdir()
    (tmp_path / "site/sitecustomize.py").write_text(POISON)

    job = started(str(source), str(out), "--weights", prepared.weights, *RAY, site=str(tmp_path / "site"))
    outputs(out, 3)
    (victim, *_) = workers_of(job)
    victim.send_signal(signal.SIGKILL)
    assert len(set(out.rglob("*.png"))) < COUNT, "the worker was killed in the middle"
    _, said = job.communicate(timeout=500)

    assert job.returncode == 1
    assert contents(out) == prepared.plain
    rows = pq.read_table(out / "manifest.parquet").to_pylist()
    assert [row["input"] for row in rows] == sorted(str(path) for path in source.rglob("*.png"))
    failed = {Path(row["input"]).name: row["error"] for row in rows if row["error"]}
    assert set(failed) == {"bad.png", "poison.png"}
    assert "its worker died 3 times" in failed["poison.png"]
    assert len((out / "failures.jsonl").read_text().splitlines()) == 2
    assert all(line.startswith("uformer: ") for line in said.splitlines()), said


@pytest.mark.timeout(600)
@onlinux
@pytest.mark.slow
def test_the_whole_job_is_killed_and_goes_on(started: Start, prepared: Prepared, tmp_path: Path) -> None:
    out = tmp_path / "out"
    job = started(str(prepared.source), str(out), "--weights", prepared.weights, *RAY)
    outputs(out, 3)
    family, workers = family_of(job), workers_of(job)
    job.kill()
    _, alive = psutil.wait_procs(workers, timeout=60)
    assert workers
    assert not alive, "the workers outlive the job"
    end(family)  # Ray's agents end by themselves, within a minute
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.png")}
    assert 3 <= len(before) < COUNT

    assert main(["batch", str(prepared.source), str(out), "--weights", prepared.weights, "--ensemble"]) == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before, "what was done is not done again"
    assert contents(out) == prepared.plain
    rows = pq.read_table(out / "manifest.parquet").to_pylist()
    assert [row["input"] for row in rows] == sorted(str(path) for path in prepared.source.rglob("*.png"))
    assert all(row["sha256"] and not row["error"] for row in rows)


@pytest.mark.timeout(600)
@onlinux
@pytest.mark.slow
def test_ctrl_c_ends_the_cluster_and_keeps_what_is_done(
    started: Start, prepared: Prepared, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    job = started(str(prepared.source), str(out), "--weights", prepared.weights, *RAY)
    outputs(out, 3)
    workers = workers_of(job)
    job.send_signal(signal.SIGINT)
    _, said = job.communicate(timeout=120)
    assert job.returncode == 130
    assert said.splitlines()[-1].startswith("uformer: interrupted; ")
    assert said.endswith("; run the same command to resume\n")
    assert all(line.startswith("uformer: ") for line in said.splitlines()), said
    _, alive = psutil.wait_procs(workers, timeout=60)
    assert not alive
    assert (out / "manifest.parquet.parts").is_dir()
