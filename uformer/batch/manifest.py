"""The manifest of a job: a Parquet file with a row for each picture, written in parts as the job goes.

| column | type | what |
|---|---|---|
| input | string | path from the root on, or URL; each once |
| output | string | likewise; null where there is none |
| seconds | double | for reading, restoring and writing, without waiting; null for an output that was there before |
| size | int64 | bytes of the output |
| width, height | int32 | pixels |
| sha256 | string | of the output |
| warnings | string | joined by "; " |
| error | string | why it failed; null where it did not |

While a job goes, MANIFEST.parts holds job.json (with what the job restores) and the rows so far, in files that appear whole or not at
all. When it ends they become one file, sorted by input, which says under the key "uformer" of its metadata what job.json said. Of two
rows of one input the later holds.
"""

import contextlib
import json
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from uformer.alone import alone
from uformer.batch import places
from uformer.batch.identity import Identity, difference
from uformer.batch.places import as_text
from uformer.batch.records import Record
from uformer.errors import OptionError
from uformer.files import one_line

_KEY = b"uformer"
_JOB, _LOCK = "job.json", "lock"
_ROWS = 10_000
_SECONDS = 30.0
"""A part is written when it holds so many rows, or its first is so old: what a killed job does not know of its last pictures."""

SCHEMA = pa.schema(
    [
        pa.field("input", pa.string(), nullable=False),
        ("output", pa.string()),
        ("seconds", pa.float64()),
        ("size", pa.int64()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("sha256", pa.string()),
        ("warnings", pa.string()),
        ("error", pa.string()),
    ]
)


def table(records: list[Record]) -> Any:
    """A Parquet table of records; see above."""
    rows = (
        {name: as_text(value) if isinstance(value, str) else value for name, value in vars(record).items()}
        for record in records
    )
    return pa.Table.from_pylist(list(rows), schema=SCHEMA)


class Manifest:
    """The manifest at a place. Raises OptionError where it is something else than a manifest of ours, OSError where it cannot be read."""

    def __init__(self, place: str) -> None:
        self.place = place
        self._parts = f"{place}.parts"
        self._identity: Identity = {}
        self._waiting: list[Record] = []
        self._since = 0.0
        self._started = self._fresh = False

    def held(self) -> contextlib.AbstractContextManager[None]:
        """Inside the block no other job of this manifest runs, where it lies on a disk. Raises OptionError while one does."""
        what = f"{self.place}: another job is at work on it; wait until it has ended"
        return (
            alone(Path(self._parts, _LOCK), what) if places.is_local(self.place) else contextlib.nullcontext()
        )

    def begin(self, identity: Identity, *, overwrite: bool) -> bool:
        """Go on with the job that is there, or begin one; whether an output that has no row is to be made again.

        Raises OptionError where the job that is there restores with something else, unless `overwrite`, and where a file is there that is
        no manifest.
        """
        there = self._read_identity()
        before = None if overwrite else there
        if before is not None and (said := difference(before, identity)) is not None:
            raise OptionError(
                f"{self.place}: was begun with {said}; go on as before, give another OUT, or restore all again with --overwrite"
            )
        self._identity = before or identity
        self._fresh = there is None
        if overwrite:
            self._write_job(clearing=True)  # so that whoever goes on after a kill right here clears the rest
        if overwrite or self._identity.pop("clearing", False):
            places.remove(self.place)
            self._clear(keep={_JOB, _LOCK})
            self._write_job()
        return bool(self._identity["redo"])

    def start(self) -> None:
        """Say what the job restores with, before there is any output of it."""
        self._started = True
        self._write_job()

    def withdraw(self) -> None:
        """Forget a job that ends before it has anything to show, so that the next may be another."""
        if self._fresh and not self._waiting:
            self._clear(keep={_LOCK})

    def done(self) -> dict[str, str]:
        """Input -> output of what is done, `as_text`."""
        rows = self._read()
        columns = (rows[name].to_pylist() for name in ("input", "output", "error"))
        return {source: output for source, output, error in zip(*columns, strict=True) if error is None}

    def add(self, record: Record) -> None:
        """Note what became of a picture."""
        self._fresh = False
        if not self._waiting:
            self._since = time.monotonic()
        self._waiting.append(record)
        if len(self._waiting) >= _ROWS or time.monotonic() - self._since > _SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what is noted and not yet written."""
        if self._waiting:
            name = f"{time.time_ns():020}-{secrets.token_hex(4)}.parquet"
            places.write_bytes(places.join(self._parts, name), _encoded(table(self._waiting)))
            self._waiting = []

    def finish(self) -> list[tuple[str, str]]:
        """Make the parts one file; the inputs that failed, and why."""
        self.flush()
        rows = self._read().sort_by("input")
        about = {_KEY: json.dumps({**self._identity, "redo": False}).encode()}
        if self._started or places.exists(places.join(self._parts, _JOB)):
            places.write_bytes(self.place, _encoded(rows.replace_schema_metadata(about)))
            self._clear(keep={_LOCK})
            places.remove_empty(self._parts)
        pairs = zip(rows["input"].to_pylist(), rows["error"].to_pylist(), strict=True)
        return [(source, error) for source, error in pairs if error is not None]

    def _clear(self, *, keep: set[str]) -> None:
        for name in places.files_below(self._parts) - keep:
            places.remove(places.join(self._parts, name))

    def _write_job(self, **more: bool) -> None:
        data = json.dumps({**self._identity, **more}, indent=2) + "\n"
        places.write_bytes(places.join(self._parts, _JOB), data.encode())

    def _read_identity(self) -> Identity | None:
        job = places.join(self._parts, _JOB)
        try:
            if places.exists(job):
                found = json.loads(places.read_bytes(job))
            elif places.exists(self.place):
                metadata = pq.read_schema(pa.BufferReader(places.read_bytes(self.place))).metadata or {}
                found = json.loads(metadata[_KEY])
            else:
                return None
        except OptionError:  # which is a ValueError
            raise
        except (pa.ArrowException, KeyError, ValueError):
            raise OptionError(
                f"{self.place}: is there and is no manifest of this command; remove it, or give another with --manifest"
            ) from None
        return dict(found)

    def _read(self) -> Any:
        """All rows so far, the last of each input."""
        names = sorted(
            name
            for name in places.files_below(self._parts)
            if name.endswith(".parquet") and not name.startswith(".")
        )
        files = [self.place] * places.exists(self.place) + [places.join(self._parts, name) for name in names]
        if not files:
            return SCHEMA.empty_table()
        with ThreadPoolExecutor(16) as threads:
            rows = pa.concat_tables(list(threads.map(_decoded, files)))
        last = {source: number for number, source in enumerate(rows["input"].to_pylist())}
        return rows.take(sorted(last.values())) if len(last) < len(rows) else rows


def _encoded(rows: Any) -> bytes:
    stream = pa.BufferOutputStream()
    pq.write_table(rows, stream, compression="zstd")
    return bytes(stream.getvalue())


def _decoded(place: str) -> Any:
    data = pa.BufferReader(places.read_bytes(place))
    try:
        # In Arrow's threads, a read may outlast its call, and then aborts the process that ends.
        return pq.ParquetFile(data).read(use_threads=False).replace_schema_metadata(None).cast(SCHEMA)
    except pa.ArrowException as error:
        raise OptionError(f"{place}: cannot be read as a manifest: {one_line(error)}") from None
