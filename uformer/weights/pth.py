"""The authors' files: arrays from a torch pickle (or safetensors), read without running code, and back."""

import collections
import io
import os
import pickle
import pickletools
import re
import struct
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError

from uformer.errors import CheckpointError, OptionError
from uformer.files import one_line, require
from uformer.weights.checkpoint import PathLike, check_file, writing
from uformer.weights.official import INDEX

Arrays = dict[str, NDArray[np.generic]]

_TORCH = (2, 10)  # the first version that fixes the known holes of the weights_only reader
# uformer_b with its optimizer has a quarter of these; from 80,000 on, Python's stack can overflow.
_TUPLES = 40_000
_WRAPPERS = ("params_ema", "params", "state_dict", "model_state_dict", "model")
"""Keys under which training programs keep a network's state dict; the averaged weights come first."""
# Torch's older format begins with so many: two numbers, the machine, the object, the names of its storages.
_PICKLES = 5
_UNREADABLE = (  # what torch.load and safetensors raise on damaged files
    pickle.UnpicklingError,
    SafetensorError,
    zipfile.BadZipFile,
    struct.error,
    OSError,
    EOFError,
    RuntimeError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    ImportError,
    MemoryError,
)


def is_safetensors(path: PathLike) -> bool:
    """Whether a file is safetensors, judged by its first bytes, or by its suffix if these are inconclusive.

    Raises CheckpointError if the file is missing or empty.
    """
    check_file(path)
    with open(path, "rb") as file:
        start = file.read(9)
    return start[8:] == b"{" or (
        Path(path).suffix == ".safetensors" and not start.startswith((b"PK", b"\x80"))
    )


def read(path: PathLike) -> Arrays:
    """The tensors of a .pth or safetensors file by name, in float16 if all of them are, otherwise in float32.

    The state dict may be wrapped in "state_dict", "params" and the like, with anything beside it. Index
    buffers stay unchanged.
    Raises CheckpointError for a file that is damaged, asks for code, or holds anything but finite tensors,
    and OptionError if torch is missing or older than 2.10.
    """
    check_file(path)
    torch = _torch()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns about formats; an error must stay one line
        loaded = _load_safetensors(path) if is_safetensors(path) else _load(path, torch)
        try:
            return _arrays(loaded, torch, limit=max(16 * os.path.getsize(path), 1 << 26))
        except CheckpointError as error:
            raise CheckpointError(f"{path}: {error}") from None
        except _UNREADABLE as error:
            raise CheckpointError(f"{path}: is damaged ({one_line(error)})") from None


def write(path: PathLike, state: Mapping[str, NDArray[np.generic]]) -> None:
    """Write {"state_dict": ...} as the authors do, with floats as float32, whole or not at all.

    The same tensors give the same bytes. Raises CheckpointError if the file cannot be written, and
    OptionError if torch is missing.
    """
    torch = _torch()
    tensors = collections.OrderedDict(
        (key, torch.from_numpy(np.array(value, np.float32 if value.dtype.kind == "f" else value.dtype)))
        for key, value in state.items()
    )
    # Given a path, torch stores its name in the file, and handles a full disk badly.
    buffer = io.BytesIO()
    torch.save({"state_dict": tensors}, buffer)
    with writing(path) as file:
        file.write(buffer.getbuffer())


def _torch() -> ModuleType:
    torch = require("torch", "torch")
    version = re.match(r"(\d+)\.(\d+)", str(torch.__version__))
    if version is None or (int(version[1]), int(version[2])) < _TORCH:
        raise OptionError(
            f'torch {torch.__version__} cannot read .pth files safely; run: pip install "torch>=2.10"'
        )
    return torch


def _load(path: PathLike, torch: ModuleType) -> object:
    with open(path, "rb") as file:
        start = file.read(2)
        zipped = start == b"PK"
        if not zipped and start[:1] != b"\x80":
            raise CheckpointError(
                f"{path}: is not a torch file: it begins with neither a zip archive nor a pickle"
            )
        try:
            file.seek(0)
            _check_pickles(_pickle_of_zip(file) if zipped else file, 1 if zipped else _PICKLES)
            return torch.load(os.fspath(path), weights_only=True, map_location="cpu", mmap=zipped)
        except CheckpointError as error:
            raise CheckpointError(f"{path}: {error}") from None
        except _UNREADABLE as error:
            if asked := re.search(r"GLOBAL ([\w.]+)", str(error)):
                raise CheckpointError(
                    f"{path}: refused: it asks for {one_line(asked[1], 80)}; a state dict needs only tensors"
                ) from None
            raise CheckpointError(
                f"{path}: is not a torch file of tensors, or is damaged or truncated"
            ) from None


def _pickle_of_zip(file: IO[bytes]) -> IO[bytes]:
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
        if any(entry.filename.endswith("/constants.pkl") for entry in entries):
            raise CheckpointError(
                "is a TorchScript archive, which holds code; save the state_dict() of its network instead"
            )
        pickles = [entry for entry in entries if entry.filename.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise CheckpointError("is a zip archive, but not a torch file")
        # Torch does not compress its entries; a compressed one could expand to any size.
        if any(
            entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size
            for entry in entries
        ):
            raise CheckpointError("is a compressed zip archive, which torch does not write")
        return io.BytesIO(archive.read(pickles[0]))


def _check_pickles(file: IO[bytes], count: int) -> None:
    """Scan `count` pickles without building their objects, and refuse too many tuples.

    Deeply nested tuples used as a key would crash the process that hashes them.
    """
    tuples = 0
    for _ in range(count):
        for operation, _, _ in pickletools.genops(file):
            tuples += operation.name.startswith("TUPLE")
            if tuples > _TUPLES:
                raise CheckpointError(
                    f"refused: it builds more than {_TUPLES} tuples, which no weights file needs"
                )


def _load_safetensors(path: PathLike) -> dict[str, Any]:
    from safetensors.torch import load_file  # noqa: PLC0415 - torch is optional

    try:
        return load_file(path)
    except _UNREADABLE as error:
        raise CheckpointError(f"{path}: is damaged or not a safetensors file ({one_line(error)})") from None


def _arrays(loaded: object, torch: ModuleType, *, limit: int) -> Arrays:
    loaded = _unwrapped(loaded, torch)
    if not isinstance(loaded, dict):
        raise CheckpointError(f"holds {_article(loaded)}, not a state dict")
    if not loaded:
        raise CheckpointError("holds an empty state dict")
    for key, value in loaded.items():
        if not isinstance(key, str):
            raise CheckpointError(f"holds {_article(key)} as a key, so it is not a state dict")
        if problem := _problem(value, torch, index=key.endswith(INDEX)):
            raise CheckpointError(
                f"tensor '{one_line(key, 80)}' is {problem}, not a tensor of floating-point numbers"
            )
    # A tensor may claim any shape although few numbers are stored.
    if sum(value.numel() * max(value.element_size(), 4) for value in loaded.values()) > limit:
        raise CheckpointError("its tensors claim far more numbers than the file holds")
    floats = [value for key, value in loaded.items() if not key.endswith(INDEX)]
    dtype = torch.float16 if all(value.dtype == torch.float16 for value in floats) else torch.float32
    arrays = {}
    for key, value in loaded.items():
        integers = key.endswith(INDEX) and not value.dtype.is_floating_point
        arrays[key] = _array(key, value, None if integers else dtype)
    return arrays


def _unwrapped(loaded: object, torch: ModuleType) -> object:
    """The state dict inside a file's content; the content itself if it has none of the known keys."""
    if isinstance(loaded, dict):
        for key in _WRAPPERS:
            if key in loaded and not isinstance(loaded[key], torch.Tensor):
                return loaded[key]
    return loaded


def _array(key: str, tensor: Any, dtype: object) -> NDArray[np.generic]:
    array: NDArray[np.generic] = tensor.detach().to(dtype or tensor.dtype).numpy()
    if dtype is not None and not np.isfinite(array).all():
        raise CheckpointError(f"tensor '{one_line(key, 80)}' holds NaN or infinity")
    return array


def _problem(value: object, torch: ModuleType, *, index: bool) -> str | None:
    """The reason why a value is not an ordinary tensor, in words; None if it is one."""
    if not isinstance(value, torch.Tensor):
        return _article(value)
    tensor: Any = value
    if tensor.is_quantized:
        return "quantized"
    if tensor.layout is not torch.strided or tensor.is_nested:
        return "sparse or nested"
    if tensor.device.type != "cpu":
        return f"on the device {one_line(tensor.device)}"
    wanted = (torch.int32, torch.int64) if index else ()
    if tensor.dtype not in (torch.float16, torch.bfloat16, torch.float32, torch.float64, *wanted):
        return f"of {str(tensor.dtype).removeprefix('torch.')}"
    return None


def _article(value: object) -> str:
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"
