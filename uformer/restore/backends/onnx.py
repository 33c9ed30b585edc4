"""The ONNX backend: runs what `uformer export` writes in onnxruntime, without torch."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from uformer.config import UformerConfig
from uformer.errors import CheckpointError, OptionError
from uformer.files import one_line, require
from uformer.restore.backends.accelerators import PROVIDERS, parse_device
from uformer.restore.memory import NetworkMemory, onnx_memory
from uformer.weights.checkpoint import check_file

if TYPE_CHECKING:
    import onnx

FORMAT = "uformer-export-1"
SUFFIX = ".onnx"
FATAL = 4  # onnxruntime's log level: only fatal errors appear on standard error

PathLike = str | os.PathLike[str]


def is_onnx(path: PathLike) -> bool:
    """Return whether a file is for this backend, judging by its suffix."""
    return Path(path).suffix.lower() == SUFFIX


class OnnxBackend:
    """The network in an .onnx file from `uformer export`, for tiles of any size.

    `source`: the file, or its content. `device`: cpu, or a device for which onnxruntime has an execution
    provider. Operators that the provider does not support run on the CPU. `in_fp32`: makes the same network
    in float32, if that is possible. Raises OptionError if onnxruntime or its provider is not installed or the
    file has another precision than requested, CheckpointError for a file that cannot be used.
    """

    precision: str
    """The precision of the file: fp32, fp16 or int8."""
    batch = 1

    def __init__(
        self,
        source: PathLike | bytes,
        *,
        device: str = "cpu",
        precision: str = "auto",
        threads: int | None = None,
        in_fp32: Callable[[], OnnxBackend] | None = None,
    ) -> None:
        ort = require("onnxruntime", "onnx")
        if isinstance(source, bytes):
            path: PathLike = "the exported weights"
            model, size = _parse(path, source), len(source)
        else:
            path = source
            model, size = _read(path), os.path.getsize(path)
        self.device = device
        self.config, self.facts = _describe(path, model)
        self.precision = self.facts.get("precision", "fp32")
        if precision not in ("auto", self.precision):
            raise OptionError(
                f"precision: {path} was exported in {self.precision}, not in {precision!r};"
                f" export it again with --precision {precision}"
            )
        self.grain = self.config.multiple  # the file itself pads to this by reflection
        self.memory: NetworkMemory | None = onnx_memory(self.config, size) if device == "cpu" else None
        providers = _providers(ort, device)
        self._path, self._errors, self._in_fp32 = path, errors(ort), in_fp32
        ort.disable_telemetry_events()  # Windows builds send telemetry
        options = ort.SessionOptions()
        options.log_severity_level = FATAL
        options.enable_cpu_mem_arena = False  # the arena never shrinks below the peak of the largest tile
        if threads is not None:
            options.intra_op_num_threads = threads
        try:
            self._session = ort.InferenceSession(model.SerializeToString(), options, providers=providers)
        except self._errors as error:
            raise CheckpointError(f"{path}: onnxruntime cannot load it ({one_line(error)})") from None
        wanted, used = providers[0][0], self._session.get_providers()
        if wanted not in used:  # onnxruntime drops a provider whose libraries are missing, and says nothing
            raise OptionError(
                f"device: {device!r} is not available: onnxruntime could not start {wanted}; "
                "check that its driver and libraries are installed"
            )
        found = [
            (value.name, value.type) for value in (*self._session.get_inputs(), *self._session.get_outputs())
        ]
        if found != [("image", "tensor(float)"), ("restored", "tensor(float)")]:
            raise CheckpointError(f"{path}: inputs and outputs differ from those of `uformer export`")
        height, width = self._session.get_inputs()[0].shape[2:]
        if isinstance(height, int):
            raise CheckpointError(
                f"{path}: accepts images of {height}x{width} only, which is for other programs; "
                "export it again without --shape"
            )

    def __call__(self, tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        """Restore (B, in_channels, h, w) float32 in [0, 1] to (B, out_channels, h, w) float32, not clipped.

        Raises MemoryError if there is too little memory, CheckpointError if the file does not run.
        """
        expected = (len(tiles), self.config.out_channels, *tiles.shape[2:])
        restored = np.empty(expected, np.float32)
        for tile, out in zip(tiles, restored, strict=True):
            try:
                (answer,) = self._session.run(
                    ["restored"], {"image": np.ascontiguousarray(tile[None], np.float32)}
                )
            except self._errors as error:
                if any(words in str(error) for words in ("allocate", "bad_alloc", "out of memory")):
                    raise MemoryError(one_line(error)) from None
                raise CheckpointError(
                    f"{self._path}: onnxruntime cannot run it ({one_line(error)})"
                ) from None
            if answer.shape != (1, *expected[1:]):
                raise CheckpointError(
                    f"{self._path}: returns shape {answer.shape} for a tile of shape {tile.shape}"
                )
            out[...] = answer[0]
        return restored

    def for_size(self, _height: int, _width: int) -> OnnxBackend:
        """Return the same object: a file takes tiles of any size."""
        return self

    def in_fp32(self) -> OnnxBackend:
        """Return the same network in float32; for a file, the same object, because its precision is fixed."""
        return self if self.precision == "fp32" else self._twin

    @functools.cached_property
    def _twin(self) -> OnnxBackend:
        return self if self._in_fp32 is None else self._in_fp32()


def read_config(path: PathLike) -> UformerConfig:
    """Read the network's configuration.

    Raises CheckpointError for a file that is not from `uformer export`, OptionError if onnx is not installed.
    """
    return read_facts(path)[0]


def read_facts(path: PathLike) -> tuple[UformerConfig, dict[str, str]]:
    """Read the network's configuration, and the file's metadata by key (name, sha256, licence, input, ...).

    Errors: see `read_config`.
    """
    return _describe(path, _read(path))


def _read(path: PathLike) -> onnx.ModelProto:
    check_file(path)
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror or error})") from None
    return _parse(path, content)


def _parse(path: PathLike, content: bytes) -> onnx.ModelProto:
    library = require("onnx", "onnx")
    protobuf = require("google.protobuf.message", "onnx")
    try:
        model: onnx.ModelProto = library.load_model_from_string(content)
    except (protobuf.DecodeError, ValueError):
        raise CheckpointError(f"{path}: not an ONNX file, or damaged") from None
    if any(tensor.data_location == library.TensorProto.EXTERNAL for tensor in _tensors(model)):
        raise CheckpointError(f"{path}: stores weights in external files, which are not supported")
    return model


def _tensors(message: Any) -> Iterator[Any]:
    """Yield every tensor of a model, at any depth."""
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
        raise CheckpointError(f"{path}: has no Uformer configuration; use a file from `uformer export`")
    if facts.get("format") != FORMAT:
        raise CheckpointError(
            f"{path}: has format '{one_line(facts.get('format'))}'; this version reads {FORMAT!r}"
        )
    try:
        return UformerConfig.from_json(facts["config"]), facts
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {one_line(error)}") from None


def _providers(ort: Any, device: str) -> list[tuple[str, dict[str, str]]]:
    """Return the execution providers for a device, the CPU last. Raises OptionError if one is missing."""
    cpu: tuple[str, dict[str, str]] = ("CPUExecutionProvider", {})
    named = parse_device(device)
    if named.kind == "cpu":
        return [cpu]
    provider, available = PROVIDERS[named.kind], ort.get_available_providers()
    if provider not in available:
        raise OptionError(
            f"device: {device!r} needs onnxruntime with {provider}; the installed one has "
            f"{', '.join(available)} (docs/devices.md names the package)"
        )
    number = {} if named.index is None else {"device_id": str(named.index)}
    return [(provider, number), cpu]


def errors(ort: Any) -> tuple[type[Exception], ...]:
    """Return onnxruntime's exception classes, whose only common base is Exception."""
    state = ort.capi.onnxruntime_pybind11_state
    found = [
        value for value in vars(state).values() if isinstance(value, type) and issubclass(value, Exception)
    ]
    return (*found, RuntimeError)
