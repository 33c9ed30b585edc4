"""A small network and its exported files. They are made once per session, because each takes seconds."""

import contextlib
import importlib.util
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from onnx import load_model_from_string

from tests.networks import KINDS, build
from uformer.cli import main
from uformer.export import onnx_model, torch_program
from uformer.model.uformer import Uformer
from uformer.weights import checkpoint

needs_nncf = pytest.mark.skipif(
    importlib.util.find_spec("nncf") is None, reason='needs pip install "uformer[int8]"'
)
"""Does not import nncf, as pytest.importorskip does: then its telemetry would be on in this process."""


@pytest.fixture(scope="session")
def network() -> Uformer:
    return build(KINDS["2022"])


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory, network: Uformer) -> Path:
    """Return a folder with tiny.safetensors."""
    folder = tmp_path_factory.mktemp("export")
    checkpoint.save(folder / "tiny.safetensors", network, notes={"licence": "CC0 1.0"})
    return folder


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of pairs: smooth images, and the same images with noise."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:40, :52] / 40
    for name in ("clean", "degraded"):
        (folder / name).mkdir()
    for number in range(3):
        clean = np.stack(
            [0.5 + 0.4 * np.sin(3 * x * (channel + 1 + number) + 5 * y) for channel in range(3)], axis=-1
        )
        for name, sigma in (("clean", 0.0), ("degraded", 0.1)):
            noisy = np.clip(clean + rng.normal(0, sigma, clean.shape), 0, 1)
            PIL.Image.fromarray((noisy * 255).round().astype(np.uint8)).save(folder / name / f"{number}.png")
    return folder


def exported(folder: Path, name: str, *options: str) -> tuple[Path, str]:
    """Run `uformer export`; return the file that it writes and the text that it prints."""
    path, printed = folder / name, io.StringIO()
    with contextlib.redirect_stdout(printed), reused_graph():
        assert main(["export", str(folder / "tiny.safetensors"), "--out", str(path), *options]) == 0
    return path, printed.getvalue()


_graph: list[bytes] = []


@contextlib.contextmanager
def reused_graph() -> Iterator[None]:
    """Reuse the float32 graph, because torch's exporter takes seconds even for the smallest network."""
    trace, make = torch_program.trace, onnx_model.from_program

    def traced(model: Uformer, *, half: bool = False, shape: tuple[int, int] | None = None) -> Any:
        return trace(model, half=half, shape=shape) if half or shape or not _graph else None

    def made(program: Any, **options: Any) -> Any:
        if program is None:
            return load_model_from_string(_graph[0])
        model = make(program, **options)
        if any(value.dim_value for value in model.graph.input[0].type.tensor_type.shape.dim[2:]):
            return model  # for one size only
        _graph.append(model.SerializeToString())
        return model

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch_program, "trace", traced)
        patch.setattr(onnx_model, "from_program", made)
        yield


@pytest.fixture(scope="session")
def onnx_file(folder: Path) -> tuple[Path, str]:
    return exported(folder, "tiny.onnx")


@pytest.fixture(scope="session")
def openvino_file(folder: Path) -> tuple[Path, str]:
    return exported(folder, "tiny.xml", "--format", "openvino")


@pytest.fixture(scope="session")
def torch_file(folder: Path) -> tuple[Path, str]:
    return exported(folder, "tiny.pt2", "--format", "torch", "--precision", "fp16", "--licence", "MIT")
