"""Finds the images that remain to be restored, from listings of inputs and outputs and the manifest."""

import os
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from uformer.batch import places
from uformer.batch.records import Item, Record
from uformer.restore.walk import identity

MOST_IN_A_SHARD = 32
"""Images that a worker takes at a time, and the most that are restored twice if it dies."""


@dataclass
class Remaining:
    """The remaining work of a job, and the outcomes that are known beforehand."""

    items: list[Item] = field(default_factory=list)
    """Images to restore, or to record if the output exists, in the order of the inputs."""
    done: int = 0
    """Number of images that the manifest records as finished and whose outputs exist."""
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
    """Return the remaining work of a job.

    `pairs`: inputs, and the names of their outputs below `out`. `there`: the existing names below `out`.
    `recorded`: input -> output of the finished rows of the manifest, both `places.as_text`. `redo`: make an
    output again if it is not recorded, rather than keep it. `fold`: whether the file system ignores case in
    names.

    An item fails if its output is already the output of another input, or would replace an input. Only with
    `redo` can a file be replaced, so only then are the files compared, whatever links lead to them.
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
            why = f"its output {output} is already the output of {taken[key]}"
            result.failures.append(Record(input=source, output=None, error=why))
        elif _real(output) in originals or (files and name in there and identity(Path(output)) in files):
            why = f"its output {output} would replace an input"
            result.failures.append(Record(input=source, output=None, error=why))
        else:
            taken[key] = source
            if name in there and recorded.get(places.as_text(source)) == places.as_text(output):
                result.done += 1
            else:
                result.items.append(Item(input=source, output=output, there=name in there and not redo))
    return result


def shards(items: Sequence[Item], workers: int) -> list[list[Item]]:
    """Split the items into shards of at most MOST_IN_A_SHARD.

    Each worker gets several, so that no worker waits long for the last one.
    """
    size = max(1, min(MOST_IN_A_SHARD, len(items) // (4 * workers)))
    return [list(items[start : start + size]) for start in range(0, len(items), size)]


_folders: dict[str, str] = {}


def _real(place: str) -> str:
    """Return a place with the links of its folder resolved. Each folder is looked up once."""
    if not places.is_local(place):
        return place
    path = Path(place)
    folder = str(path.parent)
    if folder not in _folders:
        _folders[folder] = os.path.realpath(folder)
    return os.path.join(_folders[folder], path.name)  # noqa: PTH118
