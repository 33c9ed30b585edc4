"""Share one network among several processes: each keeps all of it (DDP), or a part of it (FSDP).

DDP: every process computes its share of a batch with the whole network, and the gradients are averaged.
FSDP (Zhao et al. 2023; torch's fully_shard): each process keeps a part of the weights, the gradients, the
moving average and the optimizer state. The weights of a block are gathered only while it computes.
Saved states are complete and have the same form either way, so a run can resume with another number of
processes, sharded or not.

torch's modules for FSDP take a second to import, so only a sharded run imports them.
"""

import contextlib
import math
import warnings
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from uformer.model.blocks import LeWinBlock
from uformer.model.uformer import Uformer


def shard(models: tuple[nn.Module, ...], device: str, processes: int) -> None:
    """Shard the weights of networks over all processes, by LeWin block. `device` is a device type."""
    from torch.distributed.device_mesh import init_device_mesh  # noqa: PLC0415
    from torch.distributed.fsdp import fully_shard  # noqa: PLC0415

    # The warning is about writing into the view, which nothing does.
    warnings.filterwarnings("ignore", message="FSDP2-wrapped module .* returned a view tensor")
    mesh = init_device_mesh(device, (processes,))
    for model in models:
        for module in model.modules():
            if isinstance(module, LeWinBlock):
                fully_shard(module, mesh=mesh)
        fully_shard(model, mesh=mesh)


def replicate(network: nn.Module, device: torch.device) -> nn.Module:
    """Return the network wrapped in DDP, which averages its gradients over all processes."""
    return DistributedDataParallel(network, device_ids=None if device.index is None else [device.index])


def exchanging_gradients(model: nn.Module, network: nn.Module, *, now: bool) -> AbstractContextManager[None]:
    """Return a context in which backward exchanges gradients between processes `now`, or only adds them up.

    `network` is what the training step calls: the model itself, compiled or wrapped in DDP.
    """
    if (set_exchange := getattr(model, "set_requires_gradient_sync", None)) is not None:  # with FSDP
        set_exchange(now)
    elif isinstance(network, DistributedDataParallel) and not now:
        return network.no_sync()
    return contextlib.nullcontext()


def clip_gradients(model: nn.Module, largest: float) -> Tensor:
    """Scale the gradients to a norm of at most `largest` (0: no limit). Returns the norm before scaling."""
    norm = nn.utils.clip_grad_norm_(model.parameters(), largest or math.inf)
    return whole_tensor(norm)


def is_sharded(value: Any) -> bool:
    """Return whether the value is a DTensor, of which each process keeps a part."""
    return hasattr(value, "full_tensor")


def whole_tensor(value: Any) -> Tensor:
    """Return a tensor, gathered on its device if it is sharded. All processes must call it."""
    gathered: Tensor = value.full_tensor() if is_sharded(value) else value
    return gathered


def whole(value: Any) -> Any:
    """Return a nested state with every sharded tensor gathered onto the CPU. All processes must call it."""
    if is_sharded(value):
        return whole_tensor(value).cpu()
    if isinstance(value, dict):
        return {key: whole(part) for key, part in value.items()}
    return [whole(part) for part in value] if isinstance(value, list) else value


def whole_network(model: Uformer) -> Uformer:
    """Return the network if it is not sharded, else a complete copy. All processes must call it."""
    parameters = list(model.parameters())
    if not any(is_sharded(value) for value in parameters):
        return model
    copied = Uformer(model.config).eval().requires_grad_(requires_grad=False)
    copied.load_state_dict(whole(model.state_dict()))
    return copied.to(parameters[0].device)


def load(model: nn.Module, state: dict[str, Tensor]) -> None:
    """Load a complete state into a network, sharded or not. Errors are those of `load_state_dict`."""
    mine = model.state_dict()
    model.load_state_dict(
        {name: _as(mine[name], value) if name in mine else value for name, value in state.items()}
    )


def load_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Load a complete state into an optimizer, sharded or not. Errors are those of `load_state_dict`."""
    parameters = [value for group in optimizer.param_groups for value in group["params"]]
    shared = {
        index: {
            name: _as(parameters[index], value) if torch.is_tensor(value) else value
            for name, value in values.items()
        }
        for index, values in state["state"].items()
    }
    optimizer.load_state_dict({**state, "state": shared})


def _as(model: Any, value: Tensor) -> Tensor:
    """Return a complete tensor, sharded as `model` is if that is sharded and has the same shape."""
    if not is_sharded(model) or model.shape != value.shape:
        return value
    from torch.distributed.tensor import distribute_tensor  # noqa: PLC0415

    return distribute_tensor(value.to(model.device), model.device_mesh, model.placements, src_data_rank=None)
