import itertools
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from tests.data.pictures import make_pairs
from tests.train.runs import tiny
from uformer.data.datasets import Patches
from uformer.data.pairs import find
from uformer.data.pictures import load
from uformer.errors import OptionError
from uformer.train.loader import Share, choose_workers, rate_of_loader, rate_of_one, start_loader


@pytest.fixture
def patches(tmp_path: Path) -> Patches:
    return Patches(pictures=load(find(make_pairs(tmp_path)), smallest=16, memory=10**9)[0], side=16, seed=0)


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_steps_take_the_same_patches_whoever_shares_them(processes: int, accumulate: int) -> None:
    recipe = tiny("steps=5", "batch=8", f"accumulate={accumulate}")
    shares = [list(Share(recipe, 2, process, processes)) for process in range(processes)]
    for step in range(3):
        of_step = [
            index
            for share in shares
            for part in share[step * accumulate : (step + 1) * accumulate]
            for index in part
        ]
        assert sorted(of_step) == list(range((step + 2) * 8, (step + 3) * 8))
    assert {len(share) for share in shares} == {len(Share(recipe, 2, 0, processes))}


def test_a_batch_that_cannot_be_shared_out_is_refused() -> None:
    with pytest.raises(
        OptionError, match=r"batch: 2 must be a multiple of 2 \(accumulate\) x 2 \(processes\)"
    ):
        Share(tiny("accumulate=2"), 0, 0, 2)


def test_batches_come_in_order_and_whole(patches: Patches) -> None:
    recipe = tiny("steps=3")
    batches = list(start_loader(patches, Share(recipe, 1), workers=0))
    assert len(batches) == 2
    degraded, clean = batches[0]
    assert degraded.shape == clean.shape == (2, 3, 16, 16)
    assert degraded.dtype == torch.float32
    assert torch.equal(clean[1], torch.from_numpy(patches[3][1]))


def test_workers_draw_the_same(patches: Patches) -> None:
    share = Share(tiny("steps=4"))
    alone, shared = (list(start_loader(patches, share, workers=workers)) for workers in (0, 2))
    assert all(
        torch.equal(a, b)
        for one, two in zip(alone, shared, strict=True)
        for a, b in zip(one, two, strict=True)
    )


def test_workers_are_chosen_by_the_device() -> None:
    assert choose_workers(tiny(), on_cpu=True) == 0
    assert choose_workers(tiny(), on_cpu=False) >= 1
    assert choose_workers(tiny("workers=3"), on_cpu=True) == 3


def test_rates_are_measured(patches: Patches, monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = itertools.count()  # a second passes between two looks at the clock
    monkeypatch.setattr("uformer.train.loader.time", SimpleNamespace(perf_counter=lambda: next(ticks)))
    assert rate_of_one(patches, seconds=4) == 3 / 4
    assert rate_of_loader(patches, Share(tiny("steps=10000")), workers=0, seconds=4) == 5 * 2 / 6
    with pytest.raises(OptionError, match="steps: 1 is too few"):
        rate_of_loader(patches, Share(tiny("steps=1"), 1), workers=0)
