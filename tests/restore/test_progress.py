"""The parts of a job count towards one progress."""

from uformer.restore.progress import shares


def test_each_part_counts_as_many_tiles() -> None:
    told: list[tuple[int, int]] = []
    for share in shares(lambda done, total: told.append((done, total)), 3):
        assert share is not None
        share(1, 2)
        share(2, 2)
    assert told == [(done, 6) for done in range(1, 7)]


def test_nobody_listens() -> None:
    assert shares(None, 2) == [None, None]
