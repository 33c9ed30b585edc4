"""Progress callbacks, and dividing one among the parts of a job."""

import functools
from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Called after each tile with the number of finished tiles and the number of all tiles."""


def shares(progress: Progress | None, parts: int) -> list[Progress | None]:
    """Return a progress callback for each part of a job, as if all parts had the same number of tiles."""
    if progress is None:
        return [None] * parts

    def share(number: int, done: int, total: int) -> None:
        progress(number * total + done, parts * total)

    return [functools.partial(share, number) for number in range(parts)]
