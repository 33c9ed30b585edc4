"""Export of the network to a torch.export program, with free batch, height and width or with fixed ones."""

import copy
import io
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from uformer.model.uformer import Uformer

EXTRA_FILE = "uformer.json"
"""The program's extra file that holds the metadata."""


class _Half(nn.Module):
    """The network in float16, with float32 input and output."""

    def __init__(self, model: Uformer) -> None:
        super().__init__()
        self.network = copy.deepcopy(model).half()

    def forward(self, image: Tensor) -> Tensor:
        restored: Tensor = self.network(image.half()).float()
        return restored


def trace(model: Uformer, *, half: bool = False, shape: tuple[int, int] | None = None) -> ExportedProgram:
    """Trace the network; `half` makes it compute in float16.

    The input is `image`, (B, in_channels, H, W) float32 with any B, H and W from 1; with `shape`, one image
    of exactly that height and width. The output is `restored`.
    """
    network = _Half(model).eval() if half else model
    if shape is not None:
        with torch.no_grad():
            return torch.export.export(network, (torch.rand(1, model.config.in_channels, *shape),))
    # A batch of two with sides that need padding, so that torch.export does not specialize on special sizes.
    example = torch.rand(2, model.config.in_channels, 19, 30)
    free = {0: Dim("batch", min=1), 2: Dim("height", min=1), 3: Dim("width", min=1)}
    with torch.no_grad():
        return torch.export.export(network, (example,), dynamic_shapes=(free,))


def write(path: Path, program: ExportedProgram, facts: Mapping[str, str]) -> None:
    """Write a .pt2 file with the facts as JSON in an extra file. Raises OSError if it cannot be written."""
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # it contains paths of this machine
    made = io.BytesIO()  # torch's file writer ends the process if the disk is full
    torch.export.save(program, made, extra_files={EXTRA_FILE: json.dumps(facts)})
    path.write_bytes(made.getbuffer())


def load(path: Path) -> Any:
    """Return a file written by `write` as a function of arrays."""
    with warnings.catch_warnings(), open(path, "rb") as file:
        warnings.simplefilter("ignore", FutureWarning)  # raised inside torch, by its pytree
        module = torch.export.load(file).module()

    def run(images: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            restored: NDArray[np.float32] = module(torch.from_numpy(images)).numpy()
        return restored

    return run


def in_torch(model: Uformer) -> Any:
    """Return the network itself as a function of arrays."""

    def run(images: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            restored: NDArray[np.float32] = model(torch.from_numpy(images)).numpy()
        return restored

    return run
