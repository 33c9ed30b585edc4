"""Who works on what, kept outside of the workers: so that one that dies loses nothing, and a picture that kills is found out.

A shard whose worker has died is done again one picture at a time, each noted before it is begun. So the picture that was noted last is
the one that killed, and after MOST_DEATHS of its workers it is given up.
"""

from uformer.batch.records import Record
from uformer.errors import UformerError

MOST_DEATHS = 2
"""Workers that may die over one picture, alone, before it counts as failed; one more died over its shard before."""


class Ledger:
    """Of each shard under way: how often it was begun, its records so far, and how often each picture was noted and not finished."""

    def __init__(self) -> None:
        self._refusal: UformerError | None = None
        self._begun: dict[int, int] = {}
        self._records: dict[int, dict[str, Record]] = {}
        self._deaths: dict[str, int] = {}

    def begin(self, shard: int) -> tuple[bool, dict[str, Record]]:
        """Whether a worker has died over this shard before, and the records that it left, by input."""
        self._begun[shard] = self._begun.get(shard, 0) + 1
        return self._begun[shard] > 1, dict(self._records.setdefault(shard, {}))

    def note(self, picture: str) -> int:
        """A picture is begun: how many workers died over it."""
        deaths = self._deaths.get(picture, 0)
        self._deaths[picture] = deaths + 1
        return deaths

    def finish(self, shard: int, record: Record) -> None:
        """A picture is done, or has failed."""
        self._deaths.pop(record.input, None)
        self._records.setdefault(shard, {})[record.input] = record

    def forget(self, shard: int) -> None:
        """The job has the records of a shard."""
        self._begun.pop(shard, None)
        for picture in self._records.pop(shard, {}):
            self._deaths.pop(picture, None)

    def refuse(self, error: UformerError) -> None:
        """No picture whatever can be restored: the first reason holds."""
        self._refusal = self._refusal or error

    def refusal(self) -> UformerError | None:
        return self._refusal

    def unclaimed(self) -> list[Record]:
        """The records of the shards under way, for a job that is stopped."""
        return [record for records in self._records.values() for record in records.values()]


def given_up(picture: str) -> Record:
    """The record of a picture over which too many workers died."""
    why = f"its worker died {MOST_DEATHS + 1} times, at last with nothing else in hand: out of memory, or a crash of the picture's decoder"
    return Record(input=picture, output=None, error=why)
