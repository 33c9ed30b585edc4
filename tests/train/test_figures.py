import time
from collections.abc import Iterator

import torch

from uformer.train.figures import Figures
from uformer.train.loader import Batch
from uformer.train.processes import Processes


def slow_batches() -> Iterator[Batch]:
    while True:
        time.sleep(0.02)
        yield torch.zeros(1), torch.ones(1)


def test_figures_are_those_since_the_last_line() -> None:
    figures, batches = Figures(), slow_batches()
    degraded, clean = figures.next_batch(batches, torch.device("cpu"))
    assert (float(degraded), float(clean)) == (0, 1)
    for step in range(3):
        figures.add(torch.tensor(float(step)), torch.tensor(10.0))
    values, seconds, waited = figures.take(Processes())
    assert values.tolist() == [[[0, 10], [1, 10], [2, 10]]]
    assert 0.02 <= waited <= seconds

    figures.add(torch.tensor(3.0), torch.tensor(1.0))
    values, _, waited = figures.take(Processes())
    assert values.tolist() == [[[3, 1]]]
    assert waited == 0


def test_the_time_of_a_score_or_a_save_does_not_count() -> None:
    figures = Figures()
    time.sleep(0.05)
    figures.skip_time()
    figures.add(torch.tensor(0.0), torch.tensor(0.0))
    assert figures.take(Processes())[1] < 0.05
