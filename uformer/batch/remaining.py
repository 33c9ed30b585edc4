"""What is to be done, minus what is done: from one listing of the inputs, one of the outputs, and the manifest so far."""

import os
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from uformer.batch import places
from uformer.batch.records import Item, Record
from uformer.restore.walk import identity

MOST_IN_A_SHARD = 32
"""Pictures that a worker takes at a time: what is restored twice when it dies is less than that, and a million are 31,250 shards."""


@dataclass
class Remaining:
    """All that a job has to do, and what is known beforehand."""

    items: list[Item] = field(default_factory=list)
    """To restore, or where the output is there, to look at, in the order of the inputs."""
    done: int = 0
    """Pictures of which the manifest says so, and whose outputs are there."""
    failures: list[Record] = field(default_factory=list)

    @property
    def count(self) -> int:
        return len(self.items) + self.done + len(self.failures)


def find_remaining(
    pairs: Sequence[tuple[str, str]],
    out: str,
    *,
    there: Collection[str],
    recorded: Mapping[str, str],
    redo: bool = False,
    fold: bool = False,
) -> Remaining:
    """What a job has to do.

    `pairs`: inputs, and the names of their outputs below `out`. `there`: the names below `out` that are there. `recorded`: input ->
    output of what the manifest says is done, `places.as_text`. `redo`: an output that is not recorded is made again, else it is taken as
    it is; only then is a file replaced, so only then files are looked at, to replace no input by whatever name. `fold`: whether the file
    system takes names that differ in case for one.
    """
    result = Remaining()
    taken: dict[str, str] = {}
    originals = {_real(source) for source, _ in pairs}
    files = (
        {identity(Path(source)) for source, _ in pairs if places.is_local(source)} - {None} if redo else set()
    )
    seen: set[str] = set()
    for source, name in pairs:
        if source in seen:
            continue
        seen.add(source)
        output = places.join(out, name)
        key = unicodedata.normalize("NFC", name).casefold() if fold else name
        if key in taken:
            result.failures.append(
                Record(
                    input=source, output=None, error=f"its output, {output}, is that of {taken[key]} already"
                )
            )
        elif _real(output) in originals or (files and name in there and identity(Path(output)) in files):
            why = f"its output, {output}, would replace a picture that is to be restored"
            result.failures.append(Record(input=source, output=None, error=why))
        else:
            taken[key] = source
            if name in there and recorded.get(places.as_text(source)) == places.as_text(output):
                result.done += 1
            else:
                result.items.append(Item(input=source, output=output, there=name in there and not redo))
    return result


def shards(items: Sequence[Item], workers: int) -> list[list[Item]]:
    """The items in parts of at most MOST_IN_A_SHARD, and several for each worker, so that none waits long for the last."""
    size = max(1, min(MOST_IN_A_SHARD, len(items) // (4 * workers)))
    return [list(items[start : start + size]) for start in range(0, len(items), size)]


_folders: dict[str, str] = {}


def _real(place: str) -> str:
    """A place as links lead there; folders are looked up once."""
    if not places.is_local(place):
        return place
    path = Path(place)
    folder = str(path.parent)
    if folder not in _folders:
        _folders[folder] = os.path.realpath(folder)
    return os.path.join(_folders[folder], path.name)  # noqa: PTH118
