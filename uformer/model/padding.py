"""Padding an image by reflection to any height and width, fixed or dynamic in torch.export."""

import typing

import torch
from torch import Tensor


def reflect_to_multiple(image: Tensor, multiple: int) -> Tensor:
    """Extend (B, C, H, W) at the bottom and right to multiples, by reflection, as often as it takes."""
    # A graph for dynamic sizes must not depend on the example's size.
    eager = not torch.compiler.is_compiling() and not jit_traces()
    if eager and image.shape[2] % multiple == 0 and image.shape[3] % multiple == 0:
        return image
    rows = _reflected(image.shape[2], multiple, image.device)
    columns = _reflected(image.shape[3], multiple, image.device)
    return image[:, :, rows[:, None], columns]


def _reflected(length: int, multiple: int, device: torch.device) -> Tensor:
    """The source index of each position on the padded axis: for 3 padded to 8, 0 1 2 1 0 1 2 1."""
    padded = _count(length, multiple) * multiple
    if jit_traces():  # lengths are tensors then
        period = typing.cast(Tensor, 2 * length - 2).clamp(min=1)
    else:
        torch._check(length <= padded)
        period = torch.sym_max(2 * length - 2, 1)
        period = torch.scalar_tensor(period, dtype=torch.int64, device=device)  # ONNX needs a tensor
    at = torch.arange(padded, device=device) % period
    return torch.where(at < length, at, period - at)


def _count(length: int, multiple: int) -> int:
    """Return how many multiples cover the length.

    If the length is dynamic in torch.export, the count becomes an independent (unbacked) size, of which only
    positivity is known. A formula of the length would tie the graph to the example ("more than one window"),
    and the graph would refuse every smaller image.
    """
    count = (length + multiple - 1) // multiple
    if torch.compiler.is_exporting():
        from torch.fx.experimental.symbolic_shapes import has_static_value  # noqa: PLC0415 - slow to import

        if has_static_value(length):
            return count
        count = typing.cast(int, torch.scalar_tensor(count, dtype=torch.int64).item())
        torch._check(count >= 1)
    return count


def jit_traces() -> bool:
    """Whether torch.jit.trace is recording; sizes are tensors then."""
    return bool(torch.jit.is_tracing())  # type: ignore[attr-defined, no-untyped-call]
