"""Where a run computes: accelerate's device and processes, and the precision that the device has."""

import dataclasses
import os

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from uformer.errors import OptionError
from uformer.train.recipe import Recipe


def make_accelerator(recipe: Recipe, device: str) -> Accelerator:
    """For `device` auto, cpu, cuda or mps, under `accelerate launch` one of several. Raises OptionError for a device that is not there.

    fp16 scales its losses, so that small gradients do not vanish.
    """
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "auto": True}
    if not there.get(device, False):
        raise OptionError(f"device: {device!r} is not here; here are: {', '.join(name for name, here in there.items() if here)}")
    if any(os.environ.get(f"ACCELERATE_USE_{name}", "false").lower() == "true" for name in ("FSDP", "DEEPSPEED", "MEGATRON_LM")):
        raise OptionError("accelerate's --use_fsdp and --use_deepspeed do not go with this program; it shards by --set sharding=full")
    AcceleratorState._reset_state(reset_partial_state=True)  # noqa: SLF001 - a process may train more than once
    accelerator = Accelerator(cpu=device == "cpu", mixed_precision="no")
    precision = choose_precision(recipe, accelerator.device)
    if precision == "fp16" and recipe.sharding == "full":
        raise OptionError("sharding: full needs precision bf16 or fp32, not fp16")
    if precision == "fp32":
        return accelerator
    AcceleratorState._reset_state(reset_partial_state=False)  # noqa: SLF001 - the device says which precision it has
    return Accelerator(cpu=device == "cpu", mixed_precision=precision)


def choose_precision(recipe: Recipe, device: torch.device) -> str:
    """fp32, bf16 or fp16. Raises OptionError for fp16 on a device that has no fast fp16."""
    if recipe.precision == "auto":
        return "bf16" if device.type == "cuda" and torch.cuda.is_bf16_supported() else "fp32"
    if recipe.precision == "fp16" and device.type != "cuda":
        raise OptionError(f"precision: fp16 needs a GPU (CUDA), not {device.type}; bf16 and fp32 work here")
    return recipe.precision


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
