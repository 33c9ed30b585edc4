"""The ONNX backend: files of `uformer export`, run by onnxruntime on the CPU; no torch."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from uformer.config import UformerConfig
from uformer.errors import CheckpointError, OptionError
from uformer.files import one_line, require
from uformer.restore.memory import onnx_memory
from uformer.weights.checkpoint import check_file

if TYPE_CHECKING:
    import onnx

FORMAT = "uformer-export-1"
SUFFIX = ".onnx"
FATAL = 4  # what onnxruntime says on standard error

PathLike = str | os.PathLike[str]


def is_onnx(path: PathLike) -> bool:
    """Whether a file's name says that it is for this backend."""
    return Path(path).suffix.lower() == SUFFIX


class OnnxBackend:
    """The network of a .onnx file that `uformer export` made, for tiles of any size.

    Raises OptionError where onnxruntime is not installed, or for a precision that is not the file's; CheckpointError for a
    file that cannot be used.
    """

    precision: str
    """In what numbers the file computes: fp32, fp16 or int8."""

    def __init__(self, path: PathLike, *, precision: str = "auto", threads: int | None = None) -> None:
        ort = require("onnxruntime", "onnx")
        model = _read(path)
        self.config, self.facts = _describe(path, model)
        self.precision = self.facts.get("precision", "fp32")
        if precision not in ("auto", self.precision):
            raise OptionError(
                f"precision: {path} computes in {self.precision}, not in {precision!r}; export it again with --precision"
            )
        self.grain = self.config.multiple  # such a file pads to this by itself, by reflection
        self.memory = onnx_memory(self.config, os.path.getsize(path))
        self._path, self._errors = path, errors(ort)
        ort.disable_telemetry_events()  # builds for Windows send some
        options = ort.SessionOptions()
        options.log_severity_level = FATAL
        options.enable_cpu_mem_arena = False  # which keeps the most that any tile took
        if threads is not None:
            options.intra_op_num_threads = threads
        try:
            self._session = ort.InferenceSession(
                model.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        except self._errors as error:
            raise CheckpointError(f"{path}: onnxruntime cannot load it ({one_line(error)})") from None
        found = [
            (value.name, value.type) for value in (*self._session.get_inputs(), *self._session.get_outputs())
        ]
        if found != [("image", "tensor(float)"), ("restored", "tensor(float)")]:
            raise CheckpointError(f"{path}: its inputs and outputs are not those of `uformer export`")

    def __call__(self, tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        """(B, in_channels, h, w) float32 in [0, 1] to (B, out_channels, h, w) float32, not clipped.

        Raises MemoryError where memory does not suffice, CheckpointError where the file does not work.
        """
        expected = (len(tiles), self.config.out_channels, *tiles.shape[2:])
        restored = np.empty(expected, np.float32)
        for tile, out in zip(tiles, restored, strict=True):
            try:
                (answer,) = self._session.run(
                    ["restored"], {"image": np.ascontiguousarray(tile[None], np.float32)}
                )
            except self._errors as error:
                if "allocate" in str(error) or "bad_alloc" in str(error):
                    raise MemoryError(one_line(error)) from None
                raise CheckpointError(
                    f"{self._path}: onnxruntime cannot run it ({one_line(error)})"
                ) from None
            if answer.shape != (1, *expected[1:]):
                raise CheckpointError(f"{self._path}: gives {answer.shape} for a tile of {tile.shape}")
            out[...] = answer[0]
        return restored

    def for_size(self, _height: int, _width: int) -> OnnxBackend:
        """The same: a file takes tiles of any size."""
        return self

    def in_fp32(self) -> OnnxBackend:
        """The same: a file computes in what it was exported in."""
        return self


def read_config(path: PathLike) -> UformerConfig:
    """The network's configuration. Raises CheckpointError for a file that `uformer export` did not make, OptionError without onnx."""
    return read_facts(path)[0]


def read_facts(path: PathLike) -> tuple[UformerConfig, dict[str, str]]:
    """The network's configuration, and what the file says of itself by key: name, sha256, licence, input... Errors as of `read_config`."""
    return _describe(path, _read(path))


def _read(path: PathLike) -> onnx.ModelProto:
    check_file(path)
    library = require("onnx", "onnx")
    protobuf = require("google.protobuf.message", "onnx")
    try:
        model: onnx.ModelProto = library.load_model_from_string(Path(path).read_bytes())
    except (protobuf.DecodeError, ValueError):
        raise CheckpointError(f"{path}: not an ONNX file, or a damaged one") from None
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror or error})") from None
    if any(tensor.data_location == library.TensorProto.EXTERNAL for tensor in _tensors(model)):
        raise CheckpointError(f"{path}: keeps weights in other files, which are not read")
    return model


def _tensors(message: Any) -> Iterator[Any]:
    """Every tensor of a model, at any depth."""
    if message.DESCRIPTOR.name == "TensorProto":
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        for part in value if isinstance(value, list) or hasattr(value, "append") else [value]:
            yield from _tensors(part)


def _describe(path: PathLike, model: onnx.ModelProto) -> tuple[UformerConfig, dict[str, str]]:
    facts = {entry.key: entry.value for entry in model.metadata_props}
    if "config" not in facts:
        raise CheckpointError(
            f"{path}: no Uformer configuration in it; only files of `uformer export` can restore"
        )
    if facts.get("format") != FORMAT:
        raise CheckpointError(
            f"{path}: format '{one_line(facts.get('format'))}', this version reads {FORMAT!r}"
        )
    try:
        return UformerConfig.from_json(facts["config"]), facts
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {one_line(error)}") from None


def errors(ort: Any) -> tuple[type[Exception], ...]:
    """onnxruntime's exceptions, which have no common base but Exception."""
    state = ort.capi.onnxruntime_pybind11_state
    found = [
        value for value in vars(state).values() if isinstance(value, type) and issubclass(value, Exception)
    ]
    return (*found, RuntimeError)
