"""Runs a job on a Ray cluster with Ray Data.

Workers hold the network, receive shards of image names, and return records.

Only names and records travel, so Ray's object store stays empty. Ray restarts a worker that died and gives it
its shard again; the ledger knows which images of the shard are finished.
"""

import contextlib
import dataclasses
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
from uformer.batch.work import Task, Worker
from uformer.errors import OptionError, UformerError
from uformer.files import one_line
from uformer.notices import Notify
from uformer.processors import available_processors
from uformer.restore.backends.base import Weights
from uformer.restore.chain import joined
from uformer.restore.network import Network
from uformer.restore.options import RestoreOptions
from uformer.restore.restorer import Restorer

__all__ = ["Cluster", "connected", "engine", "only_ours", "restore", "room", "work"]

_SECONDS_TO_REACH = 5.0
_CORES = 4
"""Default cores per worker. Fewer would mean more workers, whose networks take the memory of large tiles."""
_LONGEST_FOLDER = 24  # characters: Ray's sockets are below it, and the path of a socket has at most 103


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """The cluster and the resources of each worker. Raises OptionError for a value out of range."""

    address: str | None = None
    """HOST:PORT of a running cluster, or "auto" for one on this machine; None: start one for this job."""
    workers: int | None = None
    """Number of workers; None: as many as the cluster has room for."""
    num_cpus: int | None = None
    """CPU cores and inference threads per worker; None: 4, or fewer if machine or `workers` leave fewer."""
    num_gpus: float = 0.0
    """GPUs per worker; 0.5 is half a GPU."""

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise OptionError(f"workers: {self.workers} must be at least 1")
        if self.num_cpus is not None and self.num_cpus < 1:
            raise OptionError(f"num-cpus: {self.num_cpus} must be at least 1")
        if self.num_gpus < 0:
            raise OptionError(f"num-gpus: {self.num_gpus} must not be negative")


@contextlib.contextmanager
def connected(cluster: Cluster) -> Iterator[tuple[int, int]]:
    """Connect to a cluster, and return the number of workers and the cores of each.

    A cluster that is started here ends with the block. Raises OptionError if the cluster cannot be reached or
    has too little room for the workers.
    """
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
    with contextlib.ExitStack() as stack:
        sink = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))
        stack.enter_context(
            contextlib.redirect_stdout(sink)
        )  # Ray prints a message for each worker that dies
        if cluster.address is None:
            cores = max(available_processors(), (cluster.workers or 1) * (cluster.num_cpus or 1))
            where: dict[str, Any] = {"address": "local", "num_cpus": cores, "include_dashboard": False}
            where["_temp_dir"] = stack.enter_context(_scratch())
            failed, hint = "address: cannot start a Ray cluster on this machine", ""
        else:
            _check_address(cluster.address)
            where = {"address": cluster.address}
            failed, hint = (
                f"address: no Ray cluster at {cluster.address!r}",
                "; if it requires a token, set RAY_AUTH_MODE=token",
            )
        stack.callback(ray.shutdown)  # runs before the scratch folder is removed
        try:
            ray.init(**where, **quiet)
        except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
            raise OptionError(f"{failed}: {one_line(error, 300)}{hint}") from None
        yield room([node["Resources"] for node in ray.nodes() if node["Alive"]], cluster)


def _scratch() -> tempfile.TemporaryDirectory[str]:
    """Return a temporary folder for Ray's sockets and logs, with a path that is short enough for sockets."""
    place = tempfile.gettempdir()
    if len(place) > _LONGEST_FOLDER and Path("/tmp").is_dir():  # noqa: S108 - the folder in it gets a unique name
        place = "/tmp"  # noqa: S108
    return tempfile.TemporaryDirectory(prefix="uformer-", dir=place, ignore_cleanup_errors=True)


def _check_address(address: str) -> None:
    """Raise OptionError at once for an address where nothing listens; Ray would try for minutes."""
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if "://" in address or not host or not port.isdigit():
        raise OptionError(f"address: {address!r} is neither HOST:PORT of a Ray head nor auto")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_SECONDS_TO_REACH).close()
    except (OSError, OverflowError) as error:
        raise OptionError(f"address: no Ray cluster at {address!r}: {one_line(error)}") from None


def room(nodes: Sequence[Mapping[str, float]], cluster: Cluster) -> tuple[int, int]:
    """Return the number of workers and the cores of each, for machines with the resources "CPU" and "GPU".

    Raises OptionError if there is too little room.
    """
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
        kinds = sorted({f"{node.get('CPU', 0):g} cores, {node.get('GPU', 0):g} GPUs" for node in nodes})
        has = "; ".join(kinds) or "nothing"
        wanted = f"{cluster.workers or 1} workers with {cores} cores and {gpus:g} GPUs each"
        raise OptionError(f"workers: the machines of the cluster ({has}) have no room for {wanted}")
    return cluster.workers or count, cores


def engine(task: Task, cluster: Cluster, notify: Notify) -> Callable[[Sequence[Item]], Iterator[Record]]:
    """Return the engine for a cluster, which it joins or starts once there is work. `notify`: see `Network`.

    Weights for onnxruntime are exported here, so that the workers need not do it.
    """
    options = task.options

    def engine(items: Sequence[Item]) -> Iterator[Record]:
        networks = [Network.load(each.network, notify=notify) for each in options.chain]
        for network, each in zip(networks, options.chain, strict=True):
            Restorer(network, each)  # raises errors of the options now
        weights = [network.ready_weights() for network in networks]
        with connected(cluster) as (workers, threads):
            yield from restore(items, task, weights, workers, threads, cluster.num_gpus)

    return engine


def restore(
    items: Sequence[Item],
    task: Task,
    weights: list[Weights],
    workers: int,
    threads: int,
    num_gpus: float,
) -> Iterator[Record]:
    """Restore on the `connected` cluster, and yield the records as they are made.

    If the job is interrupted, the records of unfinished shards follow. Raises OptionError if the options
    cannot restore any image, or if a worker cannot start.
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
        num_cpus=threads,
        num_gpus=num_gpus or None,
        fn_constructor_args=(ray.put(task), ray.put(weights), threads, ledger),
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
    """Return why the job stops: the error that affects every image, or Ray's error without its traceback."""
    if refusal is not None:
        return refusal
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return OptionError(f"Ray stopped the job: {one_line(lines[0], 300) if lines else type(error).__name__}")


def _table_of(number: int, items: Sequence[Item]) -> Any:
    columns = {"shard": [number] * len(items), "there": [item.there for item in items]}
    # Names are bytes, because not all are valid UTF-8.
    names = {name: [os.fsencode(getattr(item, name)) for item in items] for name in ("input", "output")}
    return pa.table({**columns, **names})


def _items_of(rows: Any) -> list[Item]:
    columns = (rows[name].to_pylist() for name in ("input", "output", "there"))
    return [
        Item(input=os.fsdecode(source), output=os.fsdecode(output), there=there)
        for source, output, there in zip(*columns, strict=True)
    ]


class _RayWorker:
    """A Ray Data actor: loads the network once and processes one shard after another."""

    def __init__(self, task: Any, weights: Any, threads: int, ledger: Any) -> None:
        self._ledger = ledger
        with self._refusing():
            wanted = ray.get(task)
            self._worker = Worker(_make_restorer(wanted.options, ray.get(weights), threads), wanted)

    def __call__(self, rows: Any) -> Any:
        """Restore the images of a shard and return their records."""
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
        """Report an error that affects every image to the ledger; Ray would wrap it in its own errors."""
        try:
            yield
        except UformerError as error:
            ray.get(self._ledger.refuse.remote(error))
            raise

    def _note(self, image: str) -> int:
        return int(ray.get(self._ledger.note.remote(image)))


def work(worker: Worker, items: Sequence[Item], take: Any, *, before: bool, note: Any) -> None:
    """Process a shard: all images at once or, if a worker died on it `before`, one at a time.

    In the second case each image is noted first, and given up after it has killed MOST_DEATHS workers.
    """
    if not before:
        worker.work(items, take)
        return
    for item in items:
        if note(item.input) >= MOST_DEATHS:
            take(given_up(item.input))
        else:
            worker.work([item], take)


def _make_restorer(options: RestoreOptions, weights: list[Weights], threads: int) -> Restorer:
    """Return a restorer with the worker's share of the machine's cores and memory."""
    options = dataclasses.replace(options, threads=options.threads or threads)
    share = min(1.0, threads / (os.cpu_count() or 1))
    stages = [
        Restorer(Network(loaded, each.network), each, share=share)
        for loaded, each in zip(weights, options.chain, strict=True)
    ]
    return joined(stages, options)
