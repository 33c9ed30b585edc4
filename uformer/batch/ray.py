"""The job on a Ray cluster, by Ray Data: workers hold the network, shards of the pictures' names come to them, records come back.

Only names travel, so Ray's object store stays empty. Ray starts a worker that died again and gives it its shard again; the ledger knows
what of it is done.
"""

import contextlib
import logging
import math
import os
import socket
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from uformer.batch.ledger import MOST_DEATHS, Ledger, given_up
from uformer.batch.manifest import table
from uformer.batch.quiet_ray import only_ours, ray
from uformer.batch.records import Item, Record
from uformer.batch.remaining import shards
from uformer.batch.work import Worker
from uformer.errors import OptionError, UformerError
from uformer.files import one_line
from uformer.image.write import MetadataPolicy
from uformer.restore.backends.base import Weights
from uformer.restore.backends.choose import read_weights
from uformer.restore.network import Network
from uformer.restore.options import RestoreOptions
from uformer.restore.restorer import Restorer

__all__ = ["Cluster", "Task", "connected", "engine", "only_ours", "restore", "room", "work"]

_SECONDS_TO_REACH = 5.0
_CORES = 4
"""Of a worker, where nobody says: with fewer, as many networks as there are cores take the memory that large tiles need."""
_LONGEST_FOLDER = 24  # letters: Ray's sockets lie below, and a socket's path has at most 103


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Which cluster, and what a worker takes of it. Raises OptionError for a value out of range."""

    address: str | None = None
    """HOST:PORT of a running one, or "auto" for the one of this machine; None: one is started here, for this job."""
    workers: int | None = None
    """None: as many as there is room for."""
    num_cpus: int | None = None
    """Cores of a worker, which are the threads that it computes with; None: four, or as many as there are."""
    num_gpus: float = 0.0
    """GPUs of a worker; 0.5 is half of one."""

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise OptionError(f"workers: {self.workers} must be at least 1")
        if self.num_cpus is not None and self.num_cpus < 1:
            raise OptionError(f"num-cpus: {self.num_cpus} must be at least 1")
        if self.num_gpus < 0:
            raise OptionError(f"num-gpus: {self.num_gpus} must not be negative")


@dataclass(frozen=True, kw_only=True)
class Task:
    """What every worker does."""

    options: RestoreOptions
    metadata: MetadataPolicy
    threads: int


@contextlib.contextmanager
def connected(cluster: Cluster) -> Iterator[tuple[int, int]]:
    """A cluster to work on: its workers, and the cores of each; one that was started here ends with the block.

    Raises OptionError where it cannot be reached, or has no room for a single worker.
    """
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
    with contextlib.ExitStack() as stack:
        sink = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))
        stack.enter_context(contextlib.redirect_stdout(sink))  # where Ray tells of each worker that died
        if cluster.address is None:
            cores = max(os.cpu_count() or 1, (cluster.workers or 1) * (cluster.num_cpus or 1))
            where: dict[str, Any] = {"address": "local", "num_cpus": cores, "include_dashboard": False}
            where["_temp_dir"] = stack.enter_context(_scratch())
            failed, hint = "address: no Ray cluster can be started here", ""
        else:
            _check_address(cluster.address)
            where = {"address": cluster.address}
            failed, hint = (
                f"address: no Ray cluster at {cluster.address!r}",
                "; one that asks for a token needs RAY_AUTH_MODE=token",
            )
        stack.callback(ray.shutdown)  # before the scratch folder goes
        try:
            ray.init(**where, **quiet)
        except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
            raise OptionError(f"{failed}: {one_line(error, 300)}{hint}") from None
        yield room([node["Resources"] for node in ray.nodes() if node["Alive"]], cluster)


def _scratch() -> tempfile.TemporaryDirectory[str]:
    """A folder for Ray's sockets and logs, whose name is short enough for a socket in it."""
    place = tempfile.gettempdir()
    if len(place) > _LONGEST_FOLDER and Path("/tmp").is_dir():  # noqa: S108 - what is made there has a name of its own
        place = "/tmp"  # noqa: S108
    return tempfile.TemporaryDirectory(prefix="uformer-", dir=place, ignore_cleanup_errors=True)


def _check_address(address: str) -> None:
    """Raise OptionError now for an address where nobody listens; Ray tries for minutes."""
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if "://" in address or not host or not port.isdigit():
        raise OptionError(f"address: {address!r} is not HOST:PORT of a Ray head, or auto")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_SECONDS_TO_REACH).close()
    except (OSError, OverflowError) as error:
        raise OptionError(f"address: no Ray cluster at {address!r}: {one_line(error)}") from None


def room(nodes: Sequence[Mapping[str, float]], cluster: Cluster) -> tuple[int, int]:
    """Workers, and the cores of each, for machines that have so many "CPU" and "GPU". Raises OptionError where there is too little."""
    most = int(max((node.get("CPU", 0) for node in nodes), default=0))
    each = (
        most if cluster.workers is None else int(sum(node.get("CPU", 0) for node in nodes)) // cluster.workers
    )
    cores = cluster.num_cpus or max(1, min(_CORES, most, each))
    gpus = cluster.num_gpus
    count = sum(
        int(min(node.get("CPU", 0) // cores, node.get("GPU", 0) / gpus + 1e-6 if gpus else math.inf))
        for node in nodes
    )
    if count < (cluster.workers or 1):
        has = (
            "; ".join(
                sorted({f"{node.get('CPU', 0):g} cores, {node.get('GPU', 0):g} GPUs" for node in nodes})
            )
            or "nothing"
        )
        wanted = f"{cluster.workers or 1} of {cores} cores and {gpus:g} GPUs"
        raise OptionError(f"workers: the cluster's machines ({has}) have no room for {wanted}")
    return cluster.workers or count, cores


def engine(
    options: RestoreOptions, metadata: MetadataPolicy, cluster: Cluster
) -> Callable[[Sequence[Item]], Iterator[Record]]:
    """The engine that works on a cluster, which it joins or starts when there is work."""

    def engine(items: Sequence[Item]) -> Iterator[Record]:
        weights = read_weights(options)
        Restorer(Network(weights, options.network), options)  # raises now what every worker would
        with connected(cluster) as (workers, threads):
            yield from restore(
                items,
                Task(options=options, metadata=metadata, threads=threads),
                weights,
                workers,
                cluster.num_gpus,
            )

    return engine


def restore(
    items: Sequence[Item], task: Task, weights: Weights, workers: int, num_gpus: float
) -> Iterator[Record]:
    """Restore on the cluster that is `connected`; the records come as they are made, those of a job that is stopped included.

    Raises OptionError where the options restore no picture whatever, and where a worker cannot start.
    """
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.CRITICAL + 1)
    parts = shards(items, workers)
    ledger = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(Ledger).remote()
    rows = ray.data.from_arrow([_table_of(number, part) for number, part in enumerate(parts)]).map_batches(
        _RayWorker,
        batch_size=None,
        batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(size=min(workers, len(parts)), max_tasks_in_flight_per_actor=2),
        num_cpus=task.threads,
        num_gpus=num_gpus or None,
        fn_constructor_args=(task, ray.put(weights), ledger),
    )
    try:
        for batch in rows.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
            for number in set(batch["shard"].to_pylist()):
                ledger.forget.remote(number)
            yield from (Record(**row) for row in batch.drop_columns("shard").to_pylist())
    except ray.exceptions.RayError as error:
        refusal = None
        with contextlib.suppress(ray.exceptions.RayError):
            refusal = ray.get(ledger.refusal.remote(), timeout=_SECONDS_TO_REACH)
        raise _reason(error, refusal) from None
    except KeyboardInterrupt:
        with contextlib.suppress(ray.exceptions.RayError):
            yield from ray.get(ledger.unclaimed.remote(), timeout=_SECONDS_TO_REACH)
        raise


def _reason(error: BaseException, refusal: UformerError | None) -> UformerError:
    """Why the job stops: what a worker said of all pictures, or else what Ray says, without the traceback that it puts before."""
    if refusal is not None:
        return refusal
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return OptionError(f"Ray stopped the job: {one_line(lines[0], 300) if lines else type(error).__name__}")


def _table_of(number: int, items: Sequence[Item]) -> Any:
    columns = {"shard": [number] * len(items), "there": [item.there for item in items]}
    names = {
        name: [os.fsencode(getattr(item, name)) for item in items] for name in ("input", "output")
    }  # bytes: not all are UTF-8
    return pa.table({**columns, **names})


def _items_of(rows: Any) -> list[Item]:
    columns = (rows[name].to_pylist() for name in ("input", "output", "there"))
    return [
        Item(input=os.fsdecode(source), output=os.fsdecode(output), there=there)
        for source, output, there in zip(*columns, strict=True)
    ]


class _RayWorker:
    """A Ray Data actor: one network, for shard after shard."""

    def __init__(self, task: Task, weights: Any, ledger: Any) -> None:
        self._ledger = ledger
        with self._refusing():
            self._worker = Worker(_make_restorer(task, ray.get(weights)), task.metadata)

    def __call__(self, rows: Any) -> Any:
        """A shard's pictures to their records."""
        shard = rows["shard"][0].as_py()
        items = _items_of(rows)
        before, records = ray.get(self._ledger.begin.remote(shard))

        def take(record: Record) -> None:
            records[record.input] = record
            self._ledger.finish.remote(shard, record)

        with self._refusing():
            work(
                self._worker,
                [item for item in items if item.input not in records],
                take,
                before=before,
                note=self._note,
            )
        done = table([records[item.input] for item in items])
        return done.append_column("shard", pa.array([shard] * len(items), pa.int64()))

    @contextlib.contextmanager
    def _refusing(self) -> Iterator[None]:
        """Tell the job what is wrong with every picture; the error itself reaches it only inside several of Ray's."""
        try:
            yield
        except UformerError as error:
            ray.get(self._ledger.refuse.remote(error))
            raise

    def _note(self, picture: str) -> int:
        return int(ray.get(self._ledger.note.remote(picture)))


def work(worker: Worker, items: Sequence[Item], take: Any, *, before: bool, note: Any) -> None:
    """Do a shard: all at once, or where a worker has died over it `before`, each picture alone, noted first, and not for ever."""
    if not before:
        worker.work(items, take)
        return
    for item in items:
        if note(item.input) >= MOST_DEATHS:
            take(given_up(item.input))
        else:
            worker.work([item], take)


def _make_restorer(task: Task, weights: Weights) -> Restorer:
    """The network with its share of the machine's cores, and of the memory, since as many workers as there are cores may be here."""
    network = Network(weights, task.options.network, threads=task.threads)
    return Restorer(network, task.options, share=min(1.0, task.threads / (os.cpu_count() or 1)))
