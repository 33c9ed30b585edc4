"""FSDP with one process. test_processes covers two."""

from collections.abc import Iterator

import pytest
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from tests.networks import TINY, build
from tests.train.launch import free_port
from tests.train.runs import same_values, tiny
from uformer.train.optimizers import make_optimizers
from uformer.train.sharding import (
    clip_gradients,
    exchanging_gradients,
    load,
    load_optimizer,
    replicate,
    shard,
    whole,
    whole_network,
)


@pytest.fixture
def group() -> Iterator[None]:
    dist.init_process_group("gloo", init_method=f"tcp://localhost:{free_port()}", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def is_sharded(value: object) -> bool:
    from torch.distributed.tensor import DTensor  # takes a second, so not in each process that collects

    return isinstance(value, DTensor)


def test_a_state_goes_there_and_back(group: None) -> None:
    plain, shared = build(TINY), build(TINY)
    shard((shared,), "cpu", 1)
    assert all(is_sharded(value) for value in shared.parameters())
    load(shared, plain.state_dict())
    assert same_values(whole(shared.state_dict()), dict(plain.state_dict()))
    assert same_values(dict(whole_network(shared).state_dict()), dict(plain.state_dict()))
    assert whole_network(plain) is plain
    picture = torch.rand(1, 3, 32, 32)
    assert torch.allclose(shared(picture), plain(picture), atol=1e-6)
    with pytest.raises(RuntimeError):
        load(shared, {**plain.state_dict(), next(iter(plain.state_dict())): torch.zeros(2)})


def test_so_does_an_optimizer_s(group: None) -> None:
    plain, shared = build(TINY), build(TINY)
    shard((shared,), "cpu", 1)
    load(shared, plain.state_dict())
    both = [make_optimizers(model, tiny()) for model in (plain, shared)]
    picture = torch.rand(1, 3, 32, 32)
    for model, optimizers in zip((plain, shared), both, strict=True):
        model(picture).mean().backward()
        for optimizer in optimizers:
            optimizer.step()
    for mine, theirs in zip(*both, strict=True):
        before = mine.state_dict()
        load_optimizer(theirs, before)
        assert any(
            is_sharded(value) for values in theirs.state_dict()["state"].values() for value in values.values()
        )
        assert same_values(whole(theirs.state_dict()), before)


def test_gradients_are_exchanged_with_the_last_part_only(group: None) -> None:
    """Replicated or sharded, the parts add up to the whole gradient, and only the last part is exchanged."""
    plain, replicated, shared = build(TINY), build(TINY), build(TINY)
    shard((shared,), "cpu", 1)
    load(shared, plain.state_dict())
    network = replicate(replicated, torch.device("cpu"))
    pictures = torch.rand(2, 3, 32, 32)
    plain(pictures).mean().backward()
    norm = clip_gradients(plain, 0)
    for model, called in ((replicated, network), (shared, shared)):
        for part in range(2):
            with exchanging_gradients(model, called, now=part == 1):
                assert not isinstance(
                    called, DistributedDataParallel
                ) or called.require_backward_grad_sync == (part == 1)
                (called(pictures[part : part + 1]).mean() / 2).backward()
        assert clip_gradients(model, 0) == pytest.approx(float(norm), rel=1e-4)
        assert clip_gradients(model, 1e-3) == pytest.approx(float(norm), rel=1e-4), "the norm before"
        assert clip_gradients(model, 0) == pytest.approx(1e-3, rel=1e-2)
