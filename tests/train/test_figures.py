from collections.abc import Iterator

import pytest
import torch

from uformer.train.figures import Figures
from uformer.train.loader import Batch
from uformer.train.processes import Processes


class Clock:
    """A clock that moves only when a test sets it."""

    now = 0.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("uformer.train.figures.time", clock)
    return clock


def slow_batches(clock: Clock) -> Iterator[Batch]:
    while True:
        clock.now += 2
        yield torch.zeros(1), torch.ones(1)


def test_figures_are_those_since_the_last_line(clock: Clock) -> None:
    figures, batches = Figures(), slow_batches(clock)
    degraded, clean = figures.next_batch(batches, torch.device("cpu"))
    assert (float(degraded), float(clean)) == (0, 1)
    for step in range(3):
        clock.now += 1
        figures.add(torch.tensor(float(step)), torch.tensor(10.0))
    values, seconds, waited = figures.take(Processes())
    assert values.tolist() == [[[0, 10], [1, 10], [2, 10]]]
    assert (seconds, waited) == (5, 2)

    figures.add(torch.tensor(3.0), torch.tensor(1.0))
    values, seconds, waited = figures.take(Processes())
    assert values.tolist() == [[[3, 1]]]
    assert (seconds, waited) == (0, 0)


def test_the_time_of_a_score_or_a_save_does_not_count(clock: Clock) -> None:
    figures = Figures()
    clock.now = 100
    figures.skip_time()
    clock.now = 101
    figures.add(torch.tensor(0.0), torch.tensor(0.0))
    assert figures.take(Processes())[1] == 1
