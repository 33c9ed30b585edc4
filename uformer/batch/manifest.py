"""The manifest of a job: a Parquet file with one row per image, written in parts while the job runs.

| column | type | content |
|---|---|---|
| input | string | absolute path or URL; each input once |
| output | string | absolute path or URL; null if there is none |
| seconds | double | time to read, restore and write, without waiting; null if the output already existed |
| size | int64 | size of the output in bytes |
| width, height | int32 | pixels |
| sha256 | string | SHA-256 of the output |
| warnings | string | warnings, joined by "; " |
| error | string | why the image failed; null if it did not |

While a job runs, MANIFEST.parts holds job.json (the weights and options of the job) and the rows so far, in
files that appear whole or not at all. When the job ends, the parts become one file, sorted by input, whose
metadata holds the contents of job.json under the key "uformer". If an input has two rows, the later one
counts.
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
"""A part is written when it has _ROWS rows or its first is _SECONDS old. A kill loses at most one part."""

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
    """Return records as a table with the columns above."""
    rows = (
        {name: as_text(value) if isinstance(value, str) else value for name, value in vars(record).items()}
        for record in records
    )
    return pa.Table.from_pylist(list(rows), schema=SCHEMA)


class Manifest:
    """The manifest at a place.

    Its methods raise OptionError if the file there is not a manifest of this command, OSError if it cannot be
    read.
    """

    def __init__(self, place: str) -> None:
        self.place = place
        self._parts = f"{place}.parts"
        self._identity: Identity = {}
        self._waiting: list[Record] = []
        self._since = 0.0
        self._started = self._fresh = False

    def held(self) -> contextlib.AbstractContextManager[None]:
        """Lock the manifest: inside the block, no other job uses it. Only a manifest on a disk can be locked.

        Raises OptionError if another job holds the lock.
        """
        what = f"{self.place}: another job is using this manifest; wait until it ends"
        return (
            alone(Path(self._parts, _LOCK), what) if places.is_local(self.place) else contextlib.nullcontext()
        )

    def begin(self, identity: Identity, *, overwrite: bool) -> bool:
        """Resume the recorded job, or start a new one. Returns whether to restore outputs that have no row.

        Raises OptionError if the recorded job has other weights or options and `overwrite` is not set, or if
        a file exists that is not a manifest.
        """
        there = self._read_identity()
        before = None if overwrite else there
        if before is not None and (changes := difference(before, identity)) is not None:
            raise OptionError(
                f"{self.place}: this job was started with {changes};"
                " use the same again, choose another OUT, or restore every image again with --overwrite"
            )
        self._identity = before or identity
        self._fresh = there is None
        if overwrite:
            self._write_job(clearing=True)  # if the job is killed here, the resumed job clears the rest
        if overwrite or self._identity.pop("clearing", False):
            places.remove(self.place)
            self._clear(keep={_JOB, _LOCK})
            self._write_job()
        return bool(self._identity["redo"])

    def start(self) -> None:
        """Record the weights and options of the job, before it writes any output."""
        self._started = True
        self._write_job()

    def withdraw(self) -> None:
        """Forget a new job that ends without any record, so that the next job may have other options."""
        if self._fresh and not self._waiting:
            self._clear(keep={_LOCK})

    def done(self) -> dict[str, str]:
        """Return input -> output of the finished rows, both `as_text`."""
        rows = self._read()
        columns = (rows[name].to_pylist() for name in ("input", "output", "error"))
        return {source: output for source, output, error in zip(*columns, strict=True) if error is None}

    def add(self, record: Record) -> None:
        """Add the record of an image."""
        self._fresh = False
        if not self._waiting:
            self._since = time.monotonic()
        self._waiting.append(record)
        if len(self._waiting) >= _ROWS or time.monotonic() - self._since > _SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write the records that are not yet written."""
        if self._waiting:
            name = f"{time.time_ns():020}-{secrets.token_hex(4)}.parquet"
            places.write_bytes(places.join(self._parts, name), _encoded(table(self._waiting)))
            self._waiting = []

    def finish(self) -> list[tuple[str, str]]:
        """Merge the parts into one file. Returns the inputs that failed, and the reasons."""
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
        except OptionError:  # also a ValueError
            raise
        except (pa.ArrowException, KeyError, ValueError):
            raise OptionError(
                f"{self.place}: exists but is not a manifest of this command;"
                " remove it, or choose another place with --manifest"
            ) from None
        return dict(found)

    def _read(self) -> Any:
        """Return all rows so far; of each input, only the last."""
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
        # A read in Arrow's threads may outlast its call, and then aborts a process that is ending.
        return pq.ParquetFile(data).read(use_threads=False).replace_schema_metadata(None).cast(SCHEMA)
    except pa.ArrowException as error:
        raise OptionError(f"{place}: cannot be read as a manifest: {one_line(error)}") from None
