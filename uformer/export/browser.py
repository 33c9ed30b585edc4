"""Networks for onnxruntime-web: ONNX files with float16 weights, and answers that check a browser's GPU."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from uformer.export.facts import metadata
from uformer.export.verify import TOLERANCES, Agreement, Pictures, check, compare, examples
from uformer.files import require
from uformer.weights import checkpoint
from uformer.weights.provenance import Provenance

STEP = 997
"""Every STEP-th sample of the answer is kept."""


@dataclass(frozen=True)
class BrowserModel:
    """A written file, its differences from the network, and samples of the network's answer to `probe`."""

    about: Provenance
    agreements: tuple[Agreement, ...]
    answer: tuple[float, ...]


def require_packages() -> None:
    """Raise OptionError, with the command that installs them, if a package for the export is missing."""
    for module in ("torch", "onnx", "onnxruntime", "onnxscript"):
        require(module, "export")


def write(path: Path, weights: Path) -> BrowserModel:
    """Write a checkpoint as an ONNX file for browsers. Raises ExportError if it disagrees with the network.

    It accepts tiles of any size. Its weights are stored in float16, and it computes in float32.
    """
    from uformer.export import half_weights, numbered, onnx_model, torch_program  # noqa: PLC0415 - optional

    about = Provenance.of(weights)
    model = checkpoint.load(weights)
    graph = numbered.with_weights(numbered.numbered_graph(about.config), model)
    half_weights.store_half(graph)
    onnx_model.write(path, graph, metadata(about, "fp16"))
    network = torch_program.in_torch(model)
    agreements = compare(onnx_model.load(path), network, examples(about.config))
    check(agreements, tolerance=TOLERANCES["fp16"])
    answer = network(probe(about.config.in_channels, about.config.multiple))
    return BrowserModel(about, tuple(agreements), tuple(float(each) for each in answer.ravel()[::STEP]))


def probe(channels: int, side: int) -> Pictures:
    """Return an image (1, C, side, side) that JavaScript can compute as well, bit for bit."""
    at = np.arange(channels * side * side, dtype=np.int64)
    levels = (31 * at * at + 17 * at) % 256
    return (levels.astype(np.float32) / np.float32(255)).reshape(1, channels, side, side)
