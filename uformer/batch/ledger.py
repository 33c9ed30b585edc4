"""Records which worker does what, outside the workers.

A worker that dies therefore loses nothing, and an image that kills its workers is found.

A shard whose worker has died is processed again, one image at a time, and each image is noted before it
starts. If the worker dies again, the image noted last killed it. An image is given up after it has killed
MOST_DEATHS workers in this way.
"""

from uformer.batch.records import Record
from uformer.errors import UformerError

MOST_DEATHS = 2
"""Workers that one image may kill while it is processed alone, after the one that died on its whole shard."""


class Ledger:
    """The state of the shards in progress.

    For each shard: how often it was started, and its records so far. For each image that was noted but not
    finished: how often it was noted.
    """

    def __init__(self) -> None:
        self._refusal: UformerError | None = None
        self._begun: dict[int, int] = {}
        self._records: dict[int, dict[str, Record]] = {}
        self._deaths: dict[str, int] = {}

    def begin(self, shard: int) -> tuple[bool, dict[str, Record]]:
        """Start a shard. Returns whether a worker has died on it before, and its records so far, by input."""
        self._begun[shard] = self._begun.get(shard, 0) + 1
        return self._begun[shard] > 1, dict(self._records.setdefault(shard, {}))

    def note(self, image: str) -> int:
        """Note that an image starts. Returns how many workers it has killed."""
        deaths = self._deaths.get(image, 0)
        self._deaths[image] = deaths + 1
        return deaths

    def finish(self, shard: int, record: Record) -> None:
        """Record the outcome of an image."""
        self._deaths.pop(record.input, None)
        self._records.setdefault(shard, {})[record.input] = record

    def forget(self, shard: int) -> None:
        """Drop a shard, once the job has its records."""
        self._begun.pop(shard, None)
        for image in self._records.pop(shard, {}):
            self._deaths.pop(image, None)

    def refuse(self, error: UformerError) -> None:
        """Record an error that affects every image. The first one counts."""
        self._refusal = self._refusal or error

    def refusal(self) -> UformerError | None:
        return self._refusal

    def unclaimed(self) -> list[Record]:
        """Return the records of the shards in progress, for a job that is interrupted."""
        return [record for records in self._records.values() for record in records.values()]


def given_up(image: str) -> Record:
    """Return the record of an image that has killed too many workers."""
    why = (
        f"its worker died {MOST_DEATHS + 1} times, the last {MOST_DEATHS} while it processed only this image:"
        " out of memory, or a crash of the image decoder"
    )
    return Record(input=image, output=None, error=why)
