"""Choose the device, the precision and the parts of a batch (`accumulate`) that suit the machine."""

import dataclasses
from typing import Literal

import torch

from uformer.errors import OptionError
from uformer.processors import has_bf16
from uformer.restore.backends.pytorch import torch_kinds
from uformer.train.processes import Processes
from uformer.train.recipe import Recipe

Precision = Literal["fp32", "bf16", "fp16"]


def choose_device(name: str, processes: Processes) -> torch.device:
    """Return the device for `name` (auto, cpu, cuda, mps or xpu). Each of several processes gets its own GPU.

    Raises OptionError if this machine does not have the device.
    """
    available = torch_kinds()
    several = processes.count > 1
    alone = ("mps", "xpu")  # one process only
    if name == "auto":
        name = next(kind for kind, there in available.items() if there and not (several and kind in alone))
    if not available.get(name, False):
        here = ", ".join(kind for kind, there in available.items() if there)
        raise OptionError(f"--device {name}: this machine has no such device; available: {here}, auto")
    if name in alone and several:
        raise OptionError(f"--device {name}: supports one process only; start one, or use --device cpu")
    if name != "cuda" or not several:
        return torch.device(name)
    if processes.local_index >= (gpus := torch.cuda.device_count()):
        which = f"no GPU is left for process {processes.local_index + 1} on this machine"
        raise OptionError(f"--device cuda: {which}; start at most {gpus}")
    device = torch.device("cuda", processes.local_index)
    torch.cuda.set_device(device)
    return device


def choose_precision(recipe: Recipe, device: torch.device) -> Precision:
    """Return the precision to train in.

    On a CPU without bf16 instructions, fp32 replaces bf16, which torch would emulate slowly. Raises
    OptionError for fp16 on any device but a CUDA GPU, and for fp16 with sharding.
    """
    if recipe.precision == "auto":
        return "bf16" if device.type == "cuda" and torch.cuda.is_bf16_supported() else "fp32"
    if recipe.precision == "fp16" and device.type != "cuda":
        raise OptionError(
            f"precision: fp16 needs a CUDA GPU, but the device is {device.type}; use bf16 or fp32"
        )
    if recipe.precision == "fp16" and recipe.sharding == "full":
        raise OptionError("sharding: full does not work with precision fp16; use bf16 or fp32")
    if recipe.precision == "bf16" and device.type == "cpu" and not has_bf16():
        return "fp32"
    return recipe.precision


def with_parts(recipe: Recipe, device: torch.device, *, processes: int = 1) -> Recipe:
    """Return the recipe with `accumulate` chosen for the device, unless the recipe sets it."""
    if recipe.accumulate:
        return recipe
    if device.type != "cpu":
        return dataclasses.replace(recipe, accumulate=1)
    fit = max(1, 2 * 128**2 // recipe.patch**2)  # patches
    share = recipe.batch // processes
    parts = next((parts for parts in range(1, share + 1) if share % parts == 0 and share // parts <= fit), 1)
    return dataclasses.replace(recipe, accumulate=parts)


def compiles(recipe: Recipe, device: torch.device) -> bool:
    """Whether to compile the network (torch.compile)."""
    return recipe.compile == "always" or (recipe.compile == "auto" and device.type == "cuda")
