"""The device, the precision and the parts of a batch that suit the machine a run trains on."""

import dataclasses
from pathlib import Path
from typing import Literal

import torch

from uformer.errors import OptionError
from uformer.train.processes import Processes
from uformer.train.recipe import Recipe

Precision = Literal["fp32", "bf16", "fp16"]

_BF16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}  # x86, x86, ARM


def choose_device(name: str, processes: Processes) -> torch.device:
    """The device for `name` (auto, cpu, cuda or mps); the GPU of its own for each of several processes.

    Raises OptionError for a device that this machine does not have.
    """
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    several = processes.count > 1
    if name == "auto":
        name = "cuda" if available["cuda"] else "mps" if available["mps"] and not several else "cpu"
    if not available.get(name, False):
        here = ", ".join(kind for kind, there in available.items() if there)
        raise OptionError(f"device: {name!r} is not here; here are: {here}, auto")
    if name == "mps" and several:
        raise OptionError("device: mps takes one process; start one, or use --device cpu")
    if name != "cuda" or not several:
        return torch.device(name)
    if processes.local_index >= (gpus := torch.cuda.device_count()):
        which = f"process {processes.local_index + 1} of this machine"
        raise OptionError(f"device: {which} has no GPU of its own; start at most {gpus}")
    device = torch.device("cuda", processes.local_index)
    torch.cuda.set_device(device)
    return device


def choose_precision(recipe: Recipe, device: torch.device) -> Precision:
    """The precision to train in. fp32 replaces bf16 on a CPU without bf16 instructions (emulated).

    Raises OptionError for fp16 on a device without fast fp16, and for fp16 with sharding.
    """
    if recipe.precision == "auto":
        return "bf16" if device.type == "cuda" and torch.cuda.is_bf16_supported() else "fp32"
    if recipe.precision == "fp16" and device.type != "cuda":
        raise OptionError(f"precision: fp16 needs a GPU (CUDA), not {device.type}; bf16 and fp32 work here")
    if recipe.precision == "fp16" and recipe.sharding == "full":
        raise OptionError("sharding: full needs precision bf16 or fp32, not fp16")
    if recipe.precision == "bf16" and device.type == "cpu" and not fast_bf16():
        return "fp32"
    return recipe.precision


def fast_bf16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether this CPU has bf16 instructions; True on a system without /proc/cpuinfo (any but Linux)."""
    try:
        words = cpuinfo.read_text(encoding="utf-8", errors="replace").split()
    except OSError:
        return True
    return not _BF16_FLAGS.isdisjoint(words)


def with_parts(recipe: Recipe, device: torch.device, *, processes: int = 1) -> Recipe:
    """The recipe with the parts that a batch is taken in, where it leaves them open (`accumulate` 0)."""
    if recipe.accumulate:
        return recipe
    if device.type != "cpu":
        return dataclasses.replace(recipe, accumulate=1)
    fit = max(1, 2 * 128**2 // recipe.patch**2)  # patches
    share = recipe.batch // processes
    parts = next((parts for parts in range(1, share + 1) if share % parts == 0 and share // parts <= fit), 1)
    return dataclasses.replace(recipe, accumulate=parts)


def compiles(recipe: Recipe, device: torch.device) -> bool:
    """Whether the network is compiled (torch.compile)."""
    return recipe.compile == "always" or (recipe.compile == "auto" and device.type == "cuda")
